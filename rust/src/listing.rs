//! One pass over the objects of a bucket, in pieces.

use std::sync::Arc;

use opendal::options::ListOptions;
use opendal::raw::{oio, OpList};

use crate::abi::{Failure, INVALID};
use crate::object_store::{Object, ObjectStore};
use crate::transport::Call;

/// What services give per request if not told otherwise.
const PAGE_OBJECTS: usize = 1000;

pub struct Listing {
    pub prefix: String,
    pub last_key: Vec<u8>,
    pub call: Arc<Call>,
    lister: oio::Lister,
    ahead: Option<Object>,
}

impl Listing {
    pub fn new(
        store: &ObjectStore,
        prefix: &str,
        start_after: &[u8],
        limit: usize,
        from_start: bool,
    ) -> Result<Listing, Failure> {
        let call = Arc::new(Call::default());
        let context = store.context(&call);
        let args = OpList::from(ListOptions {
            recursive: true,
            start_after: Some(valid_text(start_after).to_owned())
                .filter(|text| !text.is_empty() && !from_start),
            limit: (limit < PAGE_OBJECTS && !from_start).then_some(limit + 1),
            ..ListOptions::default()
        });
        let path = if prefix.is_empty() { "/" } else { prefix };
        let lister = store.servicer.list_dyn(&context, path, args);
        Ok(Listing {
            prefix: prefix.to_owned(),
            last_key: Vec::new(),
            call,
            lister: lister.map_err(|error| Failure::new(INVALID, error.message()))?,
            ahead: None,
        })
    }

    /// The next objects after `start_after`, up to `limit`, and whether there are more.
    pub async fn next(
        &mut self,
        store: &ObjectStore,
        start_after: &[u8],
        limit: usize,
    ) -> opendal::Result<(Vec<Object>, bool)> {
        let mut objects: Vec<Object> = self.ahead.take().into_iter().collect();
        while objects.len() <= limit {
            let Some(entry) = self.lister.next_dyn().await? else {
                break;
            };
            let (key, metadata) = entry.into_parts();
            // A service may not have started at `start_after`, which need not be a possible key.
            if key.as_bytes() > start_after && !key.ends_with('/') {
                objects.push(store.described(key, &metadata));
            }
        }
        if objects.len() > limit {
            self.ahead = objects.pop();
        }
        if let Some(last) = objects.last() {
            self.last_key = last.key.clone().into_bytes();
        }
        Ok((objects, self.ahead.is_some()))
    }
}

fn valid_text(bytes: &[u8]) -> &str {
    match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or_default(),
    }
}

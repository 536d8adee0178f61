//! The operations on one cloud bucket, over OpenDAL's services.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use opendal::options::WriteOptions;
use opendal::raw::{oio, OpDelete, OpRead, OpStat, OpWrite, Servicer};
use opendal::{Buffer, BytesRange, ErrorKind, HttpTransporter, Metadata, OperationContext};

use crate::abi::{
    Failure, DENIED, INVALID, NOT_FOUND, NO_CREDENTIALS, REFUSED, REJECTED, TOO_LONG, TOO_SHORT,
    UNAVAILABLE,
};
use crate::listing::Listing;
use crate::stored_checksum::stored_checksum;
use crate::transport::{lock, Call, CallTransport, Shared};

/// One request of a ranged read. Small, because each is buffered before it is copied out.
const READ_BYTES: usize = 8 << 20;
const MIN_PART_BYTES: usize = 5 << 20; // what S3 and GCS allow
const MAX_RESTARTS: usize = 2; // of an upload that the server forgot
const MAX_PARTS: usize = 10_000; // of one S3 or GCS upload

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Service {
    Gcs,
    S3,
    Azblob,
}

pub struct ObjectStore {
    pub servicer: Servicer,
    pub service: Service,
    pub part_bytes: usize,
    pub parallel: usize,
    pub shared: Arc<Shared>,
    /// Where listings cannot start in the middle: the last one, for the caller who asks on.
    pub paused: Mutex<Option<Listing>>,
}

pub struct Object {
    pub key: String,
    pub bytes: i64,
    pub modified_ms: i64,
}

impl ObjectStore {
    pub async fn put(&self, key: &str, bytes: Bytes) -> Result<(), Failure> {
        let mut restarts = 0;
        loop {
            let call = Arc::new(Call::default());
            let Err(failure) = self.try_put(&call, key, bytes.clone()).await else {
                return Ok(());
            };
            // The upload is unknown: an earlier request to complete it took effect, or not, and
            // its answer was lost. Once more from the start gives the same object.
            let lost = call.tried_again.load(Ordering::Relaxed) && failure.outcome == NOT_FOUND;
            if !lost || restarts == MAX_RESTARTS {
                return Err(of_bucket(failure));
            }
            restarts += 1;
        }
    }

    async fn try_put(&self, call: &Arc<Call>, key: &str, bytes: Bytes) -> Result<(), Failure> {
        let context = self.context(call);
        let args = self.write_args(WriteOptions {
            concurrent: self.parallel,
            ..WriteOptions::default()
        })?;
        let writer = self.servicer.write_dyn(&context, key, args);
        let mut writer = writer.map_err(|error| self.failure(call, error))?;
        let Err(error) = write_parts(&mut writer, bytes, self.part_bytes).await else {
            return Ok(());
        };
        let failure = self.failure(call, error);
        call.clean_up.store(true, Ordering::Relaxed);
        // If this fails too, the bucket's own rule for abandoned uploads has to remove it.
        let _ = writer.abort_dyn().await;
        Err(failure)
    }

    /// REFUSED if an object of that name exists; any other failure leaves open whether it is there.
    pub async fn create_if_absent(&self, key: &str, bytes: Bytes) -> Result<(), Failure> {
        let call = Arc::new(Call {
            create: true,
            ..Call::default()
        });
        let context = self.context(&call);
        let args = self.write_args(WriteOptions {
            if_not_exists: self.shared.create_query.is_none(),
            ..WriteOptions::default()
        })?;
        let created = async {
            let mut writer = self.servicer.write_dyn(&context, key, args)?;
            write_parts(&mut writer, bytes, 0).await
        };
        created
            .await
            .map_err(|error| of_bucket(self.failure(&call, error)))
    }

    pub async fn get(&self, key: &str, limit: usize) -> Result<Vec<u8>, Failure> {
        let call = Arc::new(Call {
            body_limit: Some(limit),
            ..Call::default()
        });
        let body = self.read(&call, key, BytesRange::default()).await?;
        Ok(body.to_vec())
    }

    pub async fn get_range(&self, key: &str, offset: u64, out: &mut [u8]) -> Result<(), Failure> {
        let pieces = out
            .chunks_mut(READ_BYTES)
            .enumerate()
            .map(|(index, piece)| async move {
                let call = Arc::new(Call {
                    body_limit: Some(piece.len()),
                    ..Call::default()
                });
                let from = offset + (index * READ_BYTES) as u64;
                let range = BytesRange::new(from, Some(piece.len() as u64));
                let body = self.read(&call, key, range).await?;
                if body.len() < piece.len() {
                    return Err(Failure::new(TOO_SHORT, "the object ends before the range"));
                }
                let mut rest = piece;
                for bytes in body {
                    let (head, tail) = rest.split_at_mut(bytes.len());
                    head.copy_from_slice(&bytes);
                    rest = tail;
                }
                Ok(())
            });
        futures_util::stream::iter(pieces)
            .buffer_unordered(self.parallel)
            .try_collect()
            .await
    }

    async fn read(
        &self,
        call: &Arc<Call>,
        key: &str,
        range: BytesRange,
    ) -> Result<Buffer, Failure> {
        let context = self.context(call);
        let read = async {
            let reader = self.servicer.read_dyn(&context, key, OpRead::new())?;
            let (_, mut stream) = reader.open_dyn(range).await?;
            stream.read_all_dyn().await
        };
        read.await.map_err(|error| self.failure(call, error))
    }

    /// The object's bytes and time, and its checksum as text, empty if the store tells none.
    pub async fn stat(&self, key: &str) -> Result<(Object, String), Failure> {
        let call = Arc::new(Call {
            keep_answer: true,
            ..Call::default()
        });
        let context = self.context(&call);
        let stat = self.servicer.stat_dyn(&context, key, OpStat::new()).await;
        let metadata = stat
            .map_err(|error| self.failure(&call, error))?
            .into_metadata();
        let checksum = match lock(&call.answer).as_ref() {
            Some(answer) => stored_checksum(self.service, answer),
            None => None,
        };
        let object = self.described(key.to_owned(), &metadata);
        Ok((object, checksum.unwrap_or_default()))
    }

    /// Up to `limit` objects with `prefix`, after `start_after` in byte order, and whether there
    /// are more.
    pub async fn list(
        &self,
        prefix: &str,
        start_after: &[u8],
        limit: usize,
    ) -> Result<(Vec<Object>, bool), Failure> {
        loop {
            let from_start = self.shared.list_from_start.load(Ordering::Relaxed);
            let mut listing = match lock(&self.paused).take() {
                Some(paused) if paused.prefix == prefix && paused.last_key == start_after => paused,
                _ => Listing::new(self, prefix, start_after, limit, from_start)?,
            };
            let (objects, more) = listing
                .next(self, start_after, limit)
                .await
                .map_err(|error| of_bucket(self.failure(&listing.call, error)))?;
            if !start_after.is_empty()
                && from_start != self.shared.list_from_start.load(Ordering::Relaxed)
            {
                continue;
            }
            if from_start && more {
                *lock(&self.paused) = Some(listing);
            }
            return Ok((objects, more));
        }
    }

    pub async fn delete(&self, key: &str) -> Result<(), Failure> {
        let call = Arc::new(Call::default());
        let context = self.context(&call);
        let delete = async {
            let mut deleter = self.servicer.delete_dyn(&context)?;
            deleter.delete_dyn(key, OpDelete::new()).await?;
            deleter.close_dyn().await
        };
        match delete.await.map_err(|error| self.failure(&call, error)) {
            Err(failure) if failure.outcome == NOT_FOUND => Ok(()),
            other => other,
        }
    }

    pub fn described(&self, key: String, metadata: &Metadata) -> Object {
        let modified = metadata.last_modified().map(|time| time.into_inner());
        let modified_ms = match self.service {
            // A stat tells whole seconds; some servers list milliseconds.
            Service::S3 => modified.map_or(0, |time| time.as_second() * 1000),
            _ => modified.map_or(0, |time| time.as_millisecond()),
        };
        Object {
            key,
            bytes: metadata.content_length() as i64,
            modified_ms,
        }
    }

    pub fn context(&self, call: &Arc<Call>) -> OperationContext {
        let transport = CallTransport {
            shared: self.shared.clone(),
            call: call.clone(),
        };
        OperationContext::new().with_http_transport(HttpTransporter::new(transport))
    }

    fn write_args(&self, options: WriteOptions) -> Result<OpWrite, Failure> {
        let args = OpWrite::from_options(&self.servicer.capability_dyn(), options);
        let (args, _) = args.map_err(|error| Failure::new(INVALID, error.message()))?;
        Ok(args)
    }

    /// What an error means, from the last answer of the store where there was one.
    fn failure(&self, call: &Call, error: opendal::Error) -> Failure {
        if call.too_long.load(Ordering::Relaxed) {
            return Failure::new(TOO_LONG, "the object has more bytes than asked for");
        }
        let refusal = lock(&call.refusal);
        let status = refusal.as_ref().and_then(|refusal| refusal.status);
        let text = match (&*refusal, status) {
            (Some(refusal), Some(status)) => format!("HTTP {}: {}", status.as_u16(), refusal.text),
            (Some(refusal), None) => refusal.text.clone(),
            (None, _) => crate::http_client::causes(&error),
        };
        let of_store = refusal
            .as_ref()
            .is_some_and(|refusal| !refusal.of_credentials);
        let create_refused =
            call.create && self.shared.create_query.is_some() && status.is_some_and(|s| s == 412);
        let outcome = match error.kind() {
            ErrorKind::ConditionNotMatch | ErrorKind::AlreadyExists if call.create => REFUSED,
            _ if create_refused => REFUSED,
            ErrorKind::NotFound if of_store => NOT_FOUND,
            ErrorKind::RangeNotSatisfied => TOO_SHORT,
            _ if status.is_some_and(|s| s == 416) => TOO_SHORT,
            ErrorKind::ConfigInvalid => INVALID,
            _ if of_store && status.is_some_and(|s| s == 401 || s == 403) => DENIED,
            _ => match &*refusal {
                Some(refusal) if refusal.temporary => UNAVAILABLE,
                Some(refusal) if !refusal.of_credentials => REJECTED,
                // No request was sent: credentials were not found, or not found again.
                _ if self.shared.reached.load(Ordering::Relaxed) => UNAVAILABLE,
                _ => NO_CREDENTIALS,
            },
        };
        Failure::new(outcome, text)
    }
}

/// Parts of `part_bytes`, or of more where there would be too many; in one request if it is 0 or
/// enough for all.
async fn write_parts(
    writer: &mut oio::Writer,
    bytes: Bytes,
    part_bytes: usize,
) -> opendal::Result<()> {
    let part_bytes = match part_bytes {
        0 => bytes.len(),
        part_bytes => part_bytes
            .max(MIN_PART_BYTES)
            .max(bytes.len().div_ceil(MAX_PARTS)),
    };
    let mut from = 0;
    while from < bytes.len() {
        let until = bytes.len().min(from + part_bytes);
        writer
            .write_dyn(Buffer::from(bytes.slice(from..until)))
            .await?;
        from = until;
    }
    writer.close_dyn().await?;
    Ok(())
}

/// Where no object has to be there, it is the bucket that is not.
fn of_bucket(failure: Failure) -> Failure {
    match failure.outcome {
        NOT_FOUND => Failure::new(INVALID, format!("no such bucket ({})", failure.message)),
        _ => failure,
    }
}

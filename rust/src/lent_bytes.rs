//! The caller's memory on its way into a request. It is lent for one call, while pieces of it are
//! in the hands of tasks and connections that may outlive the call by a little or, where a server
//! stops reading, by much. So no connection ever holds it: `UploadBody` copies small pieces when
//! the connection asks for them and is cut off when its request ends; and `Lent` does not let the
//! call return before the tasks have dropped all that they hold.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{sync_channel, Receiver, SyncSender};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use opendal::Buffer;

const PIECE_BYTES: usize = 256 << 10;

struct Owner {
    data: *const u8,
    length: usize,
    _dropped: SyncSender<()>,
}

// The memory is only read, and outlives the owner: see `Lent`.
unsafe impl Send for Owner {}
unsafe impl Sync for Owner {}

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        // Sound for as long as `Lent` waits.
        unsafe { crate::abi::bytes_of(self.data, self.length) }
    }
}

/// Waits, when dropped, until no copy of its `Bytes` is left.
pub struct Lent {
    dropped: Receiver<()>,
}

impl Lent {
    /// # Safety
    /// `memory` must stay as it is until the returned `Lent` is dropped, which must not be leaked.
    pub unsafe fn new(memory: &[u8]) -> (Lent, Bytes) {
        let (sender, dropped) = sync_channel(1);
        let owner = Owner {
            data: memory.as_ptr(),
            length: memory.len(),
            _dropped: sender,
        };
        (Lent { dropped }, Bytes::from_owner(owner))
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        // Nothing is ever sent: this returns when the owner, and with it the sender, is gone.
        let _ = self.dropped.recv();
    }
}

/// A request's body, as long as the request is wanted.
pub struct Upload {
    body: Arc<Mutex<Option<Buffer>>>,
}

impl Upload {
    /// `moved` counts the bytes that were taken to be sent.
    pub fn new(body: Buffer, moved: Arc<AtomicU64>) -> (Upload, UploadBody) {
        let left = body.len() as u64;
        let body = Arc::new(Mutex::new(Some(body)));
        let upload = Upload { body: body.clone() };
        (upload, UploadBody { body, left, moved })
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.body
            .lock()
            .unwrap_or_else(|lock| lock.into_inner())
            .take();
    }
}

pub struct UploadBody {
    body: Arc<Mutex<Option<Buffer>>>,
    left: u64,
    moved: Arc<AtomicU64>,
}

impl Body for UploadBody {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        if self.left == 0 {
            return Poll::Ready(None);
        }
        let piece = {
            let mut body = self.body.lock().unwrap_or_else(|lock| lock.into_inner());
            let Some(buffer) = body.as_mut() else {
                let gone = std::io::Error::other("the request was given up");
                return Poll::Ready(Some(Err(gone)));
            };
            let bytes = PIECE_BYTES.min(buffer.len());
            let piece = Bytes::from(buffer.slice(..bytes).to_vec());
            *buffer = buffer.slice(bytes..);
            piece
        };
        self.left -= piece.len() as u64;
        self.moved.fetch_add(piece.len() as u64, Ordering::Relaxed);
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

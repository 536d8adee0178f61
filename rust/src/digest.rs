//! SHA-1 and SHA-256.

use sha1::Sha1;
use sha2::{Digest as _, Sha256};

use crate::abi::{bytes_of, free_handle, Array};

pub enum Digest {
    Sha1(Sha1),
    Sha256(Sha256),
}

/// A digest of nothing yet: SHA-256 if `sha256`, else SHA-1.
#[no_mangle]
pub extern "C" fn thresher_digest_new(sha256: bool) -> *mut Digest {
    Box::into_raw(Box::new(if sha256 {
        Digest::Sha256(Sha256::new())
    } else {
        Digest::Sha1(Sha1::new())
    }))
}

/// # Safety
/// `digest` must come from `thresher_digest_new` and be freed once, or be null.
#[no_mangle]
pub unsafe extern "C" fn thresher_digest_free(digest: *mut Digest) {
    free_handle(digest);
}

/// # Safety
/// A live `digest` that no other thread uses now; `bytes` readable for `length`.
#[no_mangle]
pub unsafe extern "C" fn thresher_digest_update(
    digest: *mut Digest,
    bytes: *const u8,
    length: usize,
) {
    let bytes = bytes_of(bytes, length);
    match &mut *digest {
        Digest::Sha1(state) => state.update(bytes),
        Digest::Sha256(state) => state.update(bytes),
    }
}

/// The digest of all bytes so far; begins anew afterwards.
///
/// # Safety
/// As for `thresher_digest_update`.
#[no_mangle]
pub unsafe extern "C" fn thresher_digest_finish(digest: *mut Digest) -> Array<u8> {
    match &mut *digest {
        Digest::Sha1(state) => state.finalize_reset().to_vec().into(),
        Digest::Sha256(state) => state.finalize_reset().to_vec().into(),
    }
}

//! What every function of the C interface needs.

/// Borrows the caller's bytes; an empty slice for length 0 whatever the pointer.
///
/// # Safety
/// `data` must point to `length` readable bytes that outlive the returned slice.
pub unsafe fn bytes_of<'a>(data: *const u8, length: usize) -> &'a [u8] {
    if length == 0 {
        &[]
    } else {
        std::slice::from_raw_parts(data, length)
    }
}

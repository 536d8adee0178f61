//! CRC-32C.

use crate::abi::bytes_of;

/// The checksum of A followed by `bytes`, given `crc` of A.
///
/// # Safety
/// `bytes` must point to `length` readable bytes, or `length` must be 0.
#[no_mangle]
pub unsafe extern "C" fn thresher_crc32c_extend(crc: u32, bytes: *const u8, length: usize) -> u32 {
    crc32c::crc32c_append(crc, bytes_of(bytes, length))
}

/// The checksum of A followed by B from both checksums and the length of B.
#[no_mangle]
pub extern "C" fn thresher_crc32c_combine(crc_a: u32, crc_b: u32, length_b: usize) -> u32 {
    crc32c::crc32c_combine(crc_a, crc_b, length_b)
}

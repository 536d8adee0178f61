//! Well-kept crates behind a small C interface (include/rust/thresher_rust.h). No logic of its own.

mod abi;
mod checksum;

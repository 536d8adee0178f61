//! Well-kept crates behind a small C interface (include/rust/thresher_rust.h). No logic of its own.

mod abi;
mod chat_template;
mod checksum;
mod python_json;
mod tokenizer;

//! Well-kept crates behind a small C interface (include/rust/thresher_rust.h). No logic of its own.

mod abi;
mod broken_pipe;
mod chat_template;
mod checksum;
mod cloud_service;
mod digest;
mod fast_tokenizer;
mod http_client;
mod http_request;
mod jinja;
mod jinja_template;
mod lent_bytes;
mod listing;
mod object_store;
mod object_store_abi;
mod parquet_abi;
mod parquet_file;
mod parquet_json;
mod parquet_source;
mod parquet_thrift;
mod python_json;
mod stored_checksum;
mod throttle;
mod tokenizer;
mod transport;
mod word_splitter;

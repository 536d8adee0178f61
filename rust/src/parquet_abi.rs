//! Parquet files behind the C interface.

use std::ops::Range;

use crate::abi::{free_handle, guarded, text_of, Array};
use crate::parquet_file::ParquetFile;
use crate::parquet_source::{ByteSource, ChunkSource};

/// # Safety
/// See the header: a `source` for the time of the call; `columns` readable; `file` and `error`
/// writable.
#[no_mangle]
pub unsafe extern "C" fn thresher_parquet_open(
    source: ByteSource,
    columns: *const u8,
    columns_length: usize,
    file: *mut *mut ParquetFile,
    error: *mut Array<u8>,
) -> i32 {
    guarded(file, error, || {
        let columns: Vec<String> = serde_json::from_str(text_of(columns, columns_length)?)
            .map_err(|error| error.to_string())?;
        let opened = ParquetFile::open(&mut ChunkSource::new(source), &columns)?;
        Ok(Box::into_raw(Box::new(opened)))
    })
}

/// # Safety
/// `file` must come from `thresher_parquet_open` and be freed once, or be null.
#[no_mangle]
pub unsafe extern "C" fn thresher_parquet_free(file: *mut ParquetFile) {
    free_handle(file);
}

/// # Safety
/// A live `file`; `text` and `error` writable.
#[no_mangle]
pub unsafe extern "C" fn thresher_parquet_describe(
    file: *const ParquetFile,
    text: *mut Array<u8>,
    error: *mut Array<u8>,
) -> i32 {
    guarded(text, error, || Ok((*file).describe().into_bytes().into()))
}

/// # Safety
/// A live `file`, its `source` for the time of the call; `text` and `error` writable.
#[no_mangle]
pub unsafe extern "C" fn thresher_parquet_read(
    file: *const ParquetFile,
    source: ByteSource,
    first: u64,
    count: u64,
    text: *mut Array<u8>,
    error: *mut Array<u8>,
) -> i32 {
    guarded(text, error, || {
        let rows: Range<u64> = first..first.saturating_add(count);
        Ok((*file).read(source, rows)?.into())
    })
}

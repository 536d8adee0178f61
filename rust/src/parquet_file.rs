//! Rows of a Parquet file as JSON text.

use std::any::Any;
use std::cell::Cell;
use std::ops::Range;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::{Arc, Once};

use bytes::Bytes;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::arrow::ProjectionMask;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::reader::Length;
use serde_json::json;

use crate::abi::{panic_message, Failure, DAMAGED, INVALID};
use crate::parquet_json::{type_name, write_rows};
use crate::parquet_source::{ByteSource, ChunkSource};
use crate::parquet_thrift::{check_footer, check_pages};

const MAGIC: &[u8] = b"PAR1";
/// The length of the footer and the magic bytes.
const TAIL_BYTES: u64 = 8;
/// Read at once: most footers are shorter.
const FIRST_READ_BYTES: u64 = 1 << 16;
const BATCH_ROWS: usize = 1024;

pub struct ParquetFile {
    metadata: ArrowReaderMetadata,
    projection: ProjectionMask,
    /// No column is wanted.
    empty: bool,
}

fn damaged(message: impl Into<String>) -> Failure {
    Failure::new(DAMAGED, message)
}

impl From<ParquetError> for Failure {
    fn from(error: ParquetError) -> Self {
        match error {
            ParquetError::NYI(message) => Failure::new(INVALID, message),
            ParquetError::General(message) | ParquetError::EOF(message) => {
                damaged(format!("the file is damaged: {message}"))
            }
            other => damaged(format!("the file is damaged: {other}")),
        }
    }
}

impl ParquetFile {
    /// `wanted`: the names of top-level columns, or empty for all.
    pub fn open(source: &mut ChunkSource, wanted: &[String]) -> Result<Self, Failure> {
        contained(|| {
            let footer = read_footer(source)?;
            check_footer(&footer)
                .map_err(|error| damaged(format!("the file is damaged: its footer {error}")))?;
            let metadata = ParquetMetaDataReader::decode_metadata(&footer)?;
            check_row_groups(metadata.row_groups(), metadata.file_metadata().num_rows())?;
            // Types follow from Parquet's own schema. Arrow's, which some writers add, says
            // nothing more that shows in JSON.
            let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
            let metadata = ArrowReaderMetadata::try_new(Arc::new(metadata), options)?;
            let fields = metadata.schema().fields();
            for (i, field) in fields.iter().enumerate() {
                if fields[..i].iter().any(|other| other.name() == field.name()) {
                    let message = format!("two columns have the name '{}'", field.name());
                    return Err(Failure::new(INVALID, message));
                }
            }
            let roots: Vec<usize> = (0..fields.len())
                .filter(|&i| wanted.is_empty() || wanted.contains(fields[i].name()))
                .collect();
            Ok(ParquetFile {
                empty: roots.is_empty(),
                projection: ProjectionMask::roots(metadata.parquet_schema(), roots),
                metadata,
            })
        })
    }

    /// A JSON object: "row_groups" (the number of rows of each) and "columns" (name and type).
    pub fn describe(&self) -> String {
        let columns: Vec<_> = (self.metadata.schema().fields().iter())
            .map(|field| json!([field.name(), type_name(field.data_type())]))
            .collect();
        let row_groups: Vec<i64> = (self.row_groups().iter())
            .map(RowGroupMetaData::num_rows)
            .collect();
        json!({"row_groups": row_groups, "columns": columns}).to_string()
    }

    /// The rows as lines of JSON; `rows` must lie within the file.
    ///
    /// # Safety
    /// As for `ChunkSource::new`, during the call.
    pub unsafe fn read(&self, source: ByteSource, rows: Range<u64>) -> Result<Vec<u8>, Failure> {
        contained(|| {
            let mut text = Vec::new();
            let mut begin = 0;
            for (group, row_group) in self.row_groups().iter().enumerate() {
                let end = begin + row_group.num_rows() as u64;
                let part = rows.start.max(begin)..rows.end.min(end);
                if part.start < part.end {
                    let within = (part.start - begin) as usize..(part.end - begin) as usize;
                    self.read_group(ChunkSource::new(source), group, within, &mut text)
                        .map_err(|failure| Failure {
                            message: format!("row group {group}: {}", failure.message),
                            ..failure
                        })?;
                }
                begin = end;
            }
            Ok(text)
        })
    }

    fn read_group(
        &self,
        mut source: ChunkSource,
        group: usize,
        rows: Range<usize>,
        text: &mut Vec<u8>,
    ) -> Result<(), Failure> {
        if self.empty {
            text.extend(b"{}\n".repeat(rows.len()));
            return Ok(());
        }
        let row_group = &self.row_groups()[group];
        let chunks: Vec<Range<u64>> = (row_group.columns().iter().enumerate())
            .filter(|(leaf, _)| self.projection.leaf_included(*leaf))
            .map(|(_, column)| byte_range(column))
            .collect::<Result<_, _>>()?;
        source.fetch(&chunks)?;
        for chunk in &chunks {
            let bytes = source.read(chunk.start, chunk.end - chunk.start)?;
            check_pages(&bytes)
                .map_err(|error| damaged(format!("the file is damaged: {error}")))?;
        }
        let batches =
            ParquetRecordBatchReaderBuilder::new_with_metadata(source, self.metadata.clone())
                .with_row_groups(vec![group])
                .with_projection(self.projection.clone())
                .with_offset(rows.start)
                .with_limit(rows.len())
                .with_batch_size(rows.len().min(BATCH_ROWS))
                .build()?;
        let mut read = 0;
        for batch in batches {
            let batch = batch.map_err(|error| damaged(format!("the file is damaged: {error}")))?;
            write_rows(&batch, text)?;
            read += batch.num_rows();
        }
        if read != rows.len() {
            return Err(damaged(format!(
                "the file is damaged: its columns hold {} rows, its footer says {}",
                rows.start + read,
                row_group.num_rows()
            )));
        }
        Ok(())
    }

    fn row_groups(&self) -> &[RowGroupMetaData] {
        self.metadata.metadata().row_groups()
    }
}

/// The footer's bytes, without its length and the magic bytes.
fn read_footer(source: &mut ChunkSource) -> Result<Bytes, Failure> {
    let length = source.len();
    let magic_bytes = MAGIC.len() as u64;
    if length < magic_bytes + TAIL_BYTES {
        return Err(damaged(format!(
            "the file is cut off or no Parquet: it has {length} bytes, the least is {}",
            magic_bytes + TAIL_BYTES
        )));
    }
    source.fetch(&[length.saturating_sub(FIRST_READ_BYTES)..length])?;
    let tail = source.read(length - TAIL_BYTES, TAIL_BYTES)?;
    let (footer_length, end_magic) = tail.split_at(4);
    if end_magic == b"PARE" {
        let message = "the file is encrypted, which is not supported; write it without encryption";
        return Err(Failure::new(INVALID, message));
    }
    if end_magic != MAGIC {
        if source.read(0, magic_bytes)? == MAGIC {
            return Err(damaged(
                "the file is cut off: it begins as Parquet but has no footer; fetch it again",
            ));
        }
        let message = "this is no Parquet file: it neither begins nor ends with \"PAR1\"";
        return Err(Failure::new(INVALID, message));
    }
    let footer_length = u64::from(u32::from_le_bytes(
        footer_length.try_into().unwrap_or_default(),
    ));
    let room = length - magic_bytes - TAIL_BYTES;
    if footer_length > room {
        return Err(damaged(format!(
            "the file is cut off or damaged: its footer has {footer_length} bytes, \
             but there are only {room} before it ends"
        )));
    }
    Ok(source.read(length - TAIL_BYTES - footer_length, footer_length)?)
}

fn check_row_groups(row_groups: &[RowGroupMetaData], all_rows: i64) -> Result<(), Failure> {
    let mut sum: i64 = 0;
    for (i, row_group) in row_groups.iter().enumerate() {
        let rows = row_group.num_rows();
        sum = (rows >= 0)
            .then(|| sum.checked_add(rows))
            .flatten()
            .ok_or_else(|| {
                damaged(format!(
                    "the file is damaged: row group {i} claims {rows} rows"
                ))
            })?;
    }
    if sum != all_rows {
        return Err(damaged(format!(
            "the file is damaged: its row groups hold {sum} rows, its footer says {all_rows}"
        )));
    }
    Ok(())
}

/// As `ColumnChunkMetaData::byte_range`, which panics on numbers below 0.
fn byte_range(column: &ColumnChunkMetaData) -> Result<Range<u64>, Failure> {
    let begin = column
        .dictionary_page_offset()
        .unwrap_or(column.data_page_offset());
    let length = column.compressed_size();
    match (u64::try_from(begin), u64::try_from(length)) {
        (Ok(begin), Ok(length)) if begin.checked_add(length).is_some() => Ok(begin..begin + length),
        _ => Err(damaged(format!(
            "the file is damaged: column {} claims {length} bytes at {begin}",
            column.column_path()
        ))),
    }
}

thread_local! {
    static PANICS_ARE_QUIET: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body`; a panic of the parquet crate, which happens on some damaged files, becomes a
/// failure, and nothing of it goes to standard error.
fn contained<T>(body: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |information| {
            if !PANICS_ARE_QUIET.get() {
                previous(information);
            }
        }));
    });
    PANICS_ARE_QUIET.set(true);
    let result = catch_unwind(AssertUnwindSafe(body));
    PANICS_ARE_QUIET.set(false);
    result.unwrap_or_else(|payload: Box<dyn Any + Send>| {
        Err(damaged(format!(
            "the file is damaged: its decoder gave up ({})",
            panic_message(payload.as_ref())
        )))
    })
}

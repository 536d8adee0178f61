//! The bytes of a Parquet file: memory of the caller, or ranges that the caller reads for us.

use std::ffi::c_void;
use std::ops::Range;

use bytes::{Buf, Bytes};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{ChunkReader, Length};

/// As ThresherByteSource of the header.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct ByteSource {
    context: *const c_void,
    bytes: u64,
    mapped: *const u8,
    read: extern "C" fn(*const c_void, u64, *mut u8, usize) -> i32,
}

/// # Safety of both
/// The header demands that all of it may be used by any thread during a call.
unsafe impl Send for ByteSource {}
unsafe impl Sync for ByteSource {}

/// Shown by the caller with its own error in its place.
pub const READ_FAILED: &str = "the bytes could not be read";

pub struct ChunkSource {
    source: ByteSource,
    /// Parts of the file in memory.
    parts: Vec<(u64, Bytes)>,
}

struct Mapped(&'static [u8]);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        self.0
    }
}

/// Neighbouring ranges are read at once if no more than this lies between them: a request to an
/// object store takes longer than to read so many bytes.
const READ_GAP_BYTES: u64 = 1 << 18;

impl ChunkSource {
    /// # Safety
    /// `source` must be as the header says and outlive this object and all that it gives.
    pub unsafe fn new(source: ByteSource) -> Self {
        let mut parts = Vec::new();
        if !source.mapped.is_null() {
            let all = std::slice::from_raw_parts(source.mapped, source.bytes as usize);
            parts.push((0, Bytes::from_owner(Mapped(all))));
        }
        ChunkSource { source, parts }
    }

    /// Reads these ranges, in few requests.
    pub fn fetch(&mut self, ranges: &[Range<u64>]) -> Result<()> {
        let mut ranges = ranges.to_vec();
        ranges.sort_by_key(|range| range.start);
        let mut joined: Vec<Range<u64>> = Vec::new();
        for range in ranges {
            match joined.last_mut() {
                Some(last) if range.start <= last.end.saturating_add(READ_GAP_BYTES) => {
                    last.end = last.end.max(range.end);
                }
                _ => joined.push(range),
            }
        }
        for range in joined {
            if self.find(range.start, range.end - range.start).is_none() {
                let bytes = self.read(range.start, range.end - range.start)?;
                self.parts.push((range.start, bytes));
            }
        }
        Ok(())
    }

    fn find(&self, start: u64, length: u64) -> Option<Bytes> {
        self.parts.iter().find_map(|(offset, part)| {
            let begin = start.checked_sub(*offset)?;
            let end = begin.checked_add(length)?;
            (end <= part.len() as u64).then(|| part.slice(begin as usize..end as usize))
        })
    }

    pub fn read(&self, start: u64, length: u64) -> Result<Bytes> {
        let end = start.checked_add(length);
        if end.is_none_or(|end| end > self.source.bytes) {
            return Err(ParquetError::EOF(format!(
                "{length} bytes at {start} lie beyond the end of the file"
            )));
        }
        if let Some(bytes) = self.find(start, length) {
            return Ok(bytes);
        }
        let mut bytes = vec![0; length as usize];
        if (self.source.read)(self.source.context, start, bytes.as_mut_ptr(), bytes.len()) != 0 {
            return Err(ParquetError::General(READ_FAILED.to_owned()));
        }
        Ok(bytes.into())
    }
}

impl Length for ChunkSource {
    fn len(&self) -> u64 {
        self.source.bytes
    }
}

/// The most that a page's header may take; statistics of long texts are in it.
const PAGE_HEADER_BYTES: u64 = 1 << 20;

impl ChunkReader for ChunkSource {
    type T = bytes::buf::Reader<Bytes>;

    /// Is asked for the header of a page, at the page's beginning, or right behind it.
    fn get_read(&self, start: u64) -> Result<Self::T> {
        let mut ends = self.parts.iter().filter_map(|(offset, part)| {
            let end = offset + part.len() as u64;
            (*offset..end).contains(&start).then_some(end)
        });
        let end = ends.next().unwrap_or(self.source.bytes);
        let length = end.saturating_sub(start).min(PAGE_HEADER_BYTES);
        Ok(self.read(start, length)?.reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes> {
        self.read(start, length as u64)
    }
}

//! Looks through Thrift structures of a Parquet file (compact protocol) before the parquet crate
//! reads them, for what it takes on trust: how deep the schema nests, which it walks by recursion,
//! and how much memory a page's header asks for.
//!
//! Formats: thrift-compact-protocol.md of Apache Thrift, parquet.thrift of Apache Parquet.

const MAX_SCHEMA_DEPTH: usize = 64;
const MAX_SKIP_DEPTH: usize = 16;

/// A page of at most so many bytes is taken however little it was packed into; a larger one must
/// have been packed by a factor that Deflate could reach.
const FREE_PAGE_BYTES: i64 = 1 << 26;
const MAX_PAGE_RATIO: i64 = 1100;

const BOOL_TRUE: u8 = 1;
const BOOL_FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;

type Outcome<T> = Result<T, String>;

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn byte(&mut self) -> Outcome<u8> {
        let (first, rest) = self.bytes.split_first().ok_or("ends too early")?;
        self.bytes = rest;
        Ok(*first)
    }

    fn varint(&mut self) -> Outcome<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err("holds a number of more than 64 bits".to_owned())
    }

    fn integer(&mut self) -> Outcome<i64> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn skip_bytes(&mut self, count: u64) -> Outcome<()> {
        let count = usize::try_from(count).map_err(|error| error.to_string())?;
        self.bytes = self.bytes.get(count..).ok_or("ends too early")?;
        Ok(())
    }

    /// Element type and count.
    fn list(&mut self) -> Outcome<(u8, u64)> {
        let byte = self.byte()?;
        let count = match byte >> 4 {
            15 => self.varint()?,
            count => u64::from(count),
        };
        Ok((byte & 0x0f, count))
    }

    /// Calls `visit` with id and type of each field; it reads the value or returns false.
    fn fields(
        &mut self,
        depth: usize,
        mut visit: impl FnMut(&mut Self, i64, u8) -> Outcome<bool>,
    ) -> Outcome<()> {
        let mut id = 0;
        loop {
            let byte = self.byte()?;
            if byte == 0 {
                return Ok(());
            }
            id = match byte >> 4 {
                0 => self.integer()?,
                delta => id + i64::from(delta),
            };
            let kind = byte & 0x0f;
            if !visit(self, id, kind)? {
                self.skip(kind, depth)?;
            }
        }
    }

    /// Passes over the value of a field.
    fn skip(&mut self, kind: u8, depth: usize) -> Outcome<()> {
        if depth == 0 {
            return Err("nests too deep".to_owned());
        }
        match kind {
            BOOL_TRUE | BOOL_FALSE => Ok(()),
            BYTE => self.skip_bytes(1),
            I16 | I32 | I64 => self.varint().map(|_| ()),
            DOUBLE => self.skip_bytes(8),
            BINARY => {
                let length = self.varint()?;
                self.skip_bytes(length)
            }
            LIST | SET => {
                let (element, count) = self.list()?;
                for _ in 0..count {
                    self.skip_element(element, depth - 1)?;
                }
                Ok(())
            }
            MAP => {
                let count = self.varint()?;
                if count == 0 {
                    return Ok(());
                }
                let kinds = self.byte()?;
                for _ in 0..count {
                    self.skip_element(kinds >> 4, depth - 1)?;
                    self.skip_element(kinds & 0x0f, depth - 1)?;
                }
                Ok(())
            }
            STRUCT => self.fields(depth - 1, |_, _, _| Ok(false)),
            _ => Err(format!("holds a field of the unknown type {kind}")),
        }
    }

    /// In a container, unlike in a field, a bool takes a byte.
    fn skip_element(&mut self, kind: u8, depth: usize) -> Outcome<()> {
        match kind {
            BOOL_TRUE | BOOL_FALSE => self.skip_bytes(1),
            _ => self.skip(kind, depth),
        }
    }
}

/// Refuses a footer (FileMetaData) whose schema nests absurdly deep.
pub fn check_footer(footer: &[u8]) -> Outcome<()> {
    const SCHEMA: i64 = 2;
    let mut reader = Reader { bytes: footer };
    reader.fields(MAX_SKIP_DEPTH, |reader, id, kind| {
        if (id, kind) != (SCHEMA, LIST) {
            return Ok(false);
        }
        let (element, count) = reader.list()?;
        if element != STRUCT {
            return Err("holds a schema that is no list of structures".to_owned());
        }
        // Of each open group: how many of its children are still to come.
        let mut open: Vec<i64> = Vec::new();
        for _ in 0..count {
            let children = schema_children(reader)?;
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
            if children > 0 {
                open.push(children);
            }
            if open.len() > MAX_SCHEMA_DEPTH {
                return Err(format!(
                    "holds a schema of more than {MAX_SCHEMA_DEPTH} levels"
                ));
            }
            while open.last().is_some_and(|left| *left <= 0) {
                open.pop();
            }
        }
        Ok(true)
    })
}

fn schema_children(reader: &mut Reader) -> Outcome<i64> {
    const NUM_CHILDREN: i64 = 5;
    let mut children = 0;
    reader.fields(MAX_SKIP_DEPTH, |reader, id, kind| {
        if (id, kind) != (NUM_CHILDREN, I32) {
            return Ok(false);
        }
        children = reader.integer()?;
        Ok(true)
    })?;
    Ok(children)
}

/// Refuses a column chunk with a page that asks for absurdly much memory, or whose pages do not
/// fill it.
pub fn check_pages(mut chunk: &[u8]) -> Outcome<()> {
    const UNPACKED_BYTES: i64 = 2;
    const PACKED_BYTES: i64 = 3;
    const DICTIONARY_HEADER: i64 = 7;
    while !chunk.is_empty() {
        let mut reader = Reader { bytes: chunk };
        let (mut unpacked, mut packed, mut dictionary_values) = (-1, -1, 0);
        reader
            .fields(MAX_SKIP_DEPTH, |reader, id, kind| {
                match (id, kind) {
                    (UNPACKED_BYTES, I32) => unpacked = reader.integer()?,
                    (PACKED_BYTES, I32) => packed = reader.integer()?,
                    (DICTIONARY_HEADER, STRUCT) => dictionary_values = first_integer(reader)?,
                    _ => return Ok(false),
                }
                Ok(true)
            })
            .map_err(|error| format!("the header of a page {error}"))?;
        if packed < 0 || packed as usize > reader.bytes.len() {
            return Err(format!(
                "a page of {packed} bytes does not fit into the {} left of its column",
                reader.bytes.len()
            ));
        }
        if unpacked < 0 || unpacked > FREE_PAGE_BYTES.max(packed.saturating_mul(MAX_PAGE_RATIO)) {
            return Err(format!(
                "a page of {packed} bytes claims to hold {unpacked}"
            ));
        }
        // Each value of a dictionary takes a byte or more.
        if !(0..=unpacked).contains(&dictionary_values) {
            return Err(format!(
                "a dictionary of {unpacked} bytes claims to hold {dictionary_values} values"
            ));
        }
        chunk = &reader.bytes[packed as usize..];
    }
    Ok(())
}

fn first_integer(reader: &mut Reader) -> Outcome<i64> {
    let mut value = 0;
    reader.fields(MAX_SKIP_DEPTH, |reader, id, kind| {
        if (id, kind) != (1, I32) {
            return Ok(false);
        }
        value = reader.integer()?;
        Ok(true)
    })?;
    Ok(value)
}

//! Arrow columns as JSON text.

use std::fmt::{Debug, Write};

use arrow_array::cast::AsArray;
use arrow_array::temporal_conversions::as_datetime;
use arrow_array::types::*;
use arrow_array::{Array, BooleanArray, PrimitiveArray, RecordBatch};
use arrow_schema::{DataType, Fields, TimeUnit};

/// Writes one value of a column, which is not null.
type WriteValue<'a> = Box<dyn Fn(&mut Vec<u8>, usize) -> Result<(), String> + 'a>;

/// A column, or the values within one.
struct Writer<'a> {
    array: &'a dyn Array,
    has_nulls: bool,
    value: WriteValue<'a>,
}

impl<'a> Writer<'a> {
    fn new(array: &'a dyn Array) -> Result<Self, String> {
        Ok(Writer {
            array,
            has_nulls: array.null_count() > 0,
            value: value_writer(array)?,
        })
    }

    fn write(&self, text: &mut Vec<u8>, index: usize) -> Result<(), String> {
        if self.has_nulls && self.array.is_null(index) {
            text.extend_from_slice(b"null");
            return Ok(());
        }
        (self.value)(text, index)
    }
}

/// Appends each row as a JSON object and a line end.
pub fn write_rows(batch: &RecordBatch, text: &mut Vec<u8>) -> Result<(), String> {
    let schema = batch.schema();
    let columns = members(schema.fields(), batch.columns())?;
    for row in 0..batch.num_rows() {
        write_members(text, &columns, row)?;
        text.push(b'\n');
    }
    Ok(())
}

/// Each column with its `"name":`.
fn members<'a>(
    fields: &Fields,
    columns: &'a [arrow_array::ArrayRef],
) -> Result<Vec<(Vec<u8>, Writer<'a>)>, String> {
    let member = |(field, column): (&arrow_schema::FieldRef, &'a arrow_array::ArrayRef)| {
        let name = field.name();
        let mut key = Vec::new();
        write_string(&mut key, name);
        key.push(b':');
        let writer =
            Writer::new(column.as_ref()).map_err(|error| format!("column '{name}': {error}"))?;
        Ok((key, writer))
    };
    fields.iter().zip(columns).map(member).collect()
}

fn write_members(
    text: &mut Vec<u8>,
    members: &[(Vec<u8>, Writer)],
    index: usize,
) -> Result<(), String> {
    text.push(b'{');
    for (i, (key, writer)) in members.iter().enumerate() {
        if i > 0 {
            text.push(b',');
        }
        text.extend_from_slice(key);
        writer.write(text, index)?;
    }
    text.push(b'}');
    Ok(())
}

fn value_writer<'a>(array: &'a dyn Array) -> Result<WriteValue<'a>, String> {
    Ok(match array.data_type() {
        DataType::Null => Box::new(|text, _| {
            text.extend_from_slice(b"null");
            Ok(())
        }),
        DataType::Boolean => boolean(array.as_boolean()),
        DataType::Int8 => integer(array.as_primitive::<Int8Type>()),
        DataType::Int16 => integer(array.as_primitive::<Int16Type>()),
        DataType::Int32 => integer(array.as_primitive::<Int32Type>()),
        DataType::Int64 => integer(array.as_primitive::<Int64Type>()),
        DataType::UInt8 => integer(array.as_primitive::<UInt8Type>()),
        DataType::UInt16 => integer(array.as_primitive::<UInt16Type>()),
        DataType::UInt32 => integer(array.as_primitive::<UInt32Type>()),
        DataType::UInt64 => integer(array.as_primitive::<UInt64Type>()),
        DataType::Float16 => float(array.as_primitive::<Float16Type>(), |x| x.to_f32()),
        DataType::Float32 => float(array.as_primitive::<Float32Type>(), |x| x),
        DataType::Float64 => float(array.as_primitive::<Float64Type>(), |x| x),
        DataType::Utf8 => {
            let array = array.as_string::<i32>();
            Box::new(|text, index| {
                write_string(text, array.value(index));
                Ok(())
            })
        }
        DataType::Binary => {
            let array = array.as_binary::<i32>();
            Box::new(|text, index| write_binary(text, array.value(index)))
        }
        DataType::FixedSizeBinary(_) => {
            let array = array.as_fixed_size_binary();
            Box::new(|text, index| write_binary(text, array.value(index)))
        }
        DataType::Date32 => {
            let array = array.as_primitive::<Date32Type>();
            quoted(move |index| array.value_as_date(index))
        }
        DataType::Time32(TimeUnit::Millisecond) => {
            let array = array.as_primitive::<Time32MillisecondType>();
            quoted(move |index| array.value_as_time(index))
        }
        DataType::Time64(TimeUnit::Microsecond) => {
            let array = array.as_primitive::<Time64MicrosecondType>();
            quoted(move |index| array.value_as_time(index))
        }
        DataType::Time64(TimeUnit::Nanosecond) => {
            let array = array.as_primitive::<Time64NanosecondType>();
            quoted(move |index| array.value_as_time(index))
        }
        DataType::Timestamp(unit, zone) => {
            let utc = zone.is_some();
            match unit {
                TimeUnit::Second => timestamp(array.as_primitive::<TimestampSecondType>(), utc),
                TimeUnit::Millisecond => {
                    timestamp(array.as_primitive::<TimestampMillisecondType>(), utc)
                }
                TimeUnit::Microsecond => {
                    timestamp(array.as_primitive::<TimestampMicrosecondType>(), utc)
                }
                TimeUnit::Nanosecond => {
                    timestamp(array.as_primitive::<TimestampNanosecondType>(), utc)
                }
            }
        }
        DataType::Decimal32(..) => {
            let array = array.as_primitive::<Decimal32Type>();
            decimal(move |index| array.value_as_string(index))
        }
        DataType::Decimal64(..) => {
            let array = array.as_primitive::<Decimal64Type>();
            decimal(move |index| array.value_as_string(index))
        }
        DataType::Decimal128(..) => {
            let array = array.as_primitive::<Decimal128Type>();
            decimal(move |index| array.value_as_string(index))
        }
        DataType::Decimal256(..) => {
            let array = array.as_primitive::<Decimal256Type>();
            decimal(move |index| array.value_as_string(index))
        }
        DataType::List(_) => list(array)?,
        DataType::Struct(fields) => {
            let members = members(fields, array.as_struct().columns())?;
            Box::new(move |text, index| write_members(text, &members, index))
        }
        DataType::Map(..) => map(array)?,
        other => {
            return Err(format!(
                "values of type {} have no JSON form here; choose other columns",
                type_name(other)
            ))
        }
    })
}

fn boolean(array: &BooleanArray) -> WriteValue<'_> {
    Box::new(|text, index| {
        let value: &[u8] = if array.value(index) {
            b"true"
        } else {
            b"false"
        };
        text.extend_from_slice(value);
        Ok(())
    })
}

fn integer<T>(array: &PrimitiveArray<T>) -> WriteValue<'_>
where
    T: ArrowPrimitiveType,
    T::Native: itoa::Integer + TryInto<u8>,
{
    Box::new(|text, index| {
        let value = array.value(index);
        // The cells of a grid: one digit.
        match value.try_into() {
            Ok(digit @ 0..=9u8) => text.push(b'0' + digit),
            _ => text.extend_from_slice(itoa::Buffer::new().format(value).as_bytes()),
        }
        Ok(())
    })
}

/// The shortest digits that read back as the same number. JSON has no NaN and no infinities: null.
fn float<T: ArrowPrimitiveType, F: Debug + Into<f64> + Copy + 'static>(
    array: &PrimitiveArray<T>,
    convert: fn(T::Native) -> F,
) -> WriteValue<'_> {
    Box::new(move |text, index| {
        let value = convert(array.value(index));
        if value.into().is_finite() {
            let mut shortest = String::new();
            let _ = write!(shortest, "{value:?}");
            text.extend_from_slice(shortest.as_bytes());
        } else {
            text.extend_from_slice(b"null");
        }
        Ok(())
    })
}

/// The Debug form of chrono's types is ISO 8601.
fn quoted<'a, T: Debug>(value: impl Fn(usize) -> Option<T> + 'a) -> WriteValue<'a> {
    Box::new(move |text, index| {
        let value = value(index).ok_or("a date or time is out of range")?;
        text.extend_from_slice(format!("\"{value:?}\"").as_bytes());
        Ok(())
    })
}

fn timestamp<T>(array: &PrimitiveArray<T>, utc: bool) -> WriteValue<'_>
where
    T: ArrowTimestampType,
{
    Box::new(move |text, index| {
        let time = as_datetime::<T>(array.value(index)).ok_or("a timestamp is out of range")?;
        let zone = if utc { "Z" } else { "" };
        text.extend_from_slice(format!("\"{time:?}{zone}\"").as_bytes());
        Ok(())
    })
}

fn decimal<'a>(value: impl Fn(usize) -> String + 'a) -> WriteValue<'a> {
    Box::new(move |text, index| {
        write_string(text, &value(index));
        Ok(())
    })
}

fn list(array: &dyn Array) -> Result<WriteValue<'_>, String> {
    let array = array.as_list::<i32>();
    let items = Writer::new(array.values().as_ref())?;
    let offsets = array.value_offsets();
    Ok(Box::new(move |text, index| {
        let begin = offsets[index] as usize;
        text.push(b'[');
        for item in begin..offsets[index + 1] as usize {
            if item > begin {
                text.push(b',');
            }
            items.write(text, item)?;
        }
        text.push(b']');
        Ok(())
    }))
}

fn map(array: &dyn Array) -> Result<WriteValue<'_>, String> {
    let array = array.as_map();
    let keys = Writer::new(array.keys().as_ref())?;
    let values = Writer::new(array.values().as_ref())?;
    let offsets = array.value_offsets();
    Ok(Box::new(move |text, index| {
        let begin = offsets[index] as usize;
        text.push(b'{');
        for entry in begin..offsets[index + 1] as usize {
            if entry > begin {
                text.push(b',');
            }
            let key_begin = text.len();
            keys.write(text, entry)?;
            // A name is a string, whatever the keys are.
            if text[key_begin] != b'"' {
                let key = String::from_utf8_lossy(&text.split_off(key_begin)).into_owned();
                write_string(text, &key);
            }
            text.push(b':');
            values.write(text, entry)?;
        }
        text.push(b'}');
        Ok(())
    }))
}

fn write_binary(text: &mut Vec<u8>, bytes: &[u8]) -> Result<(), String> {
    let string = std::str::from_utf8(bytes)
        .map_err(|_| "binary data that is not UTF-8 has no JSON form; choose other columns")?;
    write_string(text, string);
    Ok(())
}

fn write_string(text: &mut Vec<u8>, string: &str) {
    text.push(b'"');
    let bytes = string.as_bytes();
    let mut begin = 0;
    for (i, &byte) in bytes.iter().enumerate() {
        if byte >= b' ' && byte != b'"' && byte != b'\\' {
            continue;
        }
        text.extend_from_slice(&bytes[begin..i]);
        begin = i + 1;
        match byte {
            b'"' => text.extend_from_slice(b"\\\""),
            b'\\' => text.extend_from_slice(b"\\\\"),
            b'\n' => text.extend_from_slice(b"\\n"),
            b'\r' => text.extend_from_slice(b"\\r"),
            b'\t' => text.extend_from_slice(b"\\t"),
            _ => text.extend_from_slice(format!("\\u{byte:04x}").as_bytes()),
        }
    }
    text.extend_from_slice(&bytes[begin..]);
    text.push(b'"');
}

/// A type as people write it: "list<list<int64>>".
pub fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Boolean => "bool".to_owned(),
        DataType::Utf8 => "string".to_owned(),
        DataType::Date32 => "date".to_owned(),
        DataType::Time32(_) | DataType::Time64(_) => "time".to_owned(),
        DataType::Timestamp(_, Some(_)) => "timestamp (UTC)".to_owned(),
        DataType::Timestamp(_, None) => "timestamp".to_owned(),
        DataType::FixedSizeBinary(bytes) => format!("binary({bytes})"),
        DataType::Decimal32(precision, scale)
        | DataType::Decimal64(precision, scale)
        | DataType::Decimal128(precision, scale)
        | DataType::Decimal256(precision, scale) => format!("decimal({precision}, {scale})"),
        DataType::List(item) => format!("list<{}>", type_name(item.data_type())),
        DataType::Struct(fields) => {
            let members: Vec<String> = fields
                .iter()
                .map(|field| format!("{}: {}", field.name(), type_name(field.data_type())))
                .collect();
            format!("struct<{}>", members.join(", "))
        }
        DataType::Map(entries, _) => match entries.data_type() {
            DataType::Struct(fields) if fields.len() == 2 => format!(
                "map<{}, {}>",
                type_name(fields[0].data_type()),
                type_name(fields[1].data_type())
            ),
            other => format!("map<{}>", type_name(other)),
        },
        other => other.to_string().to_lowercase(),
    }
}

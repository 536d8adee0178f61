//! `json.dumps` of Python, which Hugging Face puts in the place of Jinja's `tojson`: separators
//! ", " and ": ", nothing escaped for HTML.

use std::fmt::Write;

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};

// A template can nest values as deep as it likes; the stack cannot.
const MAX_DEPTH: usize = 200;

#[derive(Clone, Copy)]
pub struct DumpOptions {
    /// Spaces for each level, one item a line; everything on one line if there is none.
    pub indent: Option<usize>,
    pub ensure_ascii: bool,
}

pub fn dump(value: &Value, options: DumpOptions) -> Result<String, Error> {
    let mut writer = Writer {
        text: String::new(),
        options,
        depth: 0,
    };
    writer.value(value)?;
    Ok(writer.text)
}

struct Writer {
    text: String,
    options: DumpOptions,
    depth: usize,
}

impl Writer {
    fn value(&mut self, value: &Value) -> Result<(), Error> {
        match value.kind() {
            ValueKind::Seq | ValueKind::Iterable => {
                self.container('[', ']', value.try_iter()?, |writer, item| {
                    writer.value(&item)
                })
            }
            ValueKind::Map => self.container('{', '}', value.try_iter()?, |writer, key| {
                writer.key(&key)?;
                writer.text.push_str(": ");
                writer.value(&value.get_item(&key)?)
            }),
            ValueKind::String => {
                self.string(value.as_str().unwrap_or_default());
                Ok(())
            }
            _ => {
                self.text.push_str(&scalar(value)?);
                Ok(())
            }
        }
    }

    fn key(&mut self, key: &Value) -> Result<(), Error> {
        match key.as_str() {
            Some(text) => self.string(text),
            None => self.string(&scalar(key)?),
        }
        Ok(())
    }

    fn container(
        &mut self,
        open: char,
        close: char,
        items: impl Iterator<Item = Value>,
        mut write_item: impl FnMut(&mut Self, Value) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.depth == MAX_DEPTH {
            return Err(Error::new(
                ErrorKind::InvalidOperation,
                "tojson: nested too deep",
            ));
        }
        self.depth += 1;
        self.text.push(open);
        let mut empty = true;
        for item in items {
            if !empty {
                self.text.push_str(if self.options.indent.is_some() {
                    ","
                } else {
                    ", "
                });
            }
            empty = false;
            self.new_line();
            write_item(self, item)?;
        }
        self.depth -= 1;
        if !empty {
            self.new_line();
        }
        self.text.push(close);
        Ok(())
    }

    fn new_line(&mut self) {
        if let Some(indent) = self.options.indent {
            self.text.push('\n');
            self.text
                .extend(std::iter::repeat_n(' ', indent * self.depth));
        }
    }

    fn string(&mut self, text: &str) {
        self.text.push('"');
        for character in text.chars() {
            match character {
                '"' => self.text.push_str("\\\""),
                '\\' => self.text.push_str("\\\\"),
                '\n' => self.text.push_str("\\n"),
                '\r' => self.text.push_str("\\r"),
                '\t' => self.text.push_str("\\t"),
                '\u{8}' => self.text.push_str("\\b"),
                '\u{c}' => self.text.push_str("\\f"),
                _ if character < ' ' || (self.options.ensure_ascii && character > '~') => {
                    for unit in character.encode_utf16(&mut [0; 2]) {
                        let _ = write!(self.text, "\\u{unit:04x}");
                    }
                }
                _ => self.text.push(character),
            }
        }
        self.text.push('"');
    }
}

/// Everything but strings and containers.
fn scalar(value: &Value) -> Result<String, Error> {
    match value.kind() {
        ValueKind::None => Ok("null".to_owned()),
        ValueKind::Bool => Ok(if value.is_true() { "true" } else { "false" }.to_owned()),
        ValueKind::Number if value.is_integer() => Ok(value.to_string()),
        ValueKind::Number => Ok(python_float(f64::try_from(value.clone())?)),
        kind => Err(Error::new(
            ErrorKind::InvalidOperation,
            format!("tojson: a value of kind '{kind}' has no JSON form"),
        )),
    }
}

/// `repr` of a Python float: the shortest digits that read back as the same number, with an exponent
/// below 1e-4 and from 1e16 on.
fn python_float(number: f64) -> String {
    if number.is_nan() {
        return "NaN".to_owned();
    }
    if number.is_infinite() {
        return if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        }
        .to_owned();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..16).contains(&exponent) {
        format!("{number:?}")
    } else {
        let sign = if exponent < 0 { '-' } else { '+' };
        format!("{digits}e{sign}{:02}", exponent.abs())
    }
}

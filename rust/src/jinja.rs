//! Jinja in the environment that Hugging Face gives its chat templates.

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error, ErrorKind};

use crate::python_json::{dump, DumpOptions};

/// What one rendering may cost: an instruction is 1, and so are 64 bytes of text made. Enough for
/// 640 MB of text or about a second of loops. Templates come from strangers.
const FUEL: u64 = 10_000_000;

pub fn environment() -> Result<Environment<'static>, Error> {
    let mut environment = Environment::new();
    environment.set_syntax(
        SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build()?,
    );
    environment.set_fuel(Some(FUEL));
    environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
    environment.add_filter("tojson", tojson);
    environment.add_function("raise_exception", raise_exception);
    Ok(environment)
}

fn raise_exception(message: String) -> Result<String, Error> {
    Err(Error::new(ErrorKind::InvalidOperation, message))
}

fn tojson(value: &Value, arguments: Kwargs) -> Result<Value, Error> {
    let options = DumpOptions {
        indent: arguments.get::<Option<usize>>("indent")?,
        ensure_ascii: arguments
            .get::<Option<bool>>("ensure_ascii")?
            .unwrap_or(false),
    };
    arguments.assert_all_used()?;
    Ok(Value::from(dump(value, options)?))
}

/// The error and what caused it, as one sentence.
pub fn describe(error: &Error) -> String {
    with_causes(error.to_string(), error)
}

/// As `describe`, but "NAME:LINE: what is wrong".
pub fn describe_with_place(error: &Error) -> String {
    let mut text = match (error.name(), error.line()) {
        (Some(name), Some(line)) => format!("{name}:{line}: {}", error.kind()),
        (Some(name), None) => format!("{name}: {}", error.kind()),
        _ => error.kind().to_string(),
    };
    if let Some(detail) = error.detail() {
        text.push_str(": ");
        text.push_str(detail);
    }
    with_causes(text, error)
}

fn with_causes(mut text: String, error: &Error) -> String {
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

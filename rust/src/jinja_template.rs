//! Jinja templates of prompts: one JSON object in, one text out.

use minijinja::value::{Serde, Value};
use minijinja::{Environment, UndefinedBehavior};
use serde_json::{Map, Value as Json};

use crate::abi::{free_handle, guarded, text_of, Array};
use crate::jinja::{describe_with_place, environment};

pub struct JinjaTemplate {
    environment: Environment<'static>,
    name: String,
}

impl JinjaTemplate {
    fn new(source: &str, name: &str) -> Result<Self, String> {
        let mut environment = environment().map_err(|error| describe_with_place(&error))?;
        environment.set_undefined_behavior(UndefinedBehavior::Strict);
        // Else messages do not name the variable.
        environment.set_debug(true);
        // By default the name's ending decides about escaping: prompts are never HTML.
        environment.set_auto_escape_callback(|_| minijinja::AutoEscape::None);
        environment
            .add_template_owned(name.to_owned(), source.to_owned())
            .map_err(|error| describe_with_place(&error))?;
        Ok(JinjaTemplate {
            environment,
            name: name.to_owned(),
        })
    }

    fn render(&self, context: &str) -> Result<String, String> {
        let context: Map<String, Json> = serde_json::from_str(context)
            .map_err(|error| format!("{}: the context is no JSON object: {error}", self.name))?;
        self.environment
            .get_template(&self.name)
            .and_then(|template| template.render(Value::from(Serde(context))))
            .map_err(|error| describe_with_place(&error))
    }
}

/// # Safety
/// See the header: texts readable for their lengths; `jinja_template` and `error` writable.
#[no_mangle]
pub unsafe extern "C" fn thresher_jinja_template_new(
    source: *const u8,
    source_length: usize,
    name: *const u8,
    name_length: usize,
    jinja_template: *mut *mut JinjaTemplate,
    error: *mut Array<u8>,
) -> i32 {
    guarded(jinja_template, error, || {
        let source = text_of(source, source_length)?;
        let name = text_of(name, name_length)?;
        Ok(Box::into_raw(Box::new(JinjaTemplate::new(source, name)?)))
    })
}

/// # Safety
/// `jinja_template` must come from `thresher_jinja_template_new` and be freed once, or be null.
#[no_mangle]
pub unsafe extern "C" fn thresher_jinja_template_free(jinja_template: *mut JinjaTemplate) {
    free_handle(jinja_template);
}

/// # Safety
/// See the header: a live `jinja_template`, readable `context`, writable `text` and `error`.
#[no_mangle]
pub unsafe extern "C" fn thresher_jinja_template_render(
    jinja_template: *const JinjaTemplate,
    context: *const u8,
    context_length: usize,
    text: *mut Array<u8>,
    error: *mut Array<u8>,
) -> i32 {
    guarded(text, error, || {
        let context = text_of(context, context_length)?;
        Ok((*jinja_template).render(context)?.into_bytes().into())
    })
}

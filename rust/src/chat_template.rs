//! Chat templates, rendered as Hugging Face does.

use std::ffi::CString;

use minijinja::value::{Serde, Value};
use minijinja::{context, Environment, Error, ErrorKind};
use serde_json::{Map, Value as Json};

use crate::abi::{free_handle, guarded, text_of, Array};
use crate::jinja::{describe, environment};

const TEMPLATE_NAME: &str = "chat_template";

pub struct ChatTemplate {
    environment: Environment<'static>,
    special_tokens: Value,
}

impl ChatTemplate {
    fn new(source: &str, special_tokens: &str, now_unix_seconds: i64) -> Result<Self, String> {
        let special_tokens: Map<String, Json> =
            serde_json::from_str(special_tokens).map_err(|error| error.to_string())?;
        let mut environment = environment().map_err(|error| describe(&error))?;
        environment.add_function("strftime_now", move |format: String| {
            strftime(now_unix_seconds, format)
        });
        environment
            .add_template_owned(TEMPLATE_NAME, source.to_owned())
            .map_err(|error| describe(&error))?;
        Ok(ChatTemplate {
            environment,
            special_tokens: Value::from(Serde(special_tokens)),
        })
    }

    fn render(&self, messages: &str, add_generation_prompt: bool) -> Result<String, String> {
        let messages: Vec<Json> =
            serde_json::from_str(messages).map_err(|error| error.to_string())?;
        let template = self
            .environment
            .get_template(TEMPLATE_NAME)
            .map_err(|e| describe(&e))?;
        // Hugging Face passes tools and documents even when there are none.
        template
            .render(context! {
                messages => Value::from(Serde(messages)),
                add_generation_prompt,
                tools => (),
                documents => (),
                ..self.special_tokens.clone()
            })
            .map_err(|error| describe(&error))
    }
}

/// C's strftime, as in Python, in UTC.
fn strftime(unix_seconds: i64, format: String) -> Result<String, Error> {
    let invalid = |message: &str| Error::new(ErrorKind::InvalidOperation, message.to_owned());
    // The final space tells an empty result from one that does not fit: both have length 0.
    let format = CString::new(format + " ")
        .map_err(|_| invalid("strftime_now: the format holds a zero byte"))?;
    let mut buffer = [0u8; 1024];
    // SAFETY: `time` is plain data that gmtime_r fills; strftime stays within `buffer`.
    let length = unsafe {
        let mut time: libc::tm = std::mem::zeroed();
        libc::gmtime_r(&unix_seconds, &mut time);
        libc::strftime(
            buffer.as_mut_ptr().cast(),
            buffer.len(),
            format.as_ptr(),
            &time,
        )
    };
    if length == 0 {
        return Err(invalid("strftime_now: the result is too long"));
    }
    String::from_utf8(buffer[..length - 1].to_vec())
        .map_err(|_| invalid("strftime_now: the result is not UTF-8"))
}

/// # Safety
/// See the header: texts readable for their lengths; `chat_template` and `error` writable.
#[no_mangle]
pub unsafe extern "C" fn thresher_chat_template_new(
    source: *const u8,
    source_length: usize,
    special_tokens: *const u8,
    special_tokens_length: usize,
    now_unix_seconds: i64,
    chat_template: *mut *mut ChatTemplate,
    error: *mut Array<u8>,
) -> i32 {
    guarded(chat_template, error, || {
        let source = text_of(source, source_length)?;
        let special_tokens = text_of(special_tokens, special_tokens_length)?;
        let loaded = ChatTemplate::new(source, special_tokens, now_unix_seconds)?;
        Ok(Box::into_raw(Box::new(loaded)))
    })
}

/// # Safety
/// `chat_template` must come from `thresher_chat_template_new` and be freed once, or be null.
#[no_mangle]
pub unsafe extern "C" fn thresher_chat_template_free(chat_template: *mut ChatTemplate) {
    free_handle(chat_template);
}

/// # Safety
/// See the header: a live `chat_template`, readable `messages`, writable `text` and `error`.
#[no_mangle]
pub unsafe extern "C" fn thresher_chat_template_render(
    chat_template: *const ChatTemplate,
    messages: *const u8,
    messages_length: usize,
    add_generation_prompt: bool,
    text: *mut Array<u8>,
    error: *mut Array<u8>,
) -> i32 {
    guarded(text, error, || {
        let messages = text_of(messages, messages_length)?;
        let rendered = (*chat_template).render(messages, add_generation_prompt)?;
        Ok(rendered.into_bytes().into())
    })
}

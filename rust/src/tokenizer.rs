//! Hugging Face tokenizers.

use tokenizers::Tokenizer;

use crate::abi::{bytes_of, free_handle, guarded, text_of, Array};

/// # Safety
/// See the header: `json` is readable for `length` bytes; `tokenizer` and `error` are writable.
#[no_mangle]
pub unsafe extern "C" fn thresher_tokenizer_new(
    json: *const u8,
    length: usize,
    tokenizer: *mut *mut Tokenizer,
    error: *mut Array<u8>,
) -> i32 {
    guarded(tokenizer, error, || {
        let mut loaded =
            Tokenizer::from_bytes(bytes_of(json, length)).map_err(|error| error.to_string())?;
        // The file keeps the settings of whoever saved it last; the caller cuts and packs itself.
        loaded
            .with_truncation(None)
            .map_err(|error| error.to_string())?;
        loaded.with_padding(None);
        Ok(Box::into_raw(Box::new(loaded)))
    })
}

/// # Safety
/// `tokenizer` must come from `thresher_tokenizer_new` and be freed once, or be null.
#[no_mangle]
pub unsafe extern "C" fn thresher_tokenizer_free(tokenizer: *mut Tokenizer) {
    free_handle(tokenizer);
}

/// # Safety
/// See the header: a live `tokenizer`, `text` readable for `length` bytes, writable `ids`, `error`.
#[no_mangle]
pub unsafe extern "C" fn thresher_tokenizer_encode(
    tokenizer: *const Tokenizer,
    text: *const u8,
    length: usize,
    add_special_tokens: bool,
    ids: *mut Array<u32>,
    error: *mut Array<u8>,
) -> i32 {
    guarded(ids, error, || {
        let text = text_of(text, length)?;
        // The "fast" form only leaves out the offsets into the text, which nobody asks for.
        let encoding = (*tokenizer)
            .encode_fast(text, add_special_tokens)
            .map_err(|error| error.to_string())?;
        Ok(encoding.get_ids().to_vec().into())
    })
}

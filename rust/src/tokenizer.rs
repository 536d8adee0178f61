//! Hugging Face tokenizers.

use tokenizers::tokenizer::{Model, OffsetType, PreTokenizer};
use tokenizers::{Encoding, Tokenizer};

use crate::abi::{bytes_of, free_handle, guarded, text_of, Array};
use crate::fast_tokenizer::FastTokenizer;

pub struct LoadedTokenizer {
    tokenizer: Tokenizer,
    /// Of the added tokens that the file calls special; ascending.
    special_ids: Vec<u32>,
    /// What the post-processor puts in front.
    bos: Option<u32>,
    fast: Option<FastTokenizer>,
}

/// Arrays of the same length, as ThresherEncoding of the header.
#[repr(C)]
pub struct OffsetEncoding {
    ids: Array<u32>,
    begins: Array<u64>,
    special: Array<u8>,
}

fn text<E: ToString>(error: E) -> String {
    error.to_string()
}

impl LoadedTokenizer {
    fn new(json: &[u8]) -> Result<Self, String> {
        let mut tokenizer = Tokenizer::from_bytes(json).map_err(text)?;
        // The file keeps the settings of whoever saved it last; the caller cuts and packs itself.
        tokenizer.with_truncation(None).map_err(text)?;
        tokenizer.with_padding(None);
        let mut special_ids: Vec<u32> = (tokenizer.get_added_tokens_decoder().into_iter())
            .filter(|(_, token)| token.special)
            .map(|(id, _)| id)
            .collect();
        special_ids.sort_unstable();
        let empty = tokenizer
            .post_process(Encoding::default(), None, true)
            .map_err(text)?;
        let with_text = tokenizer.encode("a", true).map_err(text)?;
        // Without the text one cannot tell the front from the back.
        let bos = (!empty.get_ids().is_empty()
            && with_text.get_special_tokens_mask().first() == Some(&1))
        .then(|| with_text.get_ids()[0]);
        Ok(LoadedTokenizer {
            fast: FastTokenizer::new(&tokenizer),
            tokenizer,
            special_ids,
            bos,
        })
    }

    /// Before the post-processor: with the offsets of each token's own text, which some
    /// post-processors cut.
    fn encode_text(&self, text: &str) -> tokenizers::Result<Encoding> {
        let vocabulary = self.tokenizer.get_added_vocabulary();
        let mut pieces = vocabulary.extract_and_normalize(self.tokenizer.get_normalizer(), text);
        if let Some(pre_tokenizer) = self.tokenizer.get_pre_tokenizer() {
            pre_tokenizer.pre_tokenize(&mut pieces)?;
        }
        let model = self.tokenizer.get_model();
        pieces.tokenize(|piece| model.tokenize(piece.get()))?;
        pieces.into_encoding(None, 0, OffsetType::Byte)
    }

    fn is_special(&self, id: u32) -> bool {
        self.special_ids.binary_search(&id).is_ok()
    }

    fn encode(&self, text: &str, add_special_tokens: bool) -> tokenizers::Result<Vec<u32>> {
        if let Some(fast) = &self.fast {
            if let Some(tokens) = fast.encode(&self.tokenizer, text, false)? {
                return Ok(if add_special_tokens {
                    [fast.front(), &tokens.ids, fast.back()].concat()
                } else {
                    tokens.ids
                });
            }
        }
        // The "fast" form only leaves out the offsets into the text.
        let encoding = self.tokenizer.encode_fast(text, add_special_tokens)?;
        Ok(encoding.get_ids().to_vec())
    }

    fn encode_with_offsets(
        &self,
        text: &str,
        add_special_tokens: bool,
    ) -> tokenizers::Result<OffsetEncoding> {
        if let Some(fast) = &self.fast {
            if let Some(tokens) = fast.encode(&self.tokenizer, text, true)? {
                let (front, back) = match add_special_tokens {
                    true => (fast.front(), fast.back()),
                    false => (&[][..], &[][..]),
                };
                let special: Vec<u8> = (tokens.ids.iter())
                    .map(|&id| u8::from(self.is_special(id)))
                    .collect();
                let fronts = front.len();
                let backs = back.len();
                return Ok(OffsetEncoding {
                    ids: [front, &tokens.ids, back].concat().into(),
                    begins: [
                        vec![0; fronts],
                        tokens.begins,
                        vec![text.len() as u64; backs],
                    ]
                    .concat()
                    .into(),
                    special: [vec![1; fronts], special, vec![1; backs]].concat().into(),
                });
            }
        }
        self.encode_with_offsets_slowly(text, add_special_tokens)
    }

    fn encode_with_offsets_slowly(
        &self,
        text: &str,
        add_special_tokens: bool,
    ) -> tokenizers::Result<OffsetEncoding> {
        let own = self.encode_text(text)?;
        let own_begins: Vec<u64> = (own.get_offsets().iter())
            .map(|offsets| offsets.0 as u64)
            .collect();
        let all = self.tokenizer.post_process(own, None, add_special_tokens)?;
        let mut begins = Vec::with_capacity(all.len());
        let mut special = Vec::with_capacity(all.len());
        let mut next_own = 0;
        for (&id, &added) in all.get_ids().iter().zip(all.get_special_tokens_mask()) {
            if added == 1 {
                let at_end = next_own == own_begins.len();
                begins.push(if at_end { text.len() as u64 } else { 0 });
                special.push(1);
            } else {
                let begin = own_begins
                    .get(next_own)
                    .ok_or("the post-processor adds tokens that it does not mark as special")?;
                begins.push(*begin);
                special.push(u8::from(self.is_special(id)));
                next_own += 1;
            }
        }
        if next_own != own_begins.len() {
            return Err("the post-processor takes tokens away".into());
        }
        Ok(OffsetEncoding {
            ids: all.get_ids().to_vec().into(),
            begins: begins.into(),
            special: special.into(),
        })
    }
}

/// # Safety
/// See the header: `json` is readable for `length` bytes; `tokenizer` and `error` are writable.
#[no_mangle]
pub unsafe extern "C" fn thresher_tokenizer_new(
    json: *const u8,
    length: usize,
    tokenizer: *mut *mut LoadedTokenizer,
    error: *mut Array<u8>,
) -> i32 {
    guarded(tokenizer, error, || {
        let loaded = LoadedTokenizer::new(bytes_of(json, length))?;
        Ok(Box::into_raw(Box::new(loaded)))
    })
}

/// # Safety
/// `tokenizer` must come from `thresher_tokenizer_new` and be freed once, or be null.
#[no_mangle]
pub unsafe extern "C" fn thresher_tokenizer_free(tokenizer: *mut LoadedTokenizer) {
    free_handle(tokenizer);
}

/// # Safety
/// A live `tokenizer`, writable `ids`.
#[no_mangle]
pub unsafe extern "C" fn thresher_tokenizer_special_ids(
    tokenizer: *const LoadedTokenizer,
) -> Array<u32> {
    (*tokenizer).special_ids.clone().into()
}

/// # Safety
/// A live `tokenizer`.
#[no_mangle]
pub unsafe extern "C" fn thresher_tokenizer_bos(tokenizer: *const LoadedTokenizer) -> i64 {
    (*tokenizer).bos.map_or(-1, i64::from)
}

/// # Safety
/// See the header: a live `tokenizer`, `text` readable for `length` bytes, writable `ids`, `error`.
#[no_mangle]
pub unsafe extern "C" fn thresher_tokenizer_encode(
    tokenizer: *const LoadedTokenizer,
    text: *const u8,
    length: usize,
    add_special_tokens: bool,
    ids: *mut Array<u32>,
    error: *mut Array<u8>,
) -> i32 {
    guarded(ids, error, || {
        let text = text_of(text, length)?;
        Ok((*tokenizer)
            .encode(text, add_special_tokens)
            .map_err(|error| error.to_string())?
            .into())
    })
}

/// # Safety
/// As for `thresher_tokenizer_encode`.
#[no_mangle]
pub unsafe extern "C" fn thresher_tokenizer_encode_with_offsets(
    tokenizer: *const LoadedTokenizer,
    text: *const u8,
    length: usize,
    add_special_tokens: bool,
    encoding: *mut OffsetEncoding,
    error: *mut Array<u8>,
) -> i32 {
    guarded(encoding, error, || {
        let text = text_of(text, length)?;
        Ok((*tokenizer)
            .encode_with_offsets(text, add_special_tokens)
            .map_err(|error| error.to_string())?)
    })
}

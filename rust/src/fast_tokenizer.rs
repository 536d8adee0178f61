//! A short cut through byte-level tokenizers with well-known pre-tokenizers. A word's tokens come
//! from the tokenizers crate once and are then remembered; words are found by `word_splitter`, and
//! nothing is kept for each byte of the text. Gives what the crate gives, or nothing.

use std::sync::Mutex;

use ahash::AHashMap;
use serde_json::{json, Value as Json};
use tokenizers::models::ModelWrapper;
use tokenizers::normalizers::NormalizerWrapper;
use tokenizers::tokenizer::{Model, OffsetReferential, OffsetType};
use tokenizers::Tokenizer;

use crate::word_splitter::{for_each_word, Pattern, GPT2, LLAMA3, QWEN2};

/// The words that one thread remembers at most, and the longest of them.
const REMEMBERED_WORDS: usize = 1 << 16;
const REMEMBERED_WORD_BYTES: usize = 64;

pub struct FastTokenizer {
    pattern: Pattern,
    normalizes: bool,
    /// What the post-processor adds.
    front: Vec<u32>,
    back: Vec<u32>,
    /// The printable character that stands for each byte.
    byte_characters: [char; 256],
    /// Bytes that the model has no token for, and whether there are any.
    unknown_bytes: [bool; 256],
    any_unknown: bool,
    /// Each thread takes one for the time of a call.
    memories: Mutex<Vec<Memory>>,
}

/// Tokens without those of the post-processor.
#[derive(Default)]
pub struct Tokens {
    pub ids: Vec<u32>,
    /// Where each begins in the text; empty if nobody asked.
    pub begins: Vec<u64>,
}

#[derive(Default)]
struct Memory {
    /// For each word where its tokens stand in `tokens`.
    words: AHashMap<Box<str>, (u32, u32)>,
    tokens: Vec<WordToken>,
}

#[derive(Clone, Copy)]
struct WordToken {
    id: u32,
    /// How much of the word it stands for.
    bytes: u32,
}

impl FastTokenizer {
    /// Nothing if there is no short cut for this tokenizer.
    pub fn new(tokenizer: &Tokenizer) -> Option<Self> {
        let pattern = pattern_of(&json_of(tokenizer.get_pre_tokenizer())?)?;
        let normalizes = match json_of(tokenizer.get_normalizer())? {
            Json::Null => false,
            normalizer if normalizer == json!({"type": "NFC"}) => true,
            _ => return None,
        };
        if !adds_around(&json_of(tokenizer.get_post_processor())?) {
            return None;
        }
        let byte_characters = byte_characters();
        let ModelWrapper::BPE(model) = tokenizer.get_model() else {
            return None;
        };
        let is_unknown = |character: char| model.token_to_id(&character.to_string()).is_none();
        let unknown_bytes = byte_characters.map(is_unknown);
        let plain = model.dropout.is_none()
            && model
                .continuing_subword_prefix
                .as_deref()
                .unwrap_or("")
                .is_empty()
            && model.end_of_word_suffix.as_deref().unwrap_or("").is_empty();
        if !plain {
            return None;
        }
        let with_text = tokenizer.encode("a", true).ok()?;
        let added = with_text.get_special_tokens_mask();
        let front = added.iter().take_while(|&&mark| mark == 1).count();
        let back = added[front..].iter().rev().take_while(|&&mark| mark == 1);
        let back = added.len() - back.count();
        Some(FastTokenizer {
            pattern,
            normalizes,
            front: with_text.get_ids()[..front].to_vec(),
            back: with_text.get_ids()[back..].to_vec(),
            byte_characters,
            any_unknown: unknown_bytes.contains(&true),
            unknown_bytes,
            memories: Mutex::new(Vec::new()),
        })
    }

    pub fn front(&self) -> &[u32] {
        &self.front
    }

    pub fn back(&self) -> &[u32] {
        &self.back
    }

    /// Nothing if this text needs more than the short cut does.
    pub fn encode(
        &self,
        tokenizer: &Tokenizer,
        text: &str,
        with_begins: bool,
    ) -> tokenizers::Result<Option<Tokens>> {
        if self.normalizes && !is_surely_normal(text) {
            return Ok(None);
        }
        // The model passes over what it does not know, and its offsets do not tell where.
        if self.any_unknown
            && text
                .bytes()
                .any(|byte| self.unknown_bytes[usize::from(byte)])
        {
            return Ok(None);
        }
        let mut memory = self.take_memory();
        let mut tokens = Tokens::default();
        let mut add = |begin: usize, id: u32| {
            tokens.ids.push(id);
            if with_begins {
                tokens.begins.push(begin as u64);
            }
        };
        let pieces = tokenizer
            .get_added_vocabulary()
            .extract_and_normalize(None::<&NormalizerWrapper>, text);
        for (piece, (begin, _), added) in
            pieces.get_splits(OffsetReferential::Original, OffsetType::Byte)
        {
            if let Some(added) = added {
                for token in added {
                    add(begin, token.id);
                }
                continue;
            }
            let mut at = begin;
            for_each_word(self.pattern, piece, |word| {
                for token in self.word_tokens(tokenizer.get_model(), word, &mut memory)? {
                    add(text.floor_char_boundary(at), token.id);
                    at += token.bytes as usize;
                }
                tokenizers::Result::Ok(())
            })?;
        }
        self.give_back(memory);
        Ok(Some(tokens))
    }

    fn word_tokens<'a>(
        &self,
        model: &ModelWrapper,
        word: &str,
        memory: &'a mut Memory,
    ) -> tokenizers::Result<&'a [WordToken]> {
        if let Some(&(begin, end)) = memory.words.get(word) {
            return Ok(&memory.tokens[begin as usize..end as usize]);
        }
        if memory.words.len() >= REMEMBERED_WORDS {
            *memory = Memory::default();
        }
        let mapped: String = (word.bytes())
            .map(|byte| self.byte_characters[usize::from(byte)])
            .collect();
        let begin = memory.tokens.len();
        for token in model.tokenize(&mapped)? {
            let bytes = mapped[token.offsets.0..token.offsets.1].chars().count() as u32;
            memory.tokens.push(WordToken {
                id: token.id,
                bytes,
            });
        }
        let end = memory.tokens.len();
        if word.len() <= REMEMBERED_WORD_BYTES {
            memory.words.insert(word.into(), (begin as u32, end as u32));
        }
        Ok(&memory.tokens[begin..])
    }

    fn take_memory(&self) -> Memory {
        let mut memories = self
            .memories
            .lock()
            .unwrap_or_else(|lock| lock.into_inner());
        memories.pop().unwrap_or_default()
    }

    fn give_back(&self, memory: Memory) {
        // Long words, which are not remembered, leave their tokens behind.
        if memory.tokens.len() > REMEMBERED_WORDS * REMEMBERED_WORD_BYTES {
            return;
        }
        let mut memories = self
            .memories
            .lock()
            .unwrap_or_else(|lock| lock.into_inner());
        memories.push(memory);
    }
}

fn json_of<T: serde::Serialize>(part: Option<&T>) -> Option<Json> {
    serde_json::to_value(part).ok()
}

fn pattern_of(pre_tokenizer: &Json) -> Option<Pattern> {
    let is_byte_level = |part: &Json, use_regex: bool| {
        part["type"] == "ByteLevel"
            && part["add_prefix_space"] == false
            && part["use_regex"] == use_regex
    };
    if is_byte_level(pre_tokenizer, true) {
        return Some(Pattern::Gpt2);
    }
    if pre_tokenizer["type"] != "Sequence" {
        return None;
    }
    let [first, second] = pre_tokenizer["pretokenizers"].as_array()?.as_slice() else {
        return None;
    };
    if *first == json!({"type": "Digits", "individual_digits": true}) {
        return is_byte_level(second, true).then_some(Pattern::DigitsThenGpt2);
    }
    let plain_split = first["type"] == "Split"
        && first["behavior"] == "Isolated"
        && first["invert"] == false
        && is_byte_level(second, false);
    match first["pattern"]["Regex"].as_str().filter(|_| plain_split)? {
        GPT2 => Some(Pattern::Gpt2),
        LLAMA3 => Some(Pattern::Llama3 { digits: 3 }),
        QWEN2 => Some(Pattern::Llama3 { digits: 1 }),
        _ => None,
    }
}

/// Whether this post-processor only adds tokens before and behind, the same to every text.
fn adds_around(post_processor: &Json) -> bool {
    match post_processor["type"].as_str() {
        None => post_processor.is_null(),
        Some("ByteLevel") => true,
        Some("TemplateProcessing") => {
            let single = post_processor["single"].as_array();
            single.is_some_and(|parts| {
                let texts = parts.iter().filter(|part| part.get("Sequence").is_some());
                texts.count() == 1
            })
        }
        Some("Sequence") => {
            // Of several that add, the later ones do not mark what the earlier ones did.
            let adding = |part: &&Json| part["type"] != "ByteLevel";
            let parts = post_processor["processors"].as_array();
            parts.is_some_and(|parts| {
                parts.iter().all(adds_around) && parts.iter().filter(adding).count() <= 1
            })
        }
        Some(_) => false,
    }
}

/// GPT-2's table: printable bytes stand for themselves, the others follow from U+0100 on.
fn byte_characters() -> [char; 256] {
    let mut unprintable = (0x100..).filter_map(char::from_u32);
    std::array::from_fn(|byte| match byte as u8 {
        b'!'..=b'~' | 0xa1..=0xac | 0xae..=0xff => char::from(byte as u8),
        _ => unprintable.next().unwrap_or_default(),
    })
}

/// Whether NFC surely leaves the text alone: it has only characters that never combine with others
/// and never change. No for some texts that it would leave alone, too.
fn is_surely_normal(text: &str) -> bool {
    text.is_ascii()
        || text.chars().all(|character| {
            matches!(character,
                '\0'..='\u{2ff}' | '\u{388}'..='\u{482}' | '\u{48a}'..='\u{556}'
                | '\u{5d0}'..='\u{5ea}' | '\u{620}'..='\u{64a}' | '\u{2010}'..='\u{205e}'
                | '\u{20a0}'..='\u{20c0}' | '\u{2190}'..='\u{2328}' | '\u{2500}'..='\u{2adb}'
                | '\u{3001}'..='\u{3029}' | '\u{3041}'..='\u{3096}' | '\u{309d}'..='\u{30ff}'
                | '\u{3400}'..='\u{9fff}' | '\u{ac00}'..='\u{d7a3}' | '\u{fe0f}' | '\u{feff}'
                | '\u{ff01}'..='\u{ffef}' | '\u{1f000}'..='\u{1faff}' | '\u{200d}')
        })
}

//! The regular expressions by which most byte-level tokenizers cut a text into words, as plain
//! loops: a general engine for regular expressions with a look-ahead takes most of the time of
//! encoding. The tests compare them with the engine.

use std::sync::OnceLock;

use regex_syntax::hir::{Class, HirKind};

/// GPT-2's, built into "ByteLevel".
pub const GPT2: &str =
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";
pub const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
pub const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pattern {
    Gpt2,
    /// Every digit first a text of its own, then GPT-2's.
    DigitsThenGpt2,
    /// Llama 3's or Qwen 2's: at most so many digits make a word.
    Llama3 {
        digits: usize,
    },
}

/// Calls `visit` with each word of `text`, in order and without gaps.
pub fn for_each_word<E>(
    pattern: Pattern,
    text: &str,
    mut visit: impl FnMut(&str) -> Result<(), E>,
) -> Result<(), E> {
    if pattern != Pattern::DigitsThenGpt2 {
        return for_each_in(pattern, text, &mut visit);
    }
    let mut begin = 0;
    for (at, digit) in text.char_indices().filter(|(_, c)| c.is_numeric()) {
        for_each_in(Pattern::Gpt2, &text[begin..at], &mut visit)?;
        begin = at + digit.len_utf8();
        visit(&text[at..begin])?;
    }
    for_each_in(Pattern::Gpt2, &text[begin..], &mut visit)
}

fn for_each_in<E>(
    pattern: Pattern,
    text: &str,
    visit: &mut impl FnMut(&str) -> Result<(), E>,
) -> Result<(), E> {
    let splitter = Splitter {
        text,
        kinds: kinds(),
    };
    let mut begin = 0;
    while begin < text.len() {
        let end = match pattern {
            Pattern::Llama3 { digits } => splitter.llama3(begin, digits),
            _ => splitter.gpt2(begin),
        };
        visit(&text[begin..end])?;
        begin = end;
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq)]
#[repr(u8)]
enum Kind {
    Other,
    Letter,
    Number,
    Space,
    /// Of the text; no character has it.
    End,
}

/// The kind of each code point, by the tables of the regular expressions' own parser.
fn kinds() -> &'static [Kind] {
    static KINDS: OnceLock<Vec<Kind>> = OnceLock::new();
    KINDS.get_or_init(|| {
        let mut kinds = vec![Kind::Other; char::MAX as usize + 1];
        for (class, kind) in [
            (r"\p{L}", Kind::Letter),
            (r"\p{N}", Kind::Number),
            (r"\s", Kind::Space),
        ] {
            let parsed = regex_syntax::parse(class).expect("a class of characters");
            let HirKind::Class(Class::Unicode(class)) = parsed.kind() else {
                unreachable!("{class} is a class of characters");
            };
            for range in class.ranges() {
                kinds[range.start() as usize..=range.end() as usize].fill(kind);
            }
        }
        kinds
    })
}

struct Splitter<'a> {
    text: &'a str,
    kinds: &'static [Kind],
}

impl Splitter<'_> {
    /// Kind and length of the character that begins at a byte.
    fn at(&self, index: usize) -> (Kind, usize) {
        match self.text.as_bytes().get(index) {
            None => (Kind::End, 0),
            Some(&byte) if byte < 0x80 => (self.kinds[usize::from(byte)], 1),
            Some(_) => match self.text[index..].chars().next() {
                None => (Kind::End, 0),
                Some(character) => (self.kinds[character as usize], character.len_utf8()),
            },
        }
    }

    fn byte(&self, index: usize) -> u8 {
        *self.text.as_bytes().get(index).unwrap_or(&0)
    }

    /// The end of the characters of one kind from `index` on.
    fn end_of_run(&self, mut index: usize, wanted: Kind) -> usize {
        loop {
            let (kind, length) = self.at(index);
            if kind != wanted {
                return index;
            }
            index += length;
        }
    }

    fn gpt2(&self, begin: usize) -> usize {
        let (mut kind, _) = self.at(begin);
        let mut run = begin;
        match self.byte(begin) {
            b'\'' => {
                if let Some(end) = self.contraction(begin, false) {
                    return end;
                }
            }
            b' ' => {
                let (next, _) = self.at(begin + 1);
                if next != Kind::Space && next != Kind::End {
                    kind = next;
                    run = begin + 1;
                }
            }
            _ => {}
        }
        match kind {
            Kind::Space => self.blanks(begin),
            kind => self.end_of_run(run, kind),
        }
    }

    fn llama3(&self, begin: usize, max_digits: usize) -> usize {
        let (kind, length) = self.at(begin);
        let byte = self.byte(begin);
        if byte == b'\'' {
            if let Some(end) = self.contraction(begin, true) {
                return end;
            }
        }
        if kind == Kind::Letter {
            return self.end_of_run(begin, Kind::Letter);
        }
        if kind == Kind::Number {
            return self.digits(begin, max_digits);
        }
        let (next, _) = self.at(begin + length);
        if next == Kind::Letter && byte != b'\r' && byte != b'\n' {
            return self.end_of_run(begin + length, Kind::Letter);
        }
        if kind == Kind::Other || (byte == b' ' && next == Kind::Other) {
            let mut end = self.end_of_run(begin + length, Kind::Other);
            while matches!(self.byte(end), b'\r' | b'\n') {
                end += 1;
            }
            return end;
        }
        let run = &self.text[begin..self.end_of_run(begin, Kind::Space)];
        match run.rfind(['\r', '\n']) {
            Some(newline) => begin + newline + 1,
            None => self.blanks(begin),
        }
    }

    fn digits(&self, begin: usize, max_digits: usize) -> usize {
        let mut end = begin;
        for _ in 0..max_digits {
            let (kind, length) = self.at(end);
            if kind != Kind::Number {
                break;
            }
            end += length;
        }
        end
    }

    /// White space, but for its last character if a word follows and something is left.
    fn blanks(&self, begin: usize) -> usize {
        let end = self.end_of_run(begin, Kind::Space);
        if end == self.text.len() {
            return end;
        }
        let last = self.text[begin..end].char_indices().next_back();
        match last {
            Some((at, _)) if at > 0 => begin + at,
            _ => end,
        }
    }

    /// The end of "'s", "'re" and their like at `begin`.
    fn contraction(&self, begin: usize, ignore_case: bool) -> Option<usize> {
        // The only other character that is an "s" when case is ignored.
        if ignore_case && self.text[begin + 1..].starts_with('\u{17f}') {
            return Some(begin + 1 + '\u{17f}'.len_utf8());
        }
        let fold = |byte: u8| {
            if ignore_case {
                byte.to_ascii_lowercase()
            } else {
                byte
            }
        };
        match (fold(self.byte(begin + 1)), fold(self.byte(begin + 2))) {
            (b's' | b't' | b'm' | b'd', _) => Some(begin + 2),
            (b'r', b'e') | (b'v', b'e') | (b'l', b'l') => Some(begin + 3),
            _ => None,
        }
    }
}

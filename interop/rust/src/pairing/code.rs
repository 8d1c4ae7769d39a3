//! Twelve words and the 16 bytes they stand for.

use bip39::{Language, Mnemonic};
use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};

use super::fields::random;

pub type Entropy = [u8; 16];

const WORDS: usize = 12;
/// More than twelve words of any length that anybody types.
const MAX_TEXT_BYTES: usize = 4096;

#[derive(Debug, PartialEq, Eq)]
pub enum CodeError {
    TooLong,
    UnknownWord(String),
    AmbiguousWord(String),
    WrongCount(usize),
    WrongChecksum,
}

impl std::fmt::Display for CodeError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLong => write!(formatter, "This is far too long for twelve words."),
            Self::UnknownWord(word) => write!(formatter, "\"{word}\" is not in the list of words."),
            Self::AmbiguousWord(word) => {
                write!(formatter, "\"{word}\" is the beginning of several words: type more of it.")
            }
            Self::WrongCount(count) => write!(formatter, "A code has twelve words, not {count}."),
            Self::WrongChecksum => {
                write!(formatter, "These words do not belong together: one is wrong, or two are exchanged.")
            }
        }
    }
}

impl std::error::Error for CodeError {}

pub fn new_entropy() -> Entropy {
    random()
}

pub fn words_of(entropy: &Entropy) -> String {
    Mnemonic::from_entropy_in(Language::English, entropy).expect("16 bytes are twelve words").to_string()
}

/// Reads words in any case and spelling of Unicode, with any separators, in full or as unambiguous prefixes.
pub fn read_words(text: &str) -> Result<Entropy, CodeError> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(CodeError::TooLong);
    }
    let plain: String = text.nfkd().filter(|character| !is_combining_mark(*character)).collect();
    let typed: Vec<String> = plain
        .split(|character: char| !character.is_alphabetic())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    let words = typed.iter().map(|word| find_word(word)).collect::<Result<Vec<_>, _>>()?;
    if words.len() != WORDS {
        return Err(CodeError::WrongCount(words.len()));
    }
    let mnemonic = Mnemonic::parse_in_normalized(Language::English, &words.join(" "))
        .map_err(|_| CodeError::WrongChecksum)?;
    mnemonic.to_entropy().try_into().map_err(|_| CodeError::WrongChecksum)
}

fn find_word(typed: &str) -> Result<&'static str, CodeError> {
    let list = Language::English.word_list();
    let mut longer = list.iter().filter(|word| word.starts_with(typed));
    match (list.iter().find(|word| **word == typed), longer.next(), longer.next()) {
        (Some(word), _, _) | (None, Some(word), None) => Ok(word),
        (None, None, _) => Err(CodeError::UnknownWord(typed.to_owned())),
        (None, Some(_), Some(_)) => Err(CodeError::AmbiguousWord(typed.to_owned())),
    }
}

//! The name of a device, cleaned by whoever sends it and again by whoever receives it.

use unicode_normalization::{UnicodeNormalization, char::is_combining_mark};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

const MAX_CODE_UNITS: usize = 48;
const MAX_MARKS: usize = 2;
const NOTHING_LEFT: &str = "unnamed device";

/// One short visible line, whatever came in.
pub fn clean_name(raw: &str) -> String {
    let visible: String = raw.chars().filter_map(visible_or_space).collect();
    let composed: String = visible.nfc().collect();
    let name = cut(&fewer_marks(&one_space_each(&composed)));
    if name.is_empty() { NOTHING_LEFT.to_owned() } else { name }
}

fn visible_or_space(character: char) -> Option<char> {
    use GeneralCategory as Category;
    if character.is_whitespace() {
        return Some(' ');
    }
    match character.general_category() {
        Category::Control
        | Category::Format
        | Category::Unassigned
        | Category::PrivateUse
        | Category::Surrogate => None,
        _ if is_invisible(character) => None,
        _ => Some(character),
    }
}

/// Characters with `Default_Ignorable_Code_Point` outside the categories above, and those that merely show as blank.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2800}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}'
    )
}

fn one_space_each(text: &str) -> String {
    text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

fn fewer_marks(text: &str) -> String {
    let mut marks = 0;
    text.chars()
        .filter(|character| {
            marks = if is_combining_mark(*character) { marks + 1 } else { 0 };
            marks <= MAX_MARKS
        })
        .collect()
}

fn cut(text: &str) -> String {
    let mut units = 0;
    let kept: String = text
        .chars()
        .take_while(|character| {
            units += character.len_utf16();
            units <= MAX_CODE_UNITS
        })
        .collect();
    kept.trim_end().to_owned()
}

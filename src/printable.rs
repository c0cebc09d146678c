//! Characters that a terminal or log viewer would interpret instead of showing them.

/// Whether a character must be escaped in untrusted text: control characters including C1, line and
/// paragraph separators, marks that change the writing direction, and the byte order mark.
pub(crate) fn is_unprintable(character: char) -> bool {
    character.is_control()
        || matches!(
            character,
            '\u{061c}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2066}'..='\u{206f}'
                | '\u{feff}'
        )
}

/// Whether a text is only printable ASCII, like most log text. Fast: tests bytes, not characters.
pub(crate) fn is_plain(text: &[u8]) -> bool {
    text.iter().all(|byte| (b' '..=b'~').contains(byte))
}

/// Escapes these characters in JSON as `\uXXXX`. They occur only in strings, where this is
/// equivalent.
pub(crate) fn push_json_escaped(text: &mut String, json: &str) {
    use std::fmt::Write as _;
    if is_plain(json.as_bytes()) {
        return text.push_str(json);
    }
    let mut rest = json;
    // Valid JSON can only contain DEL and C1 control characters.
    while let Some(at) = rest.find(is_unprintable) {
        let (before, from) = rest.split_at(at);
        text.push_str(before);
        let mut characters = from.chars();
        let mut units = [0; 2];
        for unit in characters.next().unwrap_or_default().encode_utf16(&mut units) {
            // Writing to a String cannot fail.
            let _ = write!(text, "\\u{unit:04x}");
        }
        rest = characters.as_str();
    }
    text.push_str(rest);
}

/// Escapes these characters as Rust does: `\u{202e}`.
pub(crate) fn push_escaped(text: &mut String, shown: &str) {
    if is_plain(shown.as_bytes()) {
        return text.push_str(shown);
    }
    for character in shown.chars() {
        if is_unprintable(character) {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_written_in_any_script_stays() {
        for character in ['a', ' ', '\u{e9}', '\u{5d0}', '\u{6d0}', '\u{200d}', '\u{1f36a}'] {
            assert!(!is_unprintable(character), "{character}");
        }
        for character in [
            '\0', '\n', '\u{1b}', '\u{7f}', '\u{80}', '\u{9b}', '\u{9f}', '\u{61c}', '\u{200e}',
            '\u{200f}', '\u{2028}', '\u{2029}', '\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}',
            '\u{feff}',
        ] {
            assert!(is_unprintable(character), "{}", character.escape_unicode());
        }
    }

    proptest! {
        #[test]
        fn escaped_json_means_the_same(text in "[a\"\\\\\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}\\PC]{0,20}") {
            let json = serde_json::to_string(&text).unwrap();
            let mut escaped = String::new();
            push_json_escaped(&mut escaped, &json);
            prop_assert!(!escaped.contains(is_unprintable), "{}", escaped);
            let back: String = serde_json::from_str(&escaped).unwrap();
            prop_assert_eq!(back, text);
        }
    }
}

//! Whose session it is: the value at `session.subject`.

use std::borrow::Cow;

use super::dict::{Dict, unescape};

/// What identifies the user of a dict: the value at a path, as the text that a claims header would
/// have. A string is as it is, a number or boolean as its JSON text: `7` and `"7"` are one. Null, an
/// object, an array and an empty string are nobody: apps write them where nobody has logged in, and
/// all of those visitors would be one user otherwise.
///
/// In bytes: a string may hold half of a surrogate pair, which UTF-8 cannot.
#[must_use]
pub fn of<'a>(dict: &'a Dict, path: &[impl AsRef<str>]) -> Option<Cow<'a, [u8]>> {
    let json = dict.get(path)?;
    let text = match json.as_bytes().first() {
        Some(b'"') => unescape(json),
        Some(b'{' | b'[') => return None,
        _ if json == "null" => return None,
        _ => Cow::Borrowed(json.as_bytes()),
    };
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests may panic")]

    use super::*;

    #[test]
    fn a_subject_is_a_text_a_number_or_a_boolean() {
        for (value, expected) in [
            (r#""ada""#, Some("ada")),
            (r#""7""#, Some("7")),
            ("7", Some("7")),
            ("7.0", Some("7.0")),
            ("12345678901234567890123", Some("12345678901234567890123")),
            ("true", Some("true")),
            (r#"" J\u00fcrgen ""#, Some(" Jürgen ")),
            ("null", None),
            (r#""""#, None),
            ("[7]", None),
            (r#"{"id":7}"#, None),
        ] {
            let text = format!(r#"{{"user":{{"id":{value}}}}}"#);
            let dict = Dict::parse(text.as_bytes()).unwrap();
            let subject = of(&dict, &["user", "id"]);
            assert_eq!(subject.as_deref(), expected.map(str::as_bytes), "{value}");
        }
        let dict = Dict::parse(br#"{"user":7}"#).unwrap();
        assert_eq!(of(&dict, &["user", "id"]), None);
        assert_eq!(of(&dict, &["owner"]), None);
    }
}

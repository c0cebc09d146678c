//! The user of a session: the value at `session.subject`.

use std::borrow::Cow;

use super::dict::{Dict, unescape};

/// The user of a dict: the value at a path, as the text that a claims header would have. A string
/// is unchanged; a number or boolean is its JSON text, so `7` and `"7"` are the same user. Null, an
/// object, an array and an empty string are no user: apps write them for visitors who are not
/// logged in, and these must not count as one user.
///
/// In bytes, because a string may contain half of a surrogate pair, which UTF-8 cannot express.
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

//! Single values of the dict as headers that the app already reads. A value that the app could
//! misread is not sent.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::field_name::FieldName;
use crate::session::dict::{Dict, elements, is_printable, unescape};

/// Copies one value of the dict to a header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The header.
    pub field: FieldName,
    /// The path to the value: one key for each level.
    pub path: Vec<String>,
    /// `join`: the separator between the elements of an array. None: arrays are not sent.
    pub join: Option<String>,
    /// `encoding`
    pub encoding: ClaimEncoding,
}

/// How a value is written in its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum ClaimEncoding {
    /// Unchanged: printable ASCII only.
    #[default]
    Plain,
    /// UTF-8, percent-encoded except for the unreserved characters of RFC 3986 section 2.3 and the
    /// separator.
    Percent,
    /// Unpadded base64url (RFC 4648 section 5) of its UTF-8.
    Base64Url,
}

/// Everything except the unreserved characters of RFC 3986 section 2.3. `+` is encoded because some
/// readers decode it as a space.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The result of reading a path of `[headers.claims]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimValue {
    /// Missing, null, an object, or an array without `join`: no header.
    Absent,
    /// A value that no header can carry unchanged: no header, counted. Examples: characters outside
    /// printable ASCII; a space at either end, which servers cut off (` admin` would be read as
    /// `admin`); an element that contains the separator, which would be read as two.
    Unfit,
    /// The value of the header: a string unchanged, a number or a boolean as JSON text.
    Value(String),
}

impl Claim {
    /// The value for this header.
    #[must_use]
    pub fn value(&self, dict: &Dict) -> ClaimValue {
        let json = match dict.get(&self.path) {
            None | Some("null") => return ClaimValue::Absent,
            Some(json) if json.starts_with('{') => return ClaimValue::Absent,
            Some(json) => json,
        };
        let value = match &self.join {
            Some(separator) if json.starts_with('[') => self.joined(json, separator),
            None if json.starts_with('[') => return ClaimValue::Absent,
            // The app splits a single value too.
            Some(separator) => self.element(json, separator),
            None => scalar(json).and_then(|text| self.encoded(text)),
        };
        let value = match self.encoding {
            ClaimEncoding::Base64Url => value.map(|value| URL_SAFE_NO_PAD.encode(&*value).into()),
            ClaimEncoding::Plain | ClaimEncoding::Percent => value,
        };
        value.map_or(ClaimValue::Unfit, |value| ClaimValue::Value(value.into_owned()))
    }

    fn joined<'a>(&self, array: &'a str, separator: &str) -> Option<Cow<'a, str>> {
        let mut all = String::with_capacity(array.len());
        for (index, json) in elements(array).enumerate() {
            if index > 0 {
                all.push_str(separator);
            }
            all.push_str(&self.element(json, separator)?);
        }
        Some(all.into())
    }

    /// Encodes a value for an app that splits at the separator and may trim spaces next to it.
    fn element<'a>(&self, json: &'a str, separator: &str) -> Option<Cow<'a, str>> {
        let text = scalar(json)?;
        let core = separator.trim_matches(' ');
        let core = if core.is_empty() { separator } else { core };
        // An element that starts or ends with a part of the separator would be split elsewhere.
        let (cut, bytes) = (core.as_bytes(), text.as_bytes());
        let touches = |length: usize| {
            bytes.ends_with(&cut[..length]) || bytes.starts_with(&cut[cut.len() - length..])
        };
        let is_apart = !text.contains(core) && !(1..cut.len()).any(touches);
        if is_apart { self.encoded(text) } else { None }
    }

    /// Encodes a single value. Base64url is applied later, to the whole header.
    fn encoded<'a>(&self, text: Cow<'a, str>) -> Option<Cow<'a, str>> {
        match self.encoding {
            ClaimEncoding::Plain => {
                (is_printable(&text) && text.trim_ascii() == text).then_some(text)
            }
            ClaimEncoding::Percent => Some(utf8_percent_encode(&text, RESERVED).to_string().into()),
            ClaimEncoding::Base64Url => Some(text),
        }
    }
}

/// The text of a string, number or boolean; None for other values and invalid UTF-16.
fn scalar(json: &str) -> Option<Cow<'_, str>> {
    match json.as_bytes().first()? {
        b'"' => String::from_utf8(unescape(json).into_owned()).ok().map(Cow::Owned),
        b'{' | b'[' | b'n' => None,
        _ => Some(json.into()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    fn value(json: &str, join: Option<&str>, encoding: ClaimEncoding) -> ClaimValue {
        let field = FieldName::parse("X-Value").unwrap();
        let (path, join) = (vec!["v".into()], join.map(str::to_owned));
        let dict = Dict::parse(format!("{{\"v\":{json}}}").as_bytes()).unwrap();
        Claim { field, path, join, encoding }.value(&dict)
    }

    #[track_caller]
    fn each(join: Option<&str>, encoding: ClaimEncoding, table: &[(&str, Option<&str>)]) {
        for (json, expected) in table {
            let expected = match expected {
                Some(text) => ClaimValue::Value((*text).to_owned()),
                None => ClaimValue::Unfit,
            };
            assert_eq!(value(json, join, encoding), expected, "{json}");
        }
    }

    #[test]
    fn arrays_of_single_values_are_joined() {
        each(
            Some(","),
            ClaimEncoding::Plain,
            &[
                (r#"["a","b c",1,-2.50,true]"#, Some("a,b c,1,-2.50,true")),
                (r#"["a"]"#, Some("a")),
                ("[]", Some("")),
                // A single value is a list with one element.
                (r#""a""#, Some("a")),
                ("7", Some("7")),
                // These would be read as two.
                (r#"["a,b"]"#, None),
                (r#""a,b""#, None),
                (r#"["a","\u002c"]"#, None),
                // These are not single values.
                (r#"["a",null]"#, None),
                (r#"["a",["b"]]"#, None),
                (r#"["a",{"b":1}]"#, None),
                // Readers would trim these, or no header can carry them.
                (r#"["a"," admin"]"#, None),
                (r#"["admin ","a"]"#, None),
                (r#"["a","\n"]"#, None),
                (r#"["é"]"#, None),
                (r#"["\ud800"]"#, None),
            ],
        );
        for json in ["null", "{}", r#"{"a":["b"]}"#] {
            assert_eq!(value(json, Some(","), ClaimEncoding::Plain), ClaimValue::Absent, "{json}");
        }
        assert_eq!(value("[1]", None, ClaimEncoding::Percent), ClaimValue::Absent);
    }

    #[test]
    fn an_element_never_moves_the_cut() {
        let table = [
            (", ", r#"["a","b"]"#, Some("a, b")),
            (", ", r#"["a,b"]"#, None),
            (" ", r#"["a","b"]"#, Some("a b")),
            (" ", r#"["a b"]"#, None),
            ("::", r#"["a:b","c"]"#, Some("a:b::c")),
            ("::", r#"["a:","b"]"#, None),
            ("::", r#"["a",":b"]"#, None),
            ("ab", r#"["a","c"]"#, None),
            ("ab", r#"["c","b"]"#, None),
        ];
        for (separator, json, expected) in table {
            each(Some(separator), ClaimEncoding::Plain, &[(json, expected)]);
        }
    }

    #[test]
    fn what_is_not_ascii_is_carried_encoded() {
        each(
            None,
            ClaimEncoding::Percent,
            &[
                (r#""J\u00f6rg +1""#, Some("J%C3%B6rg%20%2B1")),
                (r#""-._~%""#, Some("-._~%25")),
                (r#"" a\n""#, Some("%20a%0A")),
                (r#""😀""#, Some("%F0%9F%98%80")),
                ("1e+5", Some("1e%2B5")),
                (r#""\ud800""#, None),
            ],
        );
        each(
            Some(","),
            ClaimEncoding::Percent,
            &[(r#"["é","b c"]"#, Some("%C3%A9,b%20c")), (r#"["a,b"]"#, None)],
        );
        each(
            None,
            ClaimEncoding::Base64Url,
            &[
                (r#""Jörg""#, Some("SsO2cmc")),
                (r#""""#, Some("")),
                (r#"" >>>???""#, Some("ID4-Pj8_Pw")),
                (r#""\ud800""#, None),
            ],
        );
        each(
            Some(","),
            ClaimEncoding::Base64Url,
            &[(r#"["é",1]"#, Some("w6ksMQ")), (r#"["é,"]"#, None)],
        );
    }
}

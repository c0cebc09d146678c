//! A JSON object that records how each part is written.

use std::fmt::{self, Write as _};

use arbitrary::{Arbitrary, Result, Unstructured};

/// Keys with their spellings: several spellings are one key.
const KEYS: [(&str, &[&str]); 14] = [
    ("a", &[r#""a""#, r#""\u0061""#]),
    ("b", &[r#""b""#, r#""\u0062""#]),
    ("", &[r#""""#]),
    ("ä", &[r#""ä""#, r#""\u00e4""#, r#""\u00E4""#]),
    ("😀", &[r#""😀""#, r#""\ud83d\ude00""#]),
    ("a\"b", &[r#""a\"b""#, r#""a\u0022b""#]),
    ("/", &[r#""/""#, r#""\/""#]),
    ("lone", &[r#""\ud800""#, r#""\uD800""#]),
    ("lone low", &[r#""\udc00""#]),
    ("user", &[r#""user""#]),
    ("exp", &[r#""exp""#, r#""\u0065xp""#]),
    ("iat", &[r#""iat""#]),
    ("cr", &[r#""cr""#]),
    ("aud", &[r#""aud""#]),
];

/// The keys that have a meaning in a token.
const CLAIMS: [&str; 4] = ["exp", "iat", "cr", "aud"];

const SCALARS: [&str; 16] = [
    "0",
    "-0.0",
    "1.10",
    "1e400",
    "-12E+3",
    "123456789012345678901234567890",
    "true",
    "false",
    r#""""#,
    r#""x, y: {z} [ ] ""#,
    r#""ä€😀""#,
    r#""\ud800""#,
    r#""\\\"\/""#,
    "\"\u{7f}\"",
    "[]",
    r#"[null,[{}," "],{"a":1,"a":2}]"#,
];

/// Deep enough for patches within patches.
const MAX_DEPTH: usize = 5;

#[derive(Clone, Debug, Default)]
pub(super) struct Object(Vec<(Key, Value)>);

#[derive(Clone, Copy, Debug)]
struct Key {
    name: &'static str,
    written: &'static str,
}

#[derive(Clone, Debug)]
enum Value {
    Null,
    Scalar(String),
    Object(Object),
}

impl Object {
    /// RFC 7396.
    pub(super) fn merge(&mut self, patch: &Self) {
        for (key, value) in &patch.0 {
            let place = self.0.iter().position(|(other, _)| other.name == key.name);
            let merged = match value {
                Value::Null => {
                    place.map(|place| self.0.remove(place));
                    continue;
                }
                Value::Scalar(_) => value.clone(),
                Value::Object(patch) => {
                    let old = place.map(|place| self.0[place].1.clone());
                    let mut object = match old {
                        Some(Value::Object(object)) => object,
                        _ => Self::default(),
                    };
                    object.merge(patch);
                    Value::Object(object)
                }
            };
            match place {
                Some(place) => self.0[place] = (*key, merged),
                None => self.0.push((*key, merged)),
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether it has a key with a meaning in a token, so that it may be refused.
    pub(super) fn has_a_claim(&self) -> bool {
        self.0.iter().any(|(key, _)| CLAIMS.contains(&key.name))
    }

    fn generate(data: &mut Unstructured<'_>, depth: usize) -> Result<Self> {
        let mut object = Self::default();
        for _ in 0..u8::arbitrary(data)? % 6 {
            let (name, spellings) = *data.choose(&KEYS)?;
            let key = Key { name, written: data.choose(spellings)? };
            let value = match u8::arbitrary(data)? % 8 {
                0 | 1 => Value::Null,
                2..=4 if depth < MAX_DEPTH => Value::Object(Self::generate(data, depth + 1)?),
                5 => Value::Scalar(format!(
                    "\"{}\"",
                    "x".repeat(usize::from(u8::arbitrary(data)?) * 8)
                )),
                6 => Value::Scalar(u64::arbitrary(data)?.to_string()),
                _ => Value::Scalar((*data.choose(&SCALARS)?).into()),
            };
            if object.0.iter().all(|(other, _)| other.name != name) {
                object.0.push((key, value));
            }
        }
        Ok(object)
    }
}

impl<'a> Arbitrary<'a> for Object {
    fn arbitrary(data: &mut Unstructured<'a>) -> Result<Self> {
        Self::generate(data, 1)
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('{')?;
        for (index, (key, value)) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(f, "{comma}{}:", key.written)?;
            match value {
                Value::Null => f.write_str("null")?,
                Value::Scalar(text) => f.write_str(text)?,
                Value::Object(object) => object.fmt(f)?,
            }
        }
        f.write_char('}')
    }
}

/// The text with white space between some tokens.
pub(super) fn spaced(text: &str, data: &mut Unstructured<'_>) -> String {
    let mut spaced = String::new();
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        let structural = !quoted && "{}[]:,".contains(c);
        // Without data, no white space.
        let space = if structural { u8::arbitrary(data).unwrap_or_default() } else { 0 };
        spaced.push_str(["", "", "", " ", "", "\t", "", "  "][usize::from(space >> 5)]);
        spaced.push(c);
        spaced.push_str(["", "", "", "", " ", "", "\t "][usize::from(space & 7).min(6)]);
        if quoted {
            (quoted, escaped) = (escaped || c != '"', !escaped && c == '\\');
        } else {
            quoted = c == '"';
        }
    }
    spaced
}

//! Reads what a form sends (`application/x-www-form-urlencoded`).

/// The fields of a form, in the order sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn parse(body: &[u8]) -> Self {
        let pairs = body.split(|&byte| byte == b'&').filter(|pair| !pair.is_empty());
        Self(
            pairs
                .map(|pair| {
                    let mut halves = pair.splitn(2, |&byte| byte == b'=');
                    let name = halves.next().unwrap_or_default();
                    let value = halves.next().unwrap_or_default();
                    (decode(name), decode(value))
                })
                .collect(),
        )
    }

    /// The first field of the name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let field = self.0.iter().find(|(of, _)| of == name);
        field.map(|(_, value)| value.as_str())
    }
}

/// `+` and `%XX` undone; what is no UTF-8 becomes a replacement character.
fn decode(text: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    loop {
        rest = match rest {
            [] => return String::from_utf8_lossy(&bytes).into_owned(),
            [b'+', tail @ ..] => {
                bytes.push(b' ');
                tail
            }
            [b'%', high, low, tail @ ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                bytes.push(digit(*high) << 4 | digit(*low));
                tail
            }
            [byte, tail @ ..] => {
                bytes.push(*byte);
                tail
            }
        };
    }
}

fn digit(hex: u8) -> u8 {
    match hex {
        b'0'..=b'9' => hex - b'0',
        _ => (hex | 0x20) - b'a' + 10,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_decoded() {
        for (body, expected) in [
            ("", None),
            ("name=Ada", Some("Ada")),
            ("x=1&name=Ada+Lovelace", Some("Ada Lovelace")),
            ("name=Zo%C3%AB", Some("Zoë")),
            ("name=%2b%26%3D", Some("+&=")),
            ("name=a=b", Some("a=b")),
            ("name", Some("")),
            ("name=first&name=second", Some("first")),
            ("name=100%&x", Some("100%")),
            ("name=%zz%4", Some("%zz%4")),
            ("name=%ff", Some("\u{fffd}")),
            ("&&=&name=Ada&", Some("Ada")),
        ] {
            assert_eq!(Form::parse(body.as_bytes()).get("name"), expected, "{body}");
        }
    }
}

//! Parses form data (`application/x-www-form-urlencoded`).

/// The fields of a form, in the order sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Form(Vec<(String, String)>);

impl Form {
    pub(super) fn parse(body: &[u8]) -> Self {
        Self(form_urlencoded::parse(body).into_owned().collect())
    }

    /// The first field with this name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let field = self.0.iter().find(|(of, _)| of == name);
        field.map(|(_, value)| value.as_str())
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

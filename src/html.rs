//! Escapes text for HTML.

use std::fmt;

/// Displays text escaped for content and quoted attributes.
pub(crate) struct Text<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        write!(Escaping(f), "{}", self.0)
    }
}

struct Escaping<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(['&', '<', '>', '"', '\'']) {
            let (plain, escaped) = match part.as_bytes().last() {
                Some(b'&') => (1, "&amp;"),
                Some(b'<') => (1, "&lt;"),
                Some(b'>') => (1, "&gt;"),
                Some(b'"') => (1, "&quot;"),
                Some(b'\'') => (1, "&#39;"),
                _ => (0, ""),
            };
            self.0.write_str(&part[..part.len() - plain])?;
            self.0.write_str(escaped)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_text_is_markup() {
        let text = r#"<b class="x">Zoë & 'friends'</b>"#;
        let expected = "&lt;b class=&quot;x&quot;&gt;Zoë &amp; &#39;friends&#39;&lt;/b&gt;";
        assert_eq!(Text(text).to_string(), expected);
        assert_eq!(Text("").to_string(), "");
        assert_eq!(Text(7).to_string(), "7");
    }
}

//! The session cookie in an answer.

use super::message::Message;

/// A `Set-Cookie` of the session cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetCookie {
    pub value: String,
    /// The attributes in order, as written.
    pub attributes: Vec<String>,
}

impl SetCookie {
    /// The only cookie with this name; None if there is none.
    pub fn named(name: &str, response: &Message) -> Option<Self> {
        let mut found = None;
        for field in response.values("Set-Cookie") {
            let mut parts = field.split(';').map(str::trim);
            let pair = parts.next().unwrap_or_default();
            if let Some((set, value)) = pair.split_once('=')
                && set.trim() == name
            {
                let attributes = parts.map(str::to_owned).collect();
                let cookie = Self { value: value.trim().to_owned(), attributes };
                assert!(found.replace(cookie).is_none(), "{name} is set twice: {response:?}");
            }
        }
        found
    }

    /// The cookie `session`.
    pub fn of(response: &Message) -> Option<Self> {
        Self::named("session", response)
    }

    /// The token that the answer sets.
    pub fn token(response: &Message) -> String {
        let cookie = Self::of(response).unwrap_or_else(|| panic!("no session set: {response:?}"));
        assert!(!cookie.value.is_empty(), "the session is deleted, not set: {response:?}");
        cookie.value
    }

    /// The value of an attribute; Some("") if it has none.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find_map(|attribute| {
            let (found, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The time in `Expires`, in seconds since the epoch.
    pub fn expires(&self) -> Option<u64> {
        let text = self.attribute("Expires")?;
        let moment = httpdate::parse_http_date(text).expect("a date of RFC 9110");
        assert_eq!(httpdate::fmt_http_date(moment), text, "not the form of RFC 9110");
        Some(moment.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_secs())
    }

    /// Whether it deletes the cookie.
    pub fn deletes(&self) -> bool {
        let expires = self.attribute("Expires").unwrap_or_default();
        self.value.is_empty() && self.attribute("Max-Age") == Some("0") && expires.contains("1970")
    }

    /// The attributes that identify the cookie and where it is sent, without its lifetime.
    pub fn place(&self) -> Vec<&str> {
        let lifetime = ["max-age", "expires"];
        let attributes = self.attributes.iter().map(String::as_str);
        let mut place: Vec<_> = attributes
            .filter(|attribute| {
                let name = attribute.split('=').next().unwrap_or_default().to_ascii_lowercase();
                !lifetime.contains(&name.as_str())
            })
            .collect();
        place.sort_unstable();
        place
    }
}

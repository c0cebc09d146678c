//! Tokens as the sidecar issues them if it manages their lifetime, but with any time of issue.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::token::{mint, payload};

/// Milliseconds since 1970.
pub fn millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::try_from(since.as_millis()).unwrap()
}

/// Seconds since 1970.
pub fn now() -> u64 {
    millis() / 1000
}

/// The claims of a managed token. Each token has its own session.
#[derive(Clone, Debug)]
pub struct Issued {
    pub id: String,
    pub start: u64,
    pub millis: u64,
    pub exp: u64,
    pub max_age: Option<u64>,
}

impl Issued {
    /// Issued this number of seconds ago, by the first save of its session, and valid for another
    /// hour.
    pub fn ago(seconds: u64) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self {
            id: format!("{:022}", NEXT.fetch_add(1, Ordering::Relaxed)),
            start: now() - seconds,
            millis: millis() - seconds * 1000,
            exp: now() + 3600,
            max_age: None,
        }
    }

    /// Sets the age of the session in seconds.
    pub fn started(mut self, ago: u64) -> Self {
        self.start = now() - ago;
        self
    }

    /// Sets the session's own lifetime.
    pub fn with_max_age(mut self, seconds: u64) -> Self {
        self.max_age = Some(seconds);
        self
    }

    /// The token with this dict.
    pub fn token(&self, dict: &str) -> String {
        let members = dict.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).expect(dict);
        let comma = if members.is_empty() { "" } else { "," };
        let Self { id, start, millis, exp, max_age } = self;
        let max_age = max_age.map_or(String::new(), |seconds| format!(r#","max_age":{seconds}"#));
        mint(format!(
            r#"{{{members}{comma}"iat":{},"exp":{exp},"cr":{{"id":"{id}","start":{start},"ms":{millis}{max_age}}}}}"#,
            millis / 1000
        ))
    }

    /// Reads a token of the sidecar; fails if its lifetime is not managed.
    pub fn of(token: &str) -> Self {
        let payload: Value = serde_json::from_str(&payload(token)).expect("JSON");
        let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{payload}"));
        let cr = &payload["cr"];
        let issued = Self {
            id: cr["id"].as_str().unwrap_or_else(|| panic!("no cr.id: {payload}")).to_owned(),
            start: number(&cr["start"]),
            millis: number(&cr["ms"]),
            exp: number(&payload["exp"]),
            max_age: cr.get("max_age").map(number),
        };
        assert_eq!(number(&payload["iat"]), issued.millis / 1000, "{payload}");
        issued
    }

    /// The seconds from its issue to its expiry.
    pub fn lifetime(&self) -> u64 {
        self.exp - self.millis / 1000
    }
}

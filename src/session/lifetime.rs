//! Session ids and the claim `cr`, which links the tokens of a session.

use std::time::Duration;

use super::dict::members;
use super::dict::unescape;
use crate::time::Timestamp;

/// The longest lifetime of a cookie: the 400 days of RFC 6265bis section 5.5.
pub const LONGEST: Duration = Duration::from_secs(34_560_000);

/// Links the tokens of one session: 16 random bytes, base64url-encoded.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SessionId(String);

impl SessionId {
    /// Makes an id of 16 random bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        use base64::Engine as _;
        Self(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads an id from a token.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let is_id = text.len() == 22
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        is_id.then(|| Self(text.to_owned()))
    }

    /// The same id with its first 12 bits replaced by those of `lead`.
    #[must_use]
    pub fn led_by(self, lead: [u8; 2]) -> Self {
        let [first, second] = lead;
        match self.to_bytes() {
            Some([_, own, rest @ ..]) => {
                let mut bytes = [
                    first,
                    (second & 0xf0) | (own & 0x0f),
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                ];
                bytes[2..].copy_from_slice(&rest);
                Self::from_bytes(bytes)
            }
            None => self,
        }
    }

    /// Whether the first 12 bits are those of `lead`.
    #[must_use]
    pub fn is_led_by(&self, lead: [u8; 2]) -> bool {
        self.clone().led_by(lead) == *self
    }

    /// The 16 bytes of the id; None if the text is not the encoding of any.
    #[must_use]
    pub fn to_bytes(&self) -> Option<[u8; 16]> {
        use base64::Engine as _;
        let mut bytes = [0; 18];
        let length = base64::engine::general_purpose::URL_SAFE_NO_PAD
            .decode_slice(&self.0, &mut bytes)
            .ok()?;
        if length == 16 { bytes.first_chunk().copied() } else { None }
    }

    /// The id as written in tokens.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The private claim `cr` of a token whose lifetime the sidecar manages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Managed {
    /// The session that the token belongs to.
    pub id: SessionId,
    /// When the session was first saved.
    pub start: Timestamp,
    /// When this token was issued.
    pub issued: Timestamp,
    /// The lifetime that `X-Session-Max-Age` gave this session, in seconds; 0: until the browser is
    /// closed. It also applies to the session's later tokens.
    pub own_max_age: Option<u64>,
}

impl Managed {
    /// Reads the claim; None if the sidecar did not write it.
    #[must_use]
    pub fn parse(json: &str) -> Option<Self> {
        if !json.starts_with('{') {
            return None;
        }
        let (mut id, mut start, mut issued, mut own_max_age) = (None, None, None, None);
        for (key, value) in members(json) {
            match unescape(key).as_ref() {
                b"id" => id = Some(SessionId::parse(value.strip_prefix('"')?.strip_suffix('"')?)?),
                b"start" => start = Some(Timestamp::from_secs(value.parse().ok()?)),
                b"ms" => issued = Some(Timestamp::from_millis(value.parse().ok()?)),
                b"max_age" => own_max_age = Some(value.parse().ok()?),
                // Written by a later version. Ignored, so that its tokens stay valid after a
                // rollback.
                _ => {}
            }
        }
        Some(Self { id: id?, start: start?, issued: issued?, own_max_age })
    }

    pub(super) fn write(&self) -> String {
        let id = self.id.as_str();
        let start = self.start.as_secs();
        let ms = self.issued.as_millis();
        match self.own_max_age {
            Some(max_age) => {
                format!(r#"{{"id":"{id}","start":{start},"ms":{ms},"max_age":{max_age}}}"#)
            }
            None => format!(r#"{{"id":"{id}","start":{start},"ms":{ms}}}"#),
        }
    }
}

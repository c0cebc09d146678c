//! Which header fields are the sidecar's own, and how a dict becomes the value of one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::HeaderName;

use super::cookie::is_token_char;
use super::dict::Dict;

mod claim;

pub use claim::{Claim, ClaimEncoding, ClaimValue};

/// How the dict is written in the request header, and read from the response's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Encoding {
    /// One line of printable ASCII: whatever lies outside is a `\uXXXX` escape.
    #[default]
    Json,
    /// Unpadded base64url (RFC 4648 section 5) of the UTF-8 JSON.
    Base64Url,
}

impl Encoding {
    /// The empty dict.
    #[must_use]
    pub const fn empty_dict(self) -> &'static str {
        match self {
            Self::Json => "{}",
            Self::Base64Url => "e30",
        }
    }
}

/// The name of a header field, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldName {
    sent: String,
    wire: Bytes,
    name: HeaderName,
    folded: String,
}

impl FieldName {
    /// Checks that `name` is a field name (RFC 9110 section 5.1).
    ///
    /// # Errors
    /// Says what is wrong with the name.
    pub fn parse(name: &str) -> Result<Self, String> {
        if name.is_empty() {
            return Err("a header name, in quotes and not empty".into());
        }
        if let Some(c) = name.chars().find(|&c| !is_token_char(c)) {
            return Err(format!("a header name, but it contains {c:?}"));
        }
        let parsed = HeaderName::from_bytes(name.as_bytes())
            .map_err(|_| "a header name, but it is too long".to_owned())?;
        Ok(Self {
            sent: name.to_owned(),
            wire: Bytes::copy_from_slice(name.as_bytes()),
            name: parsed,
            folded: name.bytes().map(fold).map(char::from).collect(),
        })
    }

    /// The name in the spelling of the configuration.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.sent
    }

    /// The same, to be written without a copy.
    #[must_use]
    pub fn to_wire(&self) -> Bytes {
        self.wire.clone()
    }

    /// The name as it is looked up.
    #[must_use]
    pub fn name(&self) -> &HeaderName {
        &self.name
    }

    /// Whether a server may read `name` as this name: CGI, WSGI and others fold `X_Session` and
    /// `x.session` into it.
    #[must_use]
    pub fn is_alias(&self, name: &[u8]) -> bool {
        folds_to(name, &self.folded)
    }
}

/// Whether a server may read `name` as `folded`, which is in lower case.
pub(crate) fn folds_to(name: &[u8], folded: &str) -> bool {
    name.len() == folded.len() && starts_with_folded(name, folded)
}

/// Lower case, and anything but a letter or digit as `-`.
fn fold(byte: u8) -> u8 {
    if byte.is_ascii_alphanumeric() { byte.to_ascii_lowercase() } else { b'-' }
}

/// Whether a server may read `name` as something that starts with `folded`, which is in lower case.
pub(crate) fn starts_with_folded(name: &[u8], folded: &str) -> bool {
    name.len() >= folded.len()
        && name.iter().zip(folded.bytes()).all(|(&byte, want)| fold(byte) == want)
}

/// The `[headers]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderNames {
    /// Carries the dict to the backend.
    pub session: FieldName,
    /// The backend replaces the dict.
    pub save: FieldName,
    /// The backend changes the dict.
    pub merge: FieldName,
    /// The backend deletes the session.
    pub delete: FieldName,
    /// This session's own lifetime.
    pub max_age: FieldName,
    /// The session goes on under a new id.
    pub renew: FieldName,
    /// Tells the backend why the dict is what it is, where configured.
    pub status: Option<FieldName>,
    /// `[headers.claims]`
    pub claims: Vec<Claim>,
    /// `headers.encoding`
    pub encoding: Encoding,
}

impl HeaderNames {
    /// Whether a field of this name belongs to the sidecar: neither a client's nor, towards the
    /// client, a backend's field of such a name passes.
    #[must_use]
    pub fn is_own(&self, name: &[u8]) -> bool {
        if starts_with_folded(name, &self.session.folded) {
            let behind = name.get(self.session.folded.len());
            if behind.is_none_or(|&byte| fold(byte) == b'-') {
                return true;
            }
        }
        [&self.save, &self.merge, &self.delete, &self.max_age, &self.renew]
            .into_iter()
            .chain(&self.status)
            .any(|field| field.is_alias(name))
    }

    /// Whether a client's field of this name would be read as something the sidecar says: its own
    /// fields and those of `[headers.claims]`.
    #[must_use]
    pub fn is_spoofed(&self, name: &[u8]) -> bool {
        self.is_own(name) || self.claims.iter().any(|claim| claim.field.is_alias(name))
    }
}

/// The dict as the value of the request header: one line of printable ASCII.
#[must_use]
pub fn encode(dict: &Dict, encoding: Encoding) -> String {
    match encoding {
        Encoding::Json => dict.to_ascii().into_owned(),
        Encoding::Base64Url => URL_SAFE_NO_PAD.encode(dict.as_str()),
    }
}

/// How long [`encode`] makes the value, found without making it.
#[must_use]
pub fn encoded_bytes(dict: &Dict, encoding: Encoding) -> usize {
    match encoding {
        Encoding::Json => dict.ascii_bytes(),
        Encoding::Base64Url => {
            base64::encoded_len(dict.as_str().len(), false).unwrap_or(usize::MAX)
        }
    }
}

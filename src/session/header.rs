//! Which header fields are the sidecar's own, and how a dict becomes the value of one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::dict::Dict;

mod claim;
mod field_name;

pub use claim::{Claim, ClaimEncoding, ClaimValue};
use field_name::fold;
pub use field_name::{FieldName, FieldNameError};
pub(crate) use field_name::{folds_to, starts_with_folded};

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

//! Which header fields belong to the sidecar, and how a dict is written to one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::dict::Dict;

mod claim;
mod field_name;

pub use claim::{Claim, ClaimEncoding, ClaimValue};
use field_name::fold;
pub use field_name::{FieldName, FieldNameError};
pub(crate) use field_name::{folds_to, starts_with_folded};

/// How the dict is written in the request header and read from the response header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Encoding {
    /// One line of printable ASCII: other characters are `\uXXXX` escapes.
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
    /// Sends the dict to the app.
    pub session: FieldName,
    /// Replaces the dict.
    pub save: FieldName,
    /// Changes the dict.
    pub merge: FieldName,
    /// Deletes the session.
    pub delete: FieldName,
    /// Sets the lifetime of this session.
    pub max_age: FieldName,
    /// Gives the session a new id.
    pub renew: FieldName,
    /// Tells the app how the session was read, if configured.
    pub status: Option<FieldName>,
    /// `[headers.claims]`
    pub claims: Vec<Claim>,
    /// `headers.encoding`
    pub encoding: Encoding,
}

impl HeaderNames {
    /// Whether a field of this name belongs to the sidecar. Such fields are removed from a client's
    /// request and from an app's response.
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

    /// Whether an app could take a client's field of this name for one of the sidecar: its own
    /// fields and those of `[headers.claims]`.
    #[must_use]
    pub fn is_spoofed(&self, name: &[u8]) -> bool {
        self.is_own(name) || self.claims.iter().any(|claim| claim.field.is_alias(name))
    }
}

/// The dict as the value of the request header, in printable ASCII on one line.
#[must_use]
pub fn encode(dict: &Dict, encoding: Encoding) -> String {
    match encoding {
        Encoding::Json => dict.to_ascii().into_owned(),
        Encoding::Base64Url => URL_SAFE_NO_PAD.encode(dict.as_str()),
    }
}

/// The length of the value that [`encode`] returns, computed without encoding.
#[must_use]
pub fn encoded_bytes(dict: &Dict, encoding: Encoding) -> usize {
    match encoding {
        Encoding::Json => dict.ascii_bytes(),
        Encoding::Base64Url => {
            base64::encoded_len(dict.as_str().len(), false).unwrap_or(usize::MAX)
        }
    }
}

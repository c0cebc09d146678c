//! Why a save cannot be carried out.

use std::fmt;

use super::claims::Unsavable;
use super::dict::DictError;
use crate::keys::jose::Unwritten;
use crate::store::record::RecordError;

/// A save that cannot be carried out. Its message gives the reason and the size, never the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The reason.
    pub reason: BrokenReason,
    /// The length of the control header, or of the cookie that would have been set.
    pub bytes: usize,
}

/// Why a save cannot be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BrokenReason {
    /// This control header is sent twice and asks for different things.
    Contradiction(&'static str),
    /// This control header is sent twice with different values.
    Twice(&'static str),
    /// This control header has a key that the route hides from the app.
    HiddenKey(&'static str),
    /// This control header is not valid base64url.
    NotBase64Url(&'static str),
    /// This control header does not contain a valid dict.
    NotADict(&'static str, DictError),
    /// The lifetime is not a number of seconds.
    NotSeconds,
    /// The dict would not be accepted when it comes back.
    Unsavable(Unsavable),
    /// The token could not be written.
    Unwritten(Unwritten),
    /// The cookie would be too long.
    LongCookie {
        /// `session.max_cookie_bytes`
        limit: usize,
    },
    /// The request header with the dict would be too long for the app.
    LongHeader {
        /// `session.max_bytes`
        limit: usize,
    },
    /// A session in a store needs a lifetime.
    NoLifetime,
    /// The record in the store cannot be read.
    Record(RecordError),
    /// The dict could not be sealed for the store.
    Unsealed,
    /// The operating system returned no random bytes.
    NoRandomness(getrandom::Error),
}

impl fmt::Display for BrokenReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Contradiction(what) => {
                write!(f, "the {what} header was sent twice and asks for different things")
            }
            Self::Twice(what) => {
                write!(f, "the {what} header was sent twice with different values")
            }
            Self::HiddenKey(what) => {
                write!(f, "the {what} header has a key that is not in the route's keys")
            }
            Self::NotBase64Url(what) => write!(f, "the {what} header is not unpadded base64url"),
            Self::NotADict(what, error) => write!(f, "the {what} header is {error}"),
            Self::NotSeconds => f.write_str("the max-age header is not a whole number of seconds"),
            Self::Unsavable(reason) => write!(f, "the dict cannot be saved: {reason}"),
            Self::Unwritten(reason) => reason.fmt(f),
            Self::LongCookie { limit } => {
                write!(f, "the cookie would be longer than session.max_cookie_bytes = {limit}")
            }
            Self::LongHeader { limit } => write!(
                f,
                "as a request header the session would be longer than session.max_bytes = {limit}"
            ),
            Self::NoLifetime => f.write_str("session.ttl is not set"),
            Self::Record(error) => error.fmt(f),
            Self::Unsealed => f.write_str("the dict could not be sealed"),
            Self::NoRandomness(error) => write!(f, "no randomness for a session: {error}"),
        }
    }
}

//! Why a token is not accepted.

use std::fmt;

use crate::keys::jose::TokenFault;

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// `exp` has passed, or the session is too old.
    Expired,
    /// `nbf` is in the future.
    NotYetValid,
    /// The signature or seal does not match the key that the token names.
    BadSignature,
    /// It is not a well-formed token.
    Malformed,
    /// No key has its algorithm, or its `kid` is unknown and no key verifies it.
    UnknownKey,
    /// Wrong `iss` or `aud`, or a time that is not a number.
    WrongClaim,
    /// The cookie is longer than `session.max_cookie_bytes`.
    TooLarge,
    /// Issued before `session.not_before`, or its session is in `session.revoked_file`.
    Revoked,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet (nbf)",
            Self::BadSignature => "the signature or the seal does not verify",
            Self::Malformed => "not a well-formed token",
            Self::UnknownKey => "no key has the token's algorithm or kid",
            Self::WrongClaim => "iss, aud or a time in the token is not what is accepted",
            Self::TooLarge => "the cookie is longer than session.max_cookie_bytes",
            Self::Revoked => "the session has been revoked",
        })
    }
}

impl std::error::Error for Rejection {}

impl From<TokenFault> for Rejection {
    fn from(fault: TokenFault) -> Self {
        match fault {
            TokenFault::Malformed => Self::Malformed,
            TokenFault::UnknownKey => Self::UnknownKey,
            TokenFault::BadSignature => Self::BadSignature,
        }
    }
}

//! Compact tokens: signed ones are JWS (RFC 7515 section 7.1), sealed ones are JWE (RFC 7516
//! section 7.1). The key decides the algorithm; the token's header must agree and has no other
//! effect.
//!
//! Tokens are split and headers checked here because `jsonwebtoken` checks neither `crit` nor
//! `b64`, does not support JWE, and parses keys again for each token. Signatures are made and
//! verified by `aws-lc-rs`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Key, KeyRing, Kind, Nonce, Signature};

mod candidates;
mod jwe;

pub(crate) use candidates::Read;
pub use candidates::TokenFault;

use candidates::{Candidates, Form};

/// Why a token could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwritten {
    /// A seal needs an unused nonce, but no random bytes are available.
    NoRandomness,
    /// The crypto library failed, which no secret causes.
    KeyFailed,
}

impl fmt::Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRandomness => "the system's random number generator failed",
            Self::KeyFailed => "the signing key failed",
        })
    }
}

/// Signs or seals a payload, depending on the key. Only a seal uses a nonce.
pub(crate) fn write(
    kind: Kind,
    payload: &str,
    key: &Key,
    nonce: impl FnOnce() -> Option<Nonce>,
) -> Result<String, Unwritten> {
    if key.algorithm().seals() {
        let nonce = nonce().ok_or(Unwritten::NoRandomness)?;
        return jwe::seal(kind, payload, key, nonce).ok_or(Unwritten::KeyFailed);
    }
    sign(kind, payload, key).ok_or(Unwritten::KeyFailed)
}

fn sign(kind: Kind, payload: &str, key: &Key) -> Option<String> {
    let header = key.header_of(kind);
    let mut token = String::with_capacity(header.len() + payload.len() * 4 / 3 + 96);
    token.push_str(header);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    token.push_str(&signature);
    Some(token)
}

/// Verifies the signature of a token, or opens its seal.
pub(crate) fn read(token: &[u8], ring: &KeyRing) -> Result<Read, TokenFault> {
    let token = str::from_utf8(token).map_err(|_| TokenFault::Malformed)?;
    let (message, signature) = token.rsplit_once('.').ok_or(TokenFault::Malformed)?;
    let (header, payload) = message.split_once('.').ok_or(TokenFault::Malformed)?;
    if payload.contains('.') {
        return jwe::open(header, payload, signature, ring);
    }
    // Canonical base64url only: no padding, no white space, no stray trailing bits.
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| TokenFault::Malformed)?;
    let signature = Signature::parse(signature).ok_or(TokenFault::Malformed)?;
    let candidates = Candidates::of(header, Form::Signed, ring)?;
    let verified =
        candidates.among(ring).find(|(_, key)| key.verify(message.as_bytes(), &signature));
    let (key, _) = verified.ok_or(candidates.none_fits())?;
    let mark = *signature.bytes().first_chunk().ok_or(TokenFault::BadSignature)?;
    Ok(Read { payload, kind: candidates.kind, key, mark })
}

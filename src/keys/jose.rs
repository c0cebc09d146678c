//! Compact JWS (RFC 7515 section 7.1): split, header, signature. The key decides the algorithm;
//! what the token says about it must agree and has no other effect.
//!
//! The splitting and the header are checked here because `jsonwebtoken` looks at neither `crit`
//! nor `b64`; the signatures are that crate's.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Key, KeyIndex, KeyRing, Signature};
// A leaf of that room, which knows nothing of keys.
use crate::session::dict::{Dict, unescape};

/// What is wrong with a token before anything of its payload is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No well-formed token.
    Malformed,
    /// No key has its algorithm, or its `kid` is nobody's and no key verifies it.
    UnknownKey,
    /// The signature is not that of the key the token names.
    BadSignature,
}

/// Signs a payload.
///
/// Returns None where the crypto library fails, which it does for no HMAC key.
#[must_use]
pub(crate) fn sign(payload: &str, key: &Key) -> Option<String> {
    let mut token = String::with_capacity(key.header().len() + payload.len() * 4 / 3 + 96);
    token.push_str(key.header());
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(payload, &mut token);
    let signature = key.sign(token.as_bytes())?;
    token.push('.');
    token.push_str(&signature);
    Some(token)
}

/// A payload whose signature has been verified; nothing else has been looked at.
#[derive(Debug)]
pub(crate) struct Signed {
    pub(crate) payload: Vec<u8>,
    pub(crate) key: KeyIndex,
    /// The first bytes of the signature: they tell this token from every other.
    pub(crate) mark: [u8; 16],
}

/// Verifies the signature of a token.
pub(crate) fn verify(token: &[u8], ring: &KeyRing) -> Result<Signed, Fault> {
    let token = str::from_utf8(token).map_err(|_| Fault::Malformed)?;
    let (message, signature) = token.rsplit_once('.').ok_or(Fault::Malformed)?;
    let (header, payload) = message.split_once('.').ok_or(Fault::Malformed)?;
    if payload.contains('.') {
        return Err(Fault::Malformed);
    }
    // Canonical base64url only: no padding, no white space, no stray trailing bits.
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| Fault::Malformed)?;
    let signature = Signature::parse(signature).ok_or(Fault::Malformed)?;
    let key = verify_signature(header, message, &signature, ring)?;
    let mark = *signature.bytes().first_chunk().ok_or(Fault::BadSignature)?;
    Ok(Signed { payload, key, mark })
}

fn verify_signature(
    header: &str,
    message: &str,
    signature: &Signature<'_>,
    ring: &KeyRing,
) -> Result<KeyIndex, Fault> {
    let parsed;
    // A header that is, byte for byte, what one of our keys writes needs no parsing.
    let (algorithm, kid) = match ring.iter().find(|(_, key)| key.header() == header) {
        Some((_, key)) => (key.algorithm(), key.id()),
        None => {
            parsed = Header::parse(header)?;
            let known = ring.iter().map(|(_, key)| key.algorithm());
            let algorithm = known.into_iter().find(|known| known.name() == parsed.algorithm);
            (algorithm.ok_or(Fault::UnknownKey)?, parsed.kid.as_deref())
        }
    };
    let named = kid.and_then(|kid| ring.iter().find(|(_, key)| key.id() == Some(kid)));
    let is_candidate = |index, key: &Key| match named {
        Some((named, _)) => named == index && key.algorithm() == algorithm,
        None => key.algorithm() == algorithm,
    };
    let verified = ring.iter().find(|(index, key)| {
        is_candidate(*index, key) && key.verify(message.as_bytes(), signature)
    });
    match verified {
        Some((index, _)) => Ok(index),
        None if kid.is_some() && named.is_none() => Err(Fault::UnknownKey),
        None => Err(Fault::BadSignature),
    }
}

/// What counts of a JOSE header (RFC 7515 section 4).
struct Header {
    algorithm: String,
    kid: Option<String>,
}

impl Header {
    fn parse(encoded: &str) -> Result<Self, Fault> {
        let json = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| Fault::Malformed)?;
        let json = Dict::from_vec(json).map_err(|_| Fault::Malformed)?;
        let mut algorithm = None;
        let mut kid = None;
        for (key, value) in json.members() {
            match unescape(key).as_ref() {
                b"alg" => algorithm = Some(string(value)?),
                b"kid" => kid = Some(string(value)?),
                // Extensions that must be understood, and none is (sections 4.1.11; RFC 7797).
                b"crit" | b"b64" => return Err(Fault::Malformed),
                _ => {}
            }
        }
        match algorithm {
            Some(algorithm) if !algorithm.eq_ignore_ascii_case("none") => {
                Ok(Self { algorithm, kid })
            }
            _ => Err(Fault::Malformed),
        }
    }
}

fn string(value: &str) -> Result<String, Fault> {
    if !value.starts_with('"') {
        return Err(Fault::Malformed);
    }
    String::from_utf8(unescape(value).into_owned()).map_err(|_| Fault::Malformed)
}

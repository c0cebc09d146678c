//! Compact JWS (RFC 7515 section 7.1): split, header, signature. The key decides the algorithm;
//! what the token says about it must agree and has no other effect.
//!
//! The splitting and the header are checked here because `jsonwebtoken` looks at neither `crit`
//! nor `b64`; the signatures are that crate's.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::dict::{Dict, unescape};
use crate::keys::{Algorithm, Key, KeyIndex, KeyRing, Signature};

/// Why a token is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// Past its `exp`, or the session past its end.
    Expired,
    /// Before its `nbf`.
    NotYetValid,
    /// The signature is not that of the key the token names.
    BadSignature,
    /// No well-formed token.
    Malformed,
    /// No key has its algorithm, or its `kid` is nobody's and no key verifies it.
    UnknownKey,
    /// `iss`, `aud`, or a time that is no number.
    WrongClaim,
    /// The cookie is longer than `session.max_cookie_bytes`.
    TooLarge,
    /// Issued before `session.not_before`, or its session stands in `session.revoked_file`.
    Revoked,
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "the token has expired",
            Self::NotYetValid => "the token is not valid yet (nbf)",
            Self::BadSignature => "the signature does not verify",
            Self::Malformed => "not a well-formed token",
            Self::UnknownKey => "no key has the token's algorithm or kid",
            Self::WrongClaim => "iss, aud or a time in the token is not what is accepted",
            Self::TooLarge => "the cookie is longer than session.max_cookie_bytes",
            Self::Revoked => "the session has been revoked",
        })
    }
}

impl std::error::Error for Rejection {}

/// What a token stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A session: the dict is its payload.
    Session,
    /// A ticket: the dict is in a store. Its header says that it must be understood, so that nobody
    /// takes it for a session with nothing in it.
    Ticket,
}

/// What a ticket's header has that a session's has not: an extension that must be understood
/// (RFC 7515 section 4.1.11) and is its first version.
const CRITICAL: &str = r#"["cr"]"#;
const TICKET_VERSION: &str = "1";

/// The first part of the tokens of a key, base64url-encoded.
#[must_use]
pub fn header(algorithm: Algorithm, id: Option<&str>, kind: Kind) -> String {
    let mut json = format!(r#"{{"typ":"JWT","alg":"{}""#, algorithm.name());
    if kind == Kind::Ticket {
        json.push_str(&format!(r#","crit":{CRITICAL},"cr":{TICKET_VERSION}"#));
    }
    if let Some(id) = id {
        // Writing a string as JSON cannot fail.
        let id = serde_json::to_string(id).unwrap_or_default();
        json.push_str(r#","kid":"#);
        json.push_str(&id);
    }
    json.push('}');
    URL_SAFE_NO_PAD.encode(json)
}

/// Signs a payload that is a dict.
///
/// Returns None where the crypto library fails, which it does for no HMAC key.
#[must_use]
pub fn sign(payload: &str, key: &Key) -> Option<String> {
    sign_as(Kind::Session, payload, key)
}

/// Signs a payload of either kind.
///
/// Returns None where the crypto library fails, which it does for no HMAC key.
#[must_use]
pub(super) fn sign_as(kind: Kind, payload: &str, key: &Key) -> Option<String> {
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

/// A payload whose signature has been verified; nothing else has been looked at.
#[derive(Debug)]
pub(super) struct Signed {
    pub(super) payload: Vec<u8>,
    pub(super) kind: Kind,
    pub(super) key: KeyIndex,
    /// The first bytes of the signature: they tell this token from every other.
    pub(super) mark: [u8; 16],
}

/// Verifies the signature of a token of either kind.
pub(super) fn verify(token: &[u8], ring: &KeyRing) -> Result<Signed, Rejection> {
    let token = str::from_utf8(token).map_err(|_| Rejection::Malformed)?;
    let (message, signature) = token.rsplit_once('.').ok_or(Rejection::Malformed)?;
    let (header, payload) = message.split_once('.').ok_or(Rejection::Malformed)?;
    if payload.contains('.') {
        return Err(Rejection::Malformed);
    }
    // Canonical base64url only: no padding, no white space, no stray trailing bits.
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| Rejection::Malformed)?;
    let signature = Signature::parse(signature).ok_or(Rejection::Malformed)?;
    let (key, kind) = verify_signature(header, message, &signature, ring)?;
    let mark = *signature.bytes().first_chunk().ok_or(Rejection::BadSignature)?;
    Ok(Signed { payload, kind, key, mark })
}

fn verify_signature(
    header: &str,
    message: &str,
    signature: &Signature<'_>,
    ring: &KeyRing,
) -> Result<(KeyIndex, Kind), Rejection> {
    let parsed;
    // A header that is, byte for byte, what one of our keys writes needs no parsing.
    let written = ring.iter().find_map(|(_, key)| Some((key, key.kind_of(header)?)));
    let (algorithm, kid, kind) = match written {
        Some((key, kind)) => (key.algorithm(), key.id(), kind),
        None => {
            parsed = Header::parse(header)?;
            let known = ring.iter().map(|(_, key)| key.algorithm());
            let algorithm = known.into_iter().find(|known| known.name() == parsed.algorithm);
            (algorithm.ok_or(Rejection::UnknownKey)?, parsed.kid.as_deref(), parsed.kind)
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
        Some((index, _)) => Ok((index, kind)),
        None if kid.is_some() && named.is_none() => Err(Rejection::UnknownKey),
        None => Err(Rejection::BadSignature),
    }
}

/// What counts of a JOSE header (RFC 7515 section 4).
struct Header {
    algorithm: String,
    kid: Option<String>,
    kind: Kind,
}

impl Header {
    fn parse(encoded: &str) -> Result<Self, Rejection> {
        let json = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| Rejection::Malformed)?;
        let json = Dict::from_vec(json).map_err(|_| Rejection::Malformed)?;
        let mut algorithm = None;
        let mut kid = None;
        let (mut critical, mut version) = (None, None);
        for (key, value) in json.members() {
            match unescape(key).as_ref() {
                b"alg" => algorithm = Some(string(value)?),
                b"kid" => kid = Some(string(value)?),
                b"crit" => critical = Some(value),
                b"cr" => version = Some(value),
                // RFC 7797.
                b"b64" => return Err(Rejection::Malformed),
                _ => {}
            }
        }
        // Of the extensions that must be understood a ticket's is the only one (section 4.1.11).
        let kind = match (critical, version) {
            (None, _) => Kind::Session,
            (Some(CRITICAL), Some(TICKET_VERSION)) => Kind::Ticket,
            _ => return Err(Rejection::Malformed),
        };
        match algorithm {
            Some(algorithm) if !algorithm.eq_ignore_ascii_case("none") => {
                Ok(Self { algorithm, kid, kind })
            }
            _ => Err(Rejection::Malformed),
        }
    }
}

fn string(value: &str) -> Result<String, Rejection> {
    if !value.starts_with('"') {
        return Err(Rejection::Malformed);
    }
    String::from_utf8(unescape(value).into_owned()).map_err(|_| Rejection::Malformed)
}

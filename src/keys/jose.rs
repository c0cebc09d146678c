//! Compact tokens: JWS (RFC 7515 section 7.1), which are signed, and JWE (RFC 7516 section 7.1),
//! which are sealed. The key decides the algorithm; what the token says about it must agree and
//! has no other effect.
//!
//! The splitting and the header are checked here because `jsonwebtoken` looks at neither `crit`
//! nor `b64`, and knows no JWE; the signatures are that crate's.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::{Algorithm, CRITICAL, Key, KeyIndex, KeyRing, Kind, Nonce, Signature, TICKET_VERSION};
// A leaf of that room, which knows nothing of keys.
use crate::session::dict::{Dict, unescape};

mod jwe;

/// What is wrong with a token before anything of its payload is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No well-formed token.
    Malformed,
    /// No key has its algorithm, or its `kid` is nobody's and no key verifies it.
    UnknownKey,
    /// The signature, or the seal, is not that of the key the token names.
    BadSignature,
}

/// Why no token could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unwritten {
    /// A seal needs a nonce that was never used before, and there are no random bytes for one.
    NoRandomness,
    /// The crypto library failed, which it does for no secret.
    KeyFailed,
}

impl fmt::Display for Unwritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoRandomness => "the system gives no random bytes to seal it with",
            Self::KeyFailed => "the signing key failed",
        })
    }
}

/// Signs or seals a payload of either kind, as the key does. Only a seal takes a nonce.
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

/// A payload whose signature or seal has been verified; nothing else has been looked at.
pub(crate) struct Read {
    pub(crate) payload: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) key: KeyIndex,
    /// The first bytes of the signature, or the tag of the seal: they tell this token from every
    /// other.
    pub(crate) mark: [u8; 16],
}

/// Verifies the signature of a token, or opens its seal.
pub(crate) fn read(token: &[u8], ring: &KeyRing) -> Result<Read, Fault> {
    let token = str::from_utf8(token).map_err(|_| Fault::Malformed)?;
    let (message, signature) = token.rsplit_once('.').ok_or(Fault::Malformed)?;
    let (header, payload) = message.split_once('.').ok_or(Fault::Malformed)?;
    if payload.contains('.') {
        return jwe::open(header, payload, signature, ring);
    }
    // Canonical base64url only: no padding, no white space, no stray trailing bits.
    let payload = URL_SAFE_NO_PAD.decode(payload).map_err(|_| Fault::Malformed)?;
    let signature = Signature::parse(signature).ok_or(Fault::Malformed)?;
    let candidates = Candidates::of(header, Form::Signed, ring)?;
    let verified =
        candidates.among(ring).find(|(_, key)| key.verify(message.as_bytes(), &signature));
    let (key, _) = verified.ok_or(candidates.none_fits())?;
    let mark = *signature.bytes().first_chunk().ok_or(Fault::BadSignature)?;
    Ok(Read { payload, kind: candidates.kind, key, mark })
}

/// What the number of a token's parts says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Three: JWS.
    Signed,
    /// Five: JWE.
    Sealed,
}

/// The keys that a token is tried with.
struct Candidates {
    kind: Kind,
    algorithm: Algorithm,
    kid: Kid,
}

enum Kid {
    None,
    /// This key's, and no other one is tried.
    Of(KeyIndex),
    /// No key's: each is tried.
    Nobodys,
}

impl Candidates {
    fn of(header: &str, form: Form, ring: &KeyRing) -> Result<Self, Fault> {
        let parsed;
        // A header that is, byte for byte, what one of our keys writes needs no parsing.
        let written = ring.iter().find_map(|(_, key)| Some((key, key.kind_of(header)?)));
        let (algorithm, kid, kind) = match written {
            Some((key, kind)) => (key.algorithm(), key.id(), kind),
            None => {
                parsed = Header::parse(header, form)?;
                let mut known = ring.iter().map(|(_, key)| key.algorithm());
                let algorithm = known.find(|known| parsed.names(*known));
                (algorithm.ok_or(Fault::UnknownKey)?, parsed.kid.as_deref(), parsed.kind)
            }
        };
        // No key signs in the one form and seals in the other.
        if algorithm.seals() != (form == Form::Sealed) {
            return Err(Fault::UnknownKey);
        }
        let kid = match kid {
            None => Kid::None,
            Some(kid) => match ring.iter().find(|(_, key)| key.id() == Some(kid)) {
                Some((index, _)) => Kid::Of(index),
                None => Kid::Nobodys,
            },
        };
        Ok(Self { kind, algorithm, kid })
    }

    fn among<'r>(&self, ring: &'r KeyRing) -> impl Iterator<Item = (KeyIndex, &'r Key)> {
        ring.iter().filter(|(index, key)| {
            let is_named = match self.kid {
                Kid::Of(named) => named == *index,
                Kid::None | Kid::Nobodys => true,
            };
            is_named && key.algorithm() == self.algorithm
        })
    }

    fn none_fits(&self) -> Fault {
        match self.kid {
            Kid::Nobodys => Fault::UnknownKey,
            Kid::None | Kid::Of(_) => Fault::BadSignature,
        }
    }
}

/// What counts of a JOSE header (RFC 7515 section 4, RFC 7516 section 4).
struct Header {
    algorithm: String,
    /// `enc`, of a sealed token only.
    encryption: Option<String>,
    kid: Option<String>,
    kind: Kind,
}

impl Header {
    /// Reads a header. This is the place that decides which members there may be.
    fn parse(encoded: &str, form: Form) -> Result<Self, Fault> {
        let json = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| Fault::Malformed)?;
        let json = Dict::from_vec(json).map_err(|_| Fault::Malformed)?;
        let mut algorithm = None;
        let mut encryption = None;
        let mut kid = None;
        let (mut critical, mut version) = (None, None);
        for (key, value) in json.members() {
            match (unescape(key).as_ref(), form) {
                (b"alg", _) => algorithm = Some(string(value)?),
                (b"kid", _) => kid = Some(string(value)?),
                (b"enc", Form::Sealed) => encryption = Some(string(value)?),
                (b"crit", _) => critical = Some(value),
                (b"cr", _) => version = Some(value),
                // RFC 7797.
                (b"b64", _) => return Err(Fault::Malformed),
                // Compressed text tells by its length what is in it, and a short one may be the
                // beginning of gigabytes.
                (b"zip", Form::Sealed) => return Err(Fault::Malformed),
                _ => {}
            }
        }
        // Of the extensions that must be understood a ticket's is the only one (section 4.1.11).
        let kind = match (critical, version) {
            (None, _) => Kind::Session,
            (Some(CRITICAL), Some(TICKET_VERSION)) => Kind::Ticket,
            _ => return Err(Fault::Malformed),
        };
        if form == Form::Sealed && encryption.is_none() {
            return Err(Fault::Malformed);
        }
        match algorithm {
            Some(algorithm) if !algorithm.eq_ignore_ascii_case("none") => {
                Ok(Self { algorithm, encryption, kid, kind })
            }
            _ => Err(Fault::Malformed),
        }
    }

    /// Whether it is one of that algorithm.
    fn names(&self, known: Algorithm) -> bool {
        if known.seals() {
            self.algorithm == DIRECT && self.encryption.as_deref() == Some(known.name())
        } else {
            self.algorithm == known.name()
        }
    }
}

/// The `alg` of a sealed token: the key itself seals, none is wrapped (RFC 7518 section 4.5).
const DIRECT: &str = "dir";

fn string(value: &str) -> Result<String, Fault> {
    if !value.starts_with('"') {
        return Err(Fault::Malformed);
    }
    String::from_utf8(unescape(value).into_owned()).map_err(|_| Fault::Malformed)
}

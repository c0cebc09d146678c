//! Selects the keys to try for a token from its header.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::keys::key::{CRITICAL, TICKET_VERSION};
use crate::keys::{Algorithm, Key, KeyIndex, KeyRing, Kind};
// This module of `session` does not use keys.
use crate::session::dict::{Dict, unescape};

/// Why a token is not accepted, before its payload is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFault {
    /// It is not a well-formed token.
    Malformed,
    /// No key has its algorithm, or its `kid` is unknown and no key verifies it.
    UnknownKey,
    /// The signature or seal does not match the key that the token names.
    BadSignature,
}

/// A payload whose signature or seal is verified, but whose contents are not checked.
pub(crate) struct Read {
    pub(crate) payload: Vec<u8>,
    pub(crate) kind: Kind,
    pub(crate) key: KeyIndex,
    /// The first bytes of the signature, or the tag of the seal; used as an id of the token.
    pub(crate) mark: [u8; 16],
}

/// The form of a token, by its number of parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Three: JWS.
    Signed,
    /// Five: JWE.
    Sealed,
}

/// The keys to try for a token.
pub(super) struct Candidates {
    pub(super) kind: Kind,
    algorithm: Algorithm,
    kid: Kid,
}

enum Kid {
    None,
    /// It names this key; only this key is tried.
    Of(KeyIndex),
    /// It names an unknown key; every key is tried.
    Nobodys,
}

impl Candidates {
    pub(super) fn of(header: &str, form: Form, ring: &KeyRing) -> Result<Self, TokenFault> {
        let parsed;
        // A header exactly as one of our keys writes it needs no parsing.
        let written = ring.iter().find_map(|(_, key)| Some((key, key.kind_of(header)?)));
        let (algorithm, kid, kind) = match written {
            Some((key, kind)) => (key.algorithm(), key.id(), kind),
            None => {
                parsed = Header::parse(header, form)?;
                let mut known = ring.iter().map(|(_, key)| key.algorithm());
                let algorithm = known.find(|known| parsed.names(*known));
                (algorithm.ok_or(TokenFault::UnknownKey)?, parsed.kid.as_deref(), parsed.kind)
            }
        };
        // A key that seals does not sign, and the reverse.
        if algorithm.seals() != (form == Form::Sealed) {
            return Err(TokenFault::UnknownKey);
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

    pub(super) fn among<'r>(&self, ring: &'r KeyRing) -> impl Iterator<Item = (KeyIndex, &'r Key)> {
        ring.iter().filter(|(index, key)| {
            let is_named = match self.kid {
                Kid::Of(named) => named == *index,
                Kid::None | Kid::Nobodys => true,
            };
            is_named && key.algorithm() == self.algorithm
        })
    }

    pub(super) fn none_fits(&self) -> TokenFault {
        match self.kid {
            Kid::Nobodys => TokenFault::UnknownKey,
            Kid::None | Kid::Of(_) => TokenFault::BadSignature,
        }
    }
}

/// The members of a JOSE header that matter (RFC 7515 section 4, RFC 7516 section 4).
struct Header {
    algorithm: String,
    /// `enc`, only in a sealed token.
    encryption: Option<String>,
    kid: Option<String>,
    kind: Kind,
}

impl Header {
    /// Reads a header. This function decides which members are allowed.
    fn parse(encoded: &str, form: Form) -> Result<Self, TokenFault> {
        let json = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| TokenFault::Malformed)?;
        let json = Dict::from_vec(json).map_err(|_| TokenFault::Malformed)?;
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
                (b"b64", _) => return Err(TokenFault::Malformed),
                // The length of compressed text reveals its content, and a short text can expand to
                // gigabytes.
                (b"zip", Form::Sealed) => return Err(TokenFault::Malformed),
                _ => {}
            }
        }
        // A ticket's extension is the only critical one that is understood (section 4.1.11).
        let kind = match (critical, version) {
            (None, _) => Kind::Session,
            (Some(CRITICAL), Some(TICKET_VERSION)) => Kind::Ticket,
            _ => return Err(TokenFault::Malformed),
        };
        if form == Form::Sealed && encryption.is_none() {
            return Err(TokenFault::Malformed);
        }
        match algorithm {
            Some(algorithm) if !algorithm.eq_ignore_ascii_case("none") => {
                Ok(Self { algorithm, encryption, kid, kind })
            }
            _ => Err(TokenFault::Malformed),
        }
    }

    /// Whether the header is for this algorithm.
    fn names(&self, known: Algorithm) -> bool {
        if known.seals() {
            self.algorithm == DIRECT && self.encryption.as_deref() == Some(known.name())
        } else {
            self.algorithm == known.name()
        }
    }
}

/// The `alg` of a sealed token: the key is used directly, not wrapped (RFC 7518 section 4.5).
const DIRECT: &str = "dir";

fn string(value: &str) -> Result<String, TokenFault> {
    if !value.starts_with('"') {
        return Err(TokenFault::Malformed);
    }
    String::from_utf8(unescape(value).into_owned()).map_err(|_| TokenFault::Malformed)
}

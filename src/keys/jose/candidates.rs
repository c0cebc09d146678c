//! The keys that a token is tried with: what its header says, and what of that counts.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::keys::key::{CRITICAL, TICKET_VERSION};
use crate::keys::{Algorithm, Key, KeyIndex, KeyRing, Kind};
// A leaf of that room, which knows nothing of keys.
use crate::session::dict::{Dict, unescape};

/// What is wrong with a token before anything of its payload is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenFault {
    /// No well-formed token.
    Malformed,
    /// No key has its algorithm, or its `kid` is nobody's and no key verifies it.
    UnknownKey,
    /// The signature, or the seal, is not that of the key the token names.
    BadSignature,
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

/// What the number of a token's parts says it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Three: JWS.
    Signed,
    /// Five: JWE.
    Sealed,
}

/// The keys that a token is tried with.
pub(super) struct Candidates {
    pub(super) kind: Kind,
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
    pub(super) fn of(header: &str, form: Form, ring: &KeyRing) -> Result<Self, TokenFault> {
        let parsed;
        // A header that is, byte for byte, what one of our keys writes needs no parsing.
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
        // No key signs in the one form and seals in the other.
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
                // Compressed text tells by its length what is in it, and a short one may be the
                // beginning of gigabytes.
                (b"zip", Form::Sealed) => return Err(TokenFault::Malformed),
                _ => {}
            }
        }
        // Of the extensions that must be understood a ticket's is the only one (section 4.1.11).
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

fn string(value: &str) -> Result<String, TokenFault> {
    if !value.starts_with('"') {
        return Err(TokenFault::Malformed);
    }
    String::from_utf8(unescape(value).into_owned()).map_err(|_| TokenFault::Malformed)
}

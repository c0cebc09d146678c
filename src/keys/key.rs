//! One key: what it signs and verifies, or seals and opens.

use std::fmt;

use aws_lc_rs::aead::{self, Aad, LessSafeKey, UnboundKey};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroize as _;

use super::algorithm::{Algorithm, Family};
use super::pem::{self, PemError};
use super::private_key::PrivateKey;
use super::public_key::PublicKey;

/// The nonce of a seal. It must never be used twice with the same key.
pub type Nonce = [u8; NONCE_BYTES];

/// 96 bits (RFC 7518 section 5.3).
pub const NONCE_BYTES: usize = 12;

/// 128 bits (RFC 7518 section 5.3).
pub(crate) const TAG_BYTES: usize = 16;

/// The number of seals after which a key should be replaced: half of what NIST SP 800-38D section
/// 8.3 allows with random nonces.
pub const MANY_SEALS: u64 = 1 << 31;

/// The type of a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A session: the dict is its payload.
    Session,
    /// A ticket: the dict is in the store. Its header has a critical extension, so that other
    /// readers do not take it for an empty session.
    Ticket,
}

/// The header member that distinguishes tickets: an extension that must be understood (RFC 7515
/// section 4.1.11), in its first version.
pub(super) const CRITICAL: &str = r#"["cr"]"#;
pub(super) const TICKET_VERSION: &str = "1";

/// The bytes of a signature.
pub(crate) struct Signature {
    /// In an array: each request verifies a signature, and this saves an allocation.
    bytes: [u8; LONGEST_SIGNATURE + 2],
    length: usize,
}

/// The longest signature is RSA with 8192 bits; base64 decodes in groups of three bytes.
const LONGEST_SIGNATURE: usize = 1024;

impl Signature {
    /// None if it is not canonical base64url, or too long for any key.
    pub(crate) fn parse(encoded: &str) -> Option<Self> {
        let mut bytes = [0; LONGEST_SIGNATURE + 2];
        let length = URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes).ok()?;
        Some(Self { bytes, length })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// A key.
pub struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    material: Material,
    /// The header of its tokens, base64url-encoded.
    header: String,
    /// The same for tickets.
    ticket_header: String,
}

/// The key material.
enum Material {
    /// A secret, hashed once instead of for each token.
    Hmac(Box<hmac::Key>),
    Pair {
        /// None for a key that only verifies.
        signing: Option<PrivateKey>,
        verifying: PublicKey,
    },
    /// A secret that seals.
    Aes(Box<LessSafeKey>),
}

impl Key {
    /// A key from a secret that signs.
    #[must_use]
    pub fn hmac(id: Option<String>, algorithm: Algorithm, secret: &[u8]) -> Self {
        let hash = match algorithm {
            Algorithm::Hs384 => hmac::HMAC_SHA384,
            Algorithm::Hs512 => hmac::HMAC_SHA512,
            _ => hmac::HMAC_SHA256,
        };
        Self::new(id, algorithm, Material::Hmac(Box::new(hmac::Key::new(hash, secret))))
    }

    /// A key from a secret that seals; None if the secret does not have 32 bytes.
    #[must_use]
    pub fn sealing(id: Option<String>, secret: &[u8]) -> Option<Self> {
        let key = LessSafeKey::new(UnboundKey::new(&aead::AES_256_GCM, secret).ok()?);
        Some(Self::new(id, Algorithm::A256Gcm, Material::Aes(Box::new(key))))
    }

    /// A key pair, from its private key in PEM (PKCS #8; for RSA also PKCS #1, for EC also SEC 1).
    ///
    /// # Errors
    /// Why the text is not a private key for the algorithm; it completes a sentence about the text.
    pub fn private(id: Option<String>, algorithm: Algorithm, pem: &[u8]) -> Result<Self, PemError> {
        let (signing, verifying) = pem::private(pem, algorithm)?;
        Ok(Self::new(id, algorithm, Material::Pair { signing: Some(signing), verifying }))
    }

    /// A key that only verifies, from PEM (SubjectPublicKeyInfo; for RSA also PKCS #1).
    ///
    /// # Errors
    /// Why the text is not a public key for the algorithm; it completes a sentence about the text.
    pub fn public(id: Option<String>, algorithm: Algorithm, pem: &[u8]) -> Result<Self, PemError> {
        let verifying = pem::public(pem, algorithm)?;
        Ok(Self::new(id, algorithm, Material::Pair { signing: None, verifying }))
    }

    fn new(id: Option<String>, algorithm: Algorithm, material: Material) -> Self {
        let header = |kind| header(algorithm, id.as_deref(), kind);
        let (header, ticket_header) = (header(Kind::Session), header(Kind::Ticket));
        Self { id, algorithm, material, header, ticket_header }
    }

    /// The `kid` of its tokens.
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The only algorithm that it is used with, whatever a token's header says.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether it can issue tokens; a public key cannot.
    #[must_use]
    pub fn can_sign(&self) -> bool {
        !matches!(self.material, Material::Pair { signing: None, .. })
    }

    /// Whether issuing a token takes more than 0.1 ms, too long to block other requests.
    #[must_use]
    pub fn is_slow(&self) -> bool {
        self.algorithm.family() == Family::Rsa
    }

    /// Whether the two are one key pair or the same secret: one verifies what the other signs.
    #[must_use]
    pub fn is_pair_of(&self, public: &Self) -> bool {
        let probe = b"cloakroom";
        if self.algorithm.seals() {
            // This seal is never sent, so a fixed nonce is safe.
            let (nonce, mut text) = ([0; NONCE_BYTES], probe.to_vec());
            let tag = self.seal(nonce, b"", &mut text);
            return tag.is_some_and(|tag| public.open(nonce, b"", &tag, &mut text));
        }
        let signature = self.sign(probe).unwrap_or_default();
        Signature::parse(&signature).is_some_and(|parsed| public.verify(probe, &parsed))
    }

    /// The header of its tokens.
    pub(crate) fn header_of(&self, kind: Kind) -> &str {
        match kind {
            Kind::Session => &self.header,
            Kind::Ticket => &self.ticket_header,
        }
    }

    /// The type of its tokens with this header; None if it does not write this header.
    pub(crate) fn kind_of(&self, header: &str) -> Option<Kind> {
        [Kind::Session, Kind::Ticket].into_iter().find(|kind| self.header_of(*kind) == header)
    }

    /// The signature of `message`, base64url-encoded; None if the key cannot sign or the crypto
    /// library fails.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<String> {
        match &self.material {
            Material::Hmac(key) => Some(URL_SAFE_NO_PAD.encode(hmac::sign(key, message))),
            Material::Pair { signing, .. } => signing.as_ref()?.sign(message),
            Material::Aes(_) => None,
        }
    }

    /// Whether `signature` is valid for `message`.
    pub(crate) fn verify(&self, message: &[u8], signature: &Signature) -> bool {
        match &self.material {
            Material::Hmac(key) => hmac::verify(key, message, signature.bytes()).is_ok(),
            Material::Pair { verifying, .. } => verifying.verify(message, signature.bytes()),
            Material::Aes(_) => false,
        }
    }

    /// Seals `text` in place and returns the tag, which also covers `header`. None if the key
    /// cannot seal or the crypto library fails; the text is then lost.
    pub(crate) fn seal(
        &self,
        nonce: Nonce,
        header: &[u8],
        text: &mut Vec<u8>,
    ) -> Option<[u8; TAG_BYTES]> {
        let Material::Aes(key) = &self.material else { return None };
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from(header), text);
        let Some(tag) = tag.ok().and_then(|tag| tag.as_ref().try_into().ok()) else {
            text.zeroize();
            return None;
        };
        Some(tag)
    }

    /// Opens in place what [`Self::seal`] has sealed. Returns false if another key sealed it; the
    /// text is then unusable.
    pub(crate) fn open(
        &self,
        nonce: Nonce,
        header: &[u8],
        tag: &[u8; TAG_BYTES],
        text: &mut [u8],
    ) -> bool {
        let Material::Aes(key) = &self.material else { return false };
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        key.open_in_place_separate_tag(nonce, Aad::from(header), tag, text).is_ok()
    }
}

/// The header of a key's tokens, base64url-encoded.
fn header(algorithm: Algorithm, id: Option<&str>, kind: Kind) -> String {
    let name = algorithm.name();
    let mut json = if algorithm.seals() {
        format!(r#"{{"typ":"JWT","alg":"dir","enc":"{name}""#)
    } else {
        format!(r#"{{"typ":"JWT","alg":"{name}""#)
    };
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

/// Prints the id and algorithm, never the key.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

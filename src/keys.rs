//! The keys that tokens are signed and verified with, or sealed and opened. Pure: [`source`] does the reading.

use std::fmt;

use aws_lc_rs::aead::{self, Aad, LessSafeKey, UnboundKey};
use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{DecodingKey, EncodingKey};
use zeroize::Zeroize as _;

pub mod jose;
mod pem;
pub mod reload;
pub mod source;

/// The algorithms that keys can have: for signatures those of RFC 7518 section 3.1 and RFC 8037
/// section 3.1, for seals one of RFC 7518 section 5.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Algorithm {
    /// HMAC with SHA-256
    #[default]
    Hs256,
    /// HMAC with SHA-384
    Hs384,
    /// HMAC with SHA-512
    Hs512,
    /// RSASSA-PKCS1-v1_5 with SHA-256
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512
    Rs512,
    /// RSASSA-PSS with SHA-256
    Ps256,
    /// RSASSA-PSS with SHA-384
    Ps384,
    /// RSASSA-PSS with SHA-512
    Ps512,
    /// ECDSA on P-256 with SHA-256
    Es256,
    /// ECDSA on P-384 with SHA-384
    Es384,
    /// EdDSA on Ed25519
    EdDsa,
    /// AES-256 in Galois/Counter Mode: seals
    A256Gcm,
}

/// What kind of key an algorithm takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// A secret.
    Hmac,
    /// An RSA key pair.
    Rsa,
    /// An elliptic-curve key pair.
    Ec,
    /// An Edwards-curve key pair.
    Ed,
    /// A secret of one length, that seals.
    Aes,
}

impl Algorithm {
    /// Every algorithm, in the order of the documentation.
    pub const ALL: [Self; 13] = [
        Self::Hs256,
        Self::Hs384,
        Self::Hs512,
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
        Self::A256Gcm,
    ];

    /// The name as it stands in a token's header and in the configuration.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Ps256 => "PS256",
            Self::Ps384 => "PS384",
            Self::Ps512 => "PS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            Self::A256Gcm => "A256GCM",
        }
    }

    /// The algorithm of that name; names are case-sensitive.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name() == name)
    }

    /// What kind of key it takes.
    #[must_use]
    pub const fn family(self) -> Family {
        match self {
            Self::Hs256 | Self::Hs384 | Self::Hs512 => Family::Hmac,
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Ps256 | Self::Ps384 | Self::Ps512 => {
                Family::Rsa
            }
            Self::Es256 | Self::Es384 => Family::Ec,
            Self::EdDsa => Family::Ed,
            Self::A256Gcm => Family::Aes,
        }
    }

    /// Whether its key is a secret, and no key pair.
    #[must_use]
    pub const fn takes_a_secret(self) -> bool {
        matches!(self.family(), Family::Hmac | Family::Aes)
    }

    /// Whether only the holder of the key can read its tokens; the others are signed, and anybody
    /// can.
    #[must_use]
    pub const fn seals(self) -> bool {
        matches!(self.family(), Family::Aes)
    }

    /// The least length of a secret in bytes: that of the hash (RFC 7518 section 3.2); of one that
    /// seals the only length. 0 for an algorithm that takes a key pair.
    #[must_use]
    pub const fn least_secret_bytes(self) -> usize {
        match self {
            Self::Hs256 | Self::A256Gcm => 32,
            Self::Hs384 => 48,
            Self::Hs512 => 64,
            _ => 0,
        }
    }

    /// None for one that makes no signatures.
    fn of_jsonwebtoken(self) -> Option<jsonwebtoken::Algorithm> {
        use jsonwebtoken::Algorithm as Theirs;
        Some(match self {
            Self::Hs256 => Theirs::HS256,
            Self::Hs384 => Theirs::HS384,
            Self::Hs512 => Theirs::HS512,
            Self::Rs256 => Theirs::RS256,
            Self::Rs384 => Theirs::RS384,
            Self::Rs512 => Theirs::RS512,
            Self::Ps256 => Theirs::PS256,
            Self::Ps384 => Theirs::PS384,
            Self::Ps512 => Theirs::PS512,
            Self::Es256 => Theirs::ES256,
            Self::Es384 => Theirs::ES384,
            Self::EdDsa => Theirs::EdDSA,
            Self::A256Gcm => return None,
        })
    }
}

/// What a seal is made with besides the key, and must never be twice with the same key.
pub type Nonce = [u8; NONCE_BYTES];

/// RFC 7518 section 5.3: 96 bits.
pub const NONCE_BYTES: usize = 12;

/// RFC 7518 section 5.3: 128 bits.
pub(crate) const TAG_BYTES: usize = 16;

/// From how many seals of one key on it should be replaced: half of what NIST SP 800-38D section
/// 8.3 allows with random nonces.
pub const MANY_SEALS: u64 = 1 << 31;

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

/// A signature as it stands in a token, and its bytes.
pub(crate) struct Signature<'a> {
    encoded: &'a str,
    /// In place: one that is looked at for each request is worth no allocation.
    bytes: [u8; LONGEST_SIGNATURE + 2],
    length: usize,
}

/// Bytes of the longest, that of RSA with 8192 bits; base64 asks for room in whole groups.
const LONGEST_SIGNATURE: usize = 1024;

impl<'a> Signature<'a> {
    /// None where it is not canonical base64url, or too long for any key.
    pub(crate) fn parse(encoded: &'a str) -> Option<Self> {
        let mut bytes = [0; LONGEST_SIGNATURE + 2];
        let length = URL_SAFE_NO_PAD.decode_slice(encoded, &mut bytes).ok()?;
        Some(Self { encoded, bytes, length })
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// One key.
pub struct Key {
    id: Option<String>,
    algorithm: Algorithm,
    material: Material,
    /// The first part of the tokens it signs, base64url-encoded.
    header: String,
    /// The same of tickets.
    ticket_header: String,
}

/// What signs and verifies.
enum Material {
    /// A secret, hashed once: `jsonwebtoken` would do it anew for each token.
    Hmac(Box<hmac::Key>),
    Pair {
        /// None for a key that only verifies.
        signing: Option<EncodingKey>,
        verifying: DecodingKey,
    },
    /// A secret that seals.
    Aes(Box<LessSafeKey>),
}

impl Key {
    /// A secret.
    #[must_use]
    pub fn hmac(id: Option<String>, algorithm: Algorithm, secret: &[u8]) -> Self {
        let hash = match algorithm {
            Algorithm::Hs384 => hmac::HMAC_SHA384,
            Algorithm::Hs512 => hmac::HMAC_SHA512,
            _ => hmac::HMAC_SHA256,
        };
        Self::new(id, algorithm, Material::Hmac(Box::new(hmac::Key::new(hash, secret))))
    }

    /// A secret that seals; None where it has another length than 32 bytes.
    #[must_use]
    pub fn sealing(id: Option<String>, secret: &[u8]) -> Option<Self> {
        let key = LessSafeKey::new(UnboundKey::new(&aead::AES_256_GCM, secret).ok()?);
        Some(Self::new(id, Algorithm::A256Gcm, Material::Aes(Box::new(key))))
    }

    /// A key pair, from its private half in PEM (PKCS #8; of RSA also PKCS #1, of EC also
    /// SEC 1).
    ///
    /// # Errors
    /// Why the text holds no private key for the algorithm: the end of a sentence about it.
    pub fn private(id: Option<String>, algorithm: Algorithm, pem: &[u8]) -> Result<Self, String> {
        let (signing, verifying) = pem::private(pem, algorithm)?;
        Ok(Self::new(id, algorithm, Material::Pair { signing: Some(signing), verifying }))
    }

    /// A key that only verifies, from PEM (SubjectPublicKeyInfo; of RSA also PKCS #1).
    ///
    /// # Errors
    /// Why the text holds no public key for the algorithm: the end of a sentence about it.
    pub fn public(id: Option<String>, algorithm: Algorithm, pem: &[u8]) -> Result<Self, String> {
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

    /// The one algorithm it is used with; a token's header has no say in it.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether it can make tokens: whether it is more than a public key.
    #[must_use]
    pub fn can_sign(&self) -> bool {
        !matches!(self.material, Material::Pair { signing: None, .. })
    }

    /// Whether the two are halves of one pair, or one secret: what one signs, the other verifies.
    #[must_use]
    pub fn is_pair_of(&self, public: &Self) -> bool {
        let probe = b"cloakroom";
        if self.algorithm.seals() {
            // Nobody ever sees this seal, so that its nonce counts as never used.
            let (nonce, mut text) = ([0; NONCE_BYTES], probe.to_vec());
            let tag = self.seal(nonce, b"", &mut text);
            return tag.is_some_and(|tag| public.open(nonce, b"", &tag, &mut text));
        }
        let signature = self.sign(probe).unwrap_or_default();
        Signature::parse(&signature).is_some_and(|parsed| public.verify(probe, &parsed))
    }

    /// The first part of its tokens.
    pub(crate) fn header_of(&self, kind: Kind) -> &str {
        match kind {
            Kind::Session => &self.header,
            Kind::Ticket => &self.ticket_header,
        }
    }

    /// Of which of its tokens this is the first part; None where it is of none.
    pub(crate) fn kind_of(&self, header: &str) -> Option<Kind> {
        [Kind::Session, Kind::Ticket].into_iter().find(|kind| self.header_of(*kind) == header)
    }

    /// The signature of `message`, base64url-encoded; None if it cannot sign or the crypto
    /// library fails.
    pub(crate) fn sign(&self, message: &[u8]) -> Option<String> {
        match &self.material {
            Material::Hmac(key) => Some(URL_SAFE_NO_PAD.encode(hmac::sign(key, message))),
            Material::Pair { signing, .. } => {
                let algorithm = self.algorithm.of_jsonwebtoken()?;
                jsonwebtoken::crypto::sign(message, signing.as_ref()?, algorithm).ok()
            }
            Material::Aes(_) => None,
        }
    }

    /// Whether a signature is this key's for `message`.
    pub(crate) fn verify(&self, message: &[u8], signature: &Signature<'_>) -> bool {
        match &self.material {
            Material::Hmac(key) => hmac::verify(key, message, signature.bytes()).is_ok(),
            Material::Pair { verifying, .. } => {
                self.algorithm.of_jsonwebtoken().is_some_and(|algorithm| {
                    jsonwebtoken::crypto::verify(signature.encoded, message, verifying, algorithm)
                        .unwrap_or(false)
                })
            }
            Material::Aes(_) => false,
        }
    }

    /// Seals `text` where it lies and returns the tag, which covers `header` as well. None if it
    /// cannot seal or the crypto library fails; the text is gone then.
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

    /// Opens what [`Self::seal`] has sealed, where it lies. Whether it is this key's; else the text
    /// is of no use any more.
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

/// The first part of the tokens of a key, base64url-encoded.
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

/// Shows which key, never its bytes.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

/// The place of a key in the file, from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KeyIndex(pub usize);

/// The signing key and those still accepted.
#[derive(Debug)]
pub struct KeyRing {
    keys: Vec<Key>,
}

impl KeyRing {
    /// A ring of one signing key and others that only verify.
    #[must_use]
    pub fn new(signing: Key, others: Vec<Key>) -> Self {
        let mut keys = others;
        keys.insert(0, signing);
        Self { keys }
    }

    /// The key that signs.
    #[must_use]
    pub fn signing(&self) -> &Key {
        &self.keys[0]
    }

    /// Every key with its place, the signing one first.
    pub fn iter(&self) -> impl Iterator<Item = (KeyIndex, &Key)> {
        self.keys.iter().enumerate().map(|(index, key)| (KeyIndex(index), key))
    }

    /// What metrics and logs call a key: its id, or its number in the file from 1.
    #[must_use]
    pub fn label(&self, index: KeyIndex) -> String {
        let id = self.keys.get(index.0).and_then(|key| key.id.clone());
        id.unwrap_or_else(|| (index.0 + 1).to_string())
    }
}

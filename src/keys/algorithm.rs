//! The algorithms of keys, and the type of key for each.

/// The algorithms of keys: signatures from RFC 7518 section 3.1 and RFC 8037 section 3.1, seals
/// from RFC 7518 section 5.1.
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
    /// AES-256 in Galois/Counter Mode: seals.
    A256Gcm,
}

/// The type of key that an algorithm uses.
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
    /// A secret of a fixed length that seals.
    Aes,
}

impl Algorithm {
    /// Every algorithm, in the order of docs/configuration.md.
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

    /// The name in a token's header and in the configuration.
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

    /// The type of key that it uses.
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

    /// Whether its key is a secret, not a key pair.
    #[must_use]
    pub const fn takes_a_secret(self) -> bool {
        matches!(self.family(), Family::Hmac | Family::Aes)
    }

    /// Whether it seals: only the holder of the key can read the token. Anyone can read a signed
    /// one.
    #[must_use]
    pub const fn seals(self) -> bool {
        matches!(self.family(), Family::Aes)
    }

    /// The minimum length of a secret in bytes: that of the hash (RFC 7518 section 3.2). For an
    /// algorithm that seals, the exact length; for a key pair, 0.
    #[must_use]
    pub const fn least_secret_bytes(self) -> usize {
        match self {
            Self::Hs256 | Self::A256Gcm => 32,
            Self::Hs384 => 48,
            Self::Hs512 => 64,
            _ => 0,
        }
    }

    /// None if it does not sign.
    pub(super) fn of_jsonwebtoken(self) -> Option<jsonwebtoken::Algorithm> {
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

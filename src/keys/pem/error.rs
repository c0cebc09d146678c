//! Why a text holds no key.

use std::fmt;

use crate::keys::algorithm::Algorithm;

/// RFC 7518 section 3.3.
pub(super) const LEAST_RSA_BITS: usize = 2048;

/// What the crypto library verifies.
pub(super) const MOST_RSA_BITS: usize = 8192;

/// Why PEM holds no key for an algorithm: the end of a sentence about the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PemError {
    /// It is no PEM.
    NoPem,
    /// It has more than one key in it.
    Several {
        /// How many blocks it has.
        blocks: usize,
    },
    /// A public key in the place of a private one.
    Public,
    /// A private key in the place of a public one.
    Private,
    /// A private key that takes a passphrase.
    Encrypted,
    /// A certificate.
    Certificate,
    /// A block of another kind.
    Other {
        /// What stands above it.
        label: String,
    },
    /// A key for another algorithm.
    Unfit(Algorithm),
    /// An RSA key that no other algorithm than RSA-PSS may use, and that libraries do not read.
    MarkedForPss(Algorithm),
    /// An RSA key that is not safe.
    ShortRsa {
        /// How long its modulus is.
        bits: usize,
    },
    /// An RSA key that the crypto library does not take.
    LongRsa {
        /// How long its modulus is.
        bits: usize,
    },
    /// An RSA key of a library that made weak ones.
    Roca,
}

impl fmt::Display for PemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoPem => "contains no PEM block (-----BEGIN PRIVATE KEY----- or PUBLIC KEY)",
            Self::Several { blocks } => {
                return write!(f, "contains {blocks} PEM blocks; expected one key");
            }
            Self::Public => "contains a public key; expected a private key",
            Self::Private => {
                "contains a private key; expected a public key: make it with \
                 `openssl pkey -in FILE -pubout`"
            }
            Self::Encrypted => {
                "is passphrase-protected; cloakroom cannot ask for a passphrase: decrypt it with \
                 `openssl pkey -in FILE -out FILE.plain`"
            }
            Self::Certificate => {
                "contains a certificate; expected a key: extract it with `openssl x509 -in FILE -pubkey -noout`"
            }
            Self::Other { label } => {
                return write!(
                    f,
                    "contains a PEM block {label:?}; expected PRIVATE KEY or PUBLIC KEY"
                );
            }
            Self::Unfit(algorithm) => {
                let needed = match algorithm {
                    Algorithm::Es256 => "an EC key on the curve P-256",
                    Algorithm::Es384 => "an EC key on the curve P-384",
                    Algorithm::EdDsa => "an Ed25519 key",
                    _ if algorithm.takes_a_secret() => "a secret, not a key pair",
                    _ => "an RSA key of 2048 bits or more",
                };
                return write!(f, "is not a key for {}, which needs {needed}", algorithm.name());
            }
            Self::MarkedForPss(algorithm) => {
                return write!(
                    f,
                    "is an RSA key restricted to RSA-PSS; expected one without that restriction, as `cloakroom keygen --algorithm {}` makes it",
                    algorithm.name()
                );
            }
            Self::ShortRsa { bits } => {
                return write!(f, "is an RSA key of {bits} bits; expected at least {LEAST_RSA_BITS}");
            }
            Self::LongRsa { bits } => {
                return write!(f, "is an RSA key of {bits} bits; expected at most {MOST_RSA_BITS}");
            }
            Self::Roca => {
                "is an RSA key that can be factored (ROCA, CVE-2017-15361); make a new one"
            }
        })
    }
}

impl std::error::Error for PemError {}

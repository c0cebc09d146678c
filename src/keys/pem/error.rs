//! Why a text is not a usable key.

use std::fmt;

use crate::keys::algorithm::Algorithm;

/// RFC 7518 section 3.3.
pub(super) const LEAST_RSA_BITS: usize = 2048;

/// The maximum of the crypto library.
pub(super) const MOST_RSA_BITS: usize = 8192;

/// Why a PEM text is not a key for an algorithm; it completes a sentence about the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PemError {
    /// It is not PEM.
    NoPem,
    /// It contains more than one key.
    Several {
        /// The number of blocks.
        blocks: usize,
    },
    /// A public key where a private key is expected.
    Public,
    /// A private key where a public key is expected.
    Private,
    /// A private key that is protected by a passphrase.
    Encrypted,
    /// A certificate.
    Certificate,
    /// A block of another type.
    Other {
        /// Its PEM label.
        label: String,
    },
    /// A key for another algorithm.
    Unfit(Algorithm),
    /// An RSA key restricted to RSA-PSS, which the library cannot read.
    MarkedForPss(Algorithm),
    /// An RSA key that is too short to be safe.
    ShortRsa {
        /// The length of its modulus.
        bits: usize,
    },
    /// An RSA key that is too long for the crypto library.
    LongRsa {
        /// The length of its modulus.
        bits: usize,
    },
    /// An RSA key from a library that generated weak keys.
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

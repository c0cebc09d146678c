//! A private key, parsed once, because parsing takes longer than signing.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaKeyPair, RsaSignatureEncoding,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::EncodingKey;

use super::algorithm::Algorithm;

/// A parsed private key.
pub(super) enum PrivateKey {
    Rsa { pair: Box<RsaKeyPair>, encoding: &'static RsaSignatureEncoding },
    Ec(Box<EcdsaKeyPair>),
    Ed(Box<Ed25519KeyPair>),
}

impl PrivateKey {
    /// From PKCS #1 for RSA, from PKCS #8 for the others. None if it does not fit the algorithm.
    pub(super) fn new(algorithm: Algorithm, key: &EncodingKey) -> Option<Self> {
        let der = key.as_bytes();
        let rsa = |encoding| {
            let pair = Box::new(RsaKeyPair::from_der(der).ok()?);
            Some(Self::Rsa { pair, encoding })
        };
        let ec = |curve| {
            let pair = EcdsaKeyPair::from_pkcs8(curve, der).ok()?;
            Some(Self::Ec(Box::new(pair)))
        };
        match algorithm {
            Algorithm::Rs256 => rsa(&RSA_PKCS1_SHA256),
            Algorithm::Rs384 => rsa(&RSA_PKCS1_SHA384),
            Algorithm::Rs512 => rsa(&RSA_PKCS1_SHA512),
            Algorithm::Ps256 => rsa(&RSA_PSS_SHA256),
            Algorithm::Ps384 => rsa(&RSA_PSS_SHA384),
            Algorithm::Ps512 => rsa(&RSA_PSS_SHA512),
            Algorithm::Es256 => ec(&ECDSA_P256_SHA256_FIXED_SIGNING),
            Algorithm::Es384 => ec(&ECDSA_P384_SHA384_FIXED_SIGNING),
            Algorithm::EdDsa => {
                let pair = Ed25519KeyPair::from_pkcs8(der).ok()?;
                Some(Self::Ed(Box::new(pair)))
            }
            Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 | Algorithm::A256Gcm => None,
        }
    }

    /// The signature of `message`, base64url-encoded; None if the crypto library fails.
    pub(super) fn sign(&self, message: &[u8]) -> Option<String> {
        match self {
            Self::Rsa { pair, encoding } => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &SystemRandom::new(), message, &mut signature).ok()?;
                Some(URL_SAFE_NO_PAD.encode(signature))
            }
            Self::Ec(pair) => {
                let signature = pair.sign(&SystemRandom::new(), message).ok()?;
                Some(URL_SAFE_NO_PAD.encode(signature))
            }
            Self::Ed(pair) => Some(URL_SAFE_NO_PAD.encode(pair.sign(message))),
        }
    }
}

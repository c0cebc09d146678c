//! A public key, parsed once, because tokens are verified for each request.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, ParsedPublicKey,
    RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512,
    RSA_PSS_2048_8192_SHA256, RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512,
    RsaPublicKeyComponents, VerificationAlgorithm,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::jwk::{AlgorithmParameters, Jwk};

use super::algorithm::Algorithm;

/// A parsed public key.
pub(super) struct PublicKey(ParsedPublicKey);

impl PublicKey {
    /// None if it does not fit the algorithm.
    pub(super) fn new(algorithm: Algorithm, jwk: &Jwk) -> Option<Self> {
        let decode = |text: &str| URL_SAFE_NO_PAD.decode(text).ok();
        let rsa = |parameters| match &jwk.algorithm {
            AlgorithmParameters::RSA(key) => {
                let components = RsaPublicKeyComponents { n: decode(&key.n)?, e: decode(&key.e)? };
                components.to_parsed_public_key(parameters).ok()
            }
            _ => None,
        };
        let ec = |curve: &'static dyn VerificationAlgorithm| match &jwk.algorithm {
            AlgorithmParameters::EllipticCurve(key) => {
                // An uncompressed point (SEC 1 section 2.3.3).
                let point = [vec![4], decode(&key.x)?, decode(&key.y)?].concat();
                ParsedPublicKey::new(curve, point).ok()
            }
            _ => None,
        };
        let ed = || match &jwk.algorithm {
            AlgorithmParameters::OctetKeyPair(key) => {
                ParsedPublicKey::new(&ED25519, decode(&key.x)?).ok()
            }
            _ => None,
        };
        let parsed = match algorithm {
            Algorithm::Rs256 => rsa(&RSA_PKCS1_2048_8192_SHA256),
            Algorithm::Rs384 => rsa(&RSA_PKCS1_2048_8192_SHA384),
            Algorithm::Rs512 => rsa(&RSA_PKCS1_2048_8192_SHA512),
            Algorithm::Ps256 => rsa(&RSA_PSS_2048_8192_SHA256),
            Algorithm::Ps384 => rsa(&RSA_PSS_2048_8192_SHA384),
            Algorithm::Ps512 => rsa(&RSA_PSS_2048_8192_SHA512),
            Algorithm::Es256 => ec(&ECDSA_P256_SHA256_FIXED),
            Algorithm::Es384 => ec(&ECDSA_P384_SHA384_FIXED),
            Algorithm::EdDsa => ed(),
            Algorithm::Hs256 | Algorithm::Hs384 | Algorithm::Hs512 | Algorithm::A256Gcm => None,
        };
        parsed.map(Self)
    }

    /// Whether `signature` is valid for `message`.
    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.verify_sig(message, signature).is_ok()
    }
}

//! Tokens made by hand, without the product: any header, any payload, any signature.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};

/// What the sidecar's key is unless a test says otherwise.
pub const SECRET: &str = "the secret of the tests, 64 bytes long so that HS512 takes it!!!";

/// The header that a key without an id writes.
pub const HEADER: &str = r#"{"typ":"JWT","alg":"HS256"}"#;

/// Unpadded base64url.
pub fn base64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// The reverse of [`base64`].
pub fn unbase64(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).expect("unpadded base64url")
}

/// The signature of `message`, base64url-encoded.
pub fn sign(message: &str, secret: &str, algorithm: Algorithm) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    crypto::sign(message.as_bytes(), &key, algorithm).expect("a signature")
}

/// A good token with that payload.
pub fn mint(payload: impl AsRef<[u8]>) -> String {
    mint_as(HEADER, payload, SECRET, Algorithm::HS256)
}

/// A token with that header and payload, duly signed.
pub fn mint_with(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    mint_as(header, payload, SECRET, Algorithm::HS256)
}

/// The same under another key.
pub fn mint_as(
    header: impl AsRef<[u8]>,
    payload: impl AsRef<[u8]>,
    secret: &str,
    algorithm: Algorithm,
) -> String {
    let message = format!("{}.{}", base64(header), base64(payload));
    let signature = sign(&message, secret, algorithm);
    format!("{message}.{signature}")
}

/// A token whose parts are these, as they are, duly signed.
pub fn mint_parts(header: &str, payload: &str) -> String {
    let message = format!("{header}.{payload}");
    format!("{message}.{}", sign(&message, SECRET, Algorithm::HS256))
}

/// The payload of a token that the sidecar made; fails unless header and signature are right.
pub fn payload(token: &str) -> String {
    payload_as(token, HEADER, SECRET, Algorithm::HS256)
}

/// The same under another key.
pub fn payload_as(token: &str, header: &str, secret: &str, algorithm: Algorithm) -> String {
    let (message, signature) = token.rsplit_once('.').expect("three parts");
    assert_eq!(signature, sign(message, secret, algorithm), "the signature of {token}");
    let (first, payload) = message.split_once('.').expect("three parts");
    assert_eq!(String::from_utf8_lossy(&unbase64(first)), header, "the header of {token}");
    String::from_utf8(unbase64(payload)).expect("a payload in UTF-8")
}

//! Tokens made without the product: any header, payload and signature.

use aws_lc_rs::{aead, hmac};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;

/// The default key of the sidecar.
pub const SECRET: &str = "the secret of the tests, 64 bytes long so that HS512 takes it!!!";

/// The header written for a key without an id.
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
    let hash = match algorithm {
        Algorithm::HS256 => hmac::HMAC_SHA256,
        Algorithm::HS384 => hmac::HMAC_SHA384,
        Algorithm::HS512 => hmac::HMAC_SHA512,
        other => panic!("{other:?} takes no secret"),
    };
    base64(hmac::sign(&hmac::Key::new(hash, secret.as_bytes()), message.as_bytes()))
}

/// A valid token with this payload.
pub fn mint(payload: impl AsRef<[u8]>) -> String {
    mint_as(HEADER, payload, SECRET, Algorithm::HS256)
}

/// A token with this header and payload, validly signed.
pub fn mint_with(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    mint_as(header, payload, SECRET, Algorithm::HS256)
}

/// The same with another key.
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

/// A token with exactly these parts, validly signed.
pub fn mint_parts(header: &str, payload: &str) -> String {
    let message = format!("{header}.{payload}");
    format!("{message}.{}", sign(&message, SECRET, Algorithm::HS256))
}

/// The payload of a token of the sidecar; fails if header or signature is wrong.
pub fn payload(token: &str) -> String {
    payload_as(token, HEADER, SECRET, Algorithm::HS256)
}

/// The same with another key.
pub fn payload_as(token: &str, header: &str, secret: &str, algorithm: Algorithm) -> String {
    let (message, signature) = token.rsplit_once('.').expect("three parts");
    assert_eq!(signature, sign(message, secret, algorithm), "the signature of {token}");
    let (first, payload) = message.split_once('.').expect("three parts");
    assert_eq!(String::from_utf8_lossy(&unbase64(first)), header, "the header of {token}");
    String::from_utf8(unbase64(payload)).expect("a payload in UTF-8")
}

/// The header written for a key that seals, without an id.
pub const SEALED_HEADER: &str = r#"{"typ":"JWT","alg":"dir","enc":"A256GCM"}"#;

/// A token with this header and payload, validly sealed.
pub fn seal_as(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>, secret: &[u8; 32]) -> String {
    let mut nonce = [0; 12];
    getrandom::fill(&mut nonce).expect("random bytes");
    let header = base64(header);
    let mut text = payload.as_ref().to_vec();
    let tag = aes(secret)
        .seal_in_place_separate_tag(
            aead::Nonce::assume_unique_for_key(nonce),
            aead::Aad::from(&header),
            &mut text,
        )
        .expect("a seal");
    format!("{header}..{}.{}.{}", base64(nonce), base64(text), base64(tag))
}

/// The payload of a token sealed by the sidecar; fails if the header is different.
pub fn unseal(token: &str, header: &str, secret: &[u8; 32]) -> String {
    let [first, wrapped, nonce, text, tag] = token.split('.').collect::<Vec<_>>()[..] else {
        panic!("no five parts: {token}");
    };
    assert_eq!(String::from_utf8_lossy(&unbase64(first)), header, "the header of {token}");
    assert_eq!(wrapped, "");
    let nonce = aead::Nonce::try_assume_unique_for_key(&unbase64(nonce)).expect("12 bytes");
    let mut text = [unbase64(text), unbase64(tag)].concat();
    let payload = aes(secret).open_in_place(nonce, aead::Aad::from(first), &mut text);
    String::from_utf8(payload.expect("sealed with that secret").to_vec()).expect("UTF-8")
}

fn aes(secret: &[u8; 32]) -> aead::LessSafeKey {
    aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_256_GCM, secret).expect("a key"))
}

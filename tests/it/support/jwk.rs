//! Converts JSON Web Keys (RFC 7517) to the files that the sidecar reads.

use std::fmt::Write as _;

use base64::Engine as _;
use serde_json::Value;

use super::token::unbase64;

/// DER: tag, length, content.
fn der(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len();
    let mut out = vec![tag];
    match length {
        0..=127 => out.push(length as u8),
        128..=255 => out.extend([0x81, length as u8]),
        _ => out.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    out.extend(content);
    out
}

/// A positive INTEGER.
fn integer(bytes: &[u8]) -> Vec<u8> {
    let padded = if bytes[0] & 0x80 == 0 { bytes.to_vec() } else { [&[0], bytes].concat() };
    der(2, &padded)
}

/// A public key as SubjectPublicKeyInfo in PEM, valid or not. None if a part of it is missing.
pub fn pem(jwk: &Value) -> Option<String> {
    let bytes = |name: &str| Some(unbase64(jwk[name].as_str()?));
    let (algorithm, key): (&[u8], Vec<u8>) = match jwk["kty"].as_str()? {
        "RSA" => (
            b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00",
            der(0x30, &[integer(&bytes("n")?), integer(&bytes("e")?)].concat()),
        ),
        "EC" if jwk["crv"] == "P-256" => (
            b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07",
            [vec![4], bytes("x")?, bytes("y")?].concat(),
        ),
        "EC" if jwk["crv"] == "P-384" => (
            b"\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22",
            [vec![4], bytes("x")?, bytes("y")?].concat(),
        ),
        _ => return None,
    };
    let info = der(0x30, &[der(0x30, algorithm), der(3, &[vec![0], key].concat())].concat());
    let mut text = String::from("-----BEGIN PUBLIC KEY-----\n");
    let encoded = base64::engine::general_purpose::STANDARD.encode(info);
    for line in encoded.as_bytes().chunks(64) {
        writeln!(text, "{}", str::from_utf8(line).unwrap()).unwrap();
    }
    Some(text + "-----END PUBLIC KEY-----\n")
}

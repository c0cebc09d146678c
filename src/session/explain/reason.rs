//! The parts of a token that may be invalid, and exactly why it is not accepted.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::keys::{KeyIndex, KeyRing};
use crate::session::Policy;
use crate::session::dict::{Dict, DictError};
use crate::session::token::Rejection;

/// The parts between the dots.
pub(super) enum Parts<'a> {
    Signed { header: &'a str, payload: &'a str },
    Sealed { header: &'a str, wrapped_key: &'a str, nonce: &'a str, text: &'a str, tag: &'a str },
}

impl<'a> Parts<'a> {
    pub(super) fn of(token: &'a [u8]) -> Option<Self> {
        let parts: Vec<&str> = str::from_utf8(token).ok()?.split('.').collect();
        match *parts.as_slice() {
            [header, payload, _] => Some(Self::Signed { header, payload }),
            [header, wrapped_key, nonce, text, tag] => {
                Some(Self::Sealed { header, wrapped_key, nonce, text, tag })
            }
            _ => None,
        }
    }

    pub(super) fn header(&self) -> &'a str {
        match self {
            Self::Signed { header, .. } | Self::Sealed { header, .. } => header,
        }
    }
}

/// The payload, if it can be read.
pub(super) fn payload(
    parts: Option<&Parts<'_>>,
    read: &Result<(Vec<u8>, KeyIndex), Rejection>,
) -> Option<Result<Dict, PartError>> {
    match (parts?, read) {
        (Parts::Signed { payload, .. }, _) => Some(part(payload)),
        (Parts::Sealed { .. }, Ok((payload, _))) => Some(object(payload.clone())),
        // Only the holder of the key can read a sealed payload.
        (Parts::Sealed { .. }, Err(_)) => None,
    }
}

/// What is wrong with a part of a token; it completes a sentence about the part.
#[derive(Clone, Debug)]
pub(super) enum PartError {
    NotBase64Url(base64::DecodeError),
    NotADict(DictError),
}

impl fmt::Display for PartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBase64Url(error) => {
                write!(f, "is not canonical base64url without padding ({error})")
            }
            Self::NotADict(error) => write!(f, "is not an object: {error}"),
        }
    }
}

/// Decodes a part.
pub(super) fn part(encoded: &str) -> Result<Dict, PartError> {
    let json = URL_SAFE_NO_PAD.decode(encoded).map_err(PartError::NotBase64Url)?;
    object(json)
}

fn object(json: Vec<u8>) -> Result<Dict, PartError> {
    Dict::from_vec(json).map_err(PartError::NotADict)
}

/// Why a token is malformed.
fn malformed(
    parts: Option<Parts<'_>>,
    header: Option<Result<Dict, PartError>>,
    payload: Option<Result<Dict, PartError>>,
) -> String {
    let (Some(parts), Some(header)) = (parts, header) else {
        return "a token has three parts with a dot between them, or five where it is sealed"
            .into();
    };
    let header = match header {
        Ok(header) => header,
        Err(reason) => return format!("the header {reason}"),
    };
    if let Some(Err(reason)) = payload {
        return format!("the payload {reason}");
    }
    let has = |member: &str| header.get(&[member]).is_some();
    match header.get(&["alg"]) {
        None => return "the header has no alg".into(),
        Some(alg) if alg.eq_ignore_ascii_case("\"none\"") => return "alg is none".into(),
        Some(_) => {}
    }
    for extension in ["crit", "b64"] {
        if has(extension) {
            return format!("the header has a {extension}");
        }
    }
    match parts {
        Parts::Signed { .. } => {
            "alg or kid is not a string, or the signature is not base64url".into()
        }
        Parts::Sealed { .. } if has("zip") => "the header has a zip".into(),
        Parts::Sealed { .. } if !has("enc") => "the header has no enc".into(),
        Parts::Sealed { wrapped_key, nonce, text, tag, .. } => {
            let bytes = |part| URL_SAFE_NO_PAD.decode(part).map(|bytes| bytes.len());
            match (bytes(wrapped_key), bytes(nonce), bytes(text), bytes(tag)) {
                (Ok(0), Ok(12), Ok(_), Ok(16)) => "alg, enc or kid is not a string".into(),
                (Ok(key), Ok(nonce), Ok(_), Ok(tag)) => format!(
                    "its parts have {key} bytes of key, {nonce} of nonce and {tag} of tag; \
                     expected 0, 12 and 16"
                ),
                _ => "a part is not canonical base64url without padding".into(),
            }
        }
    }
}

/// Exactly why a token is not accepted.
pub(super) fn reason(
    rejection: Rejection,
    parts: Option<Parts<'_>>,
    header: Option<Result<Dict, PartError>>,
    payload: Option<Result<Dict, PartError>>,
    keys: &KeyRing,
    policy: &Policy,
) -> String {
    let said = |dict: &Option<Result<Dict, PartError>>, claim: &str| {
        let value = dict.as_ref()?.as_ref().ok()?.get(&[claim])?;
        Some(value.to_owned())
    };
    match rejection {
        Rejection::Malformed => malformed(parts, header, payload),
        Rejection::UnknownKey => {
            let known: Vec<&str> = keys.iter().map(|(_, key)| key.algorithm().name()).collect();
            let ids: Vec<&str> = keys.iter().filter_map(|(_, key)| key.id()).collect();
            let alg = said(&header, "alg").unwrap_or_default();
            let enc = said(&header, "enc").map(|enc| format!(", enc {enc}")).unwrap_or_default();
            let kid =
                said(&header, "kid").map_or_else(|| "no kid".into(), |kid| format!("kid {kid}"));
            format!(
                "it has alg {alg}{enc} and {kid}; the keys are for {} and have the ids [{}]",
                known.join(", "),
                ids.join(", ")
            )
        }
        Rejection::BadSignature => {
            let mark =
                if matches!(parts, Some(Parts::Sealed { .. })) { "seal" } else { "signature" };
            match said(&header, "kid") {
                Some(kid) => format!("the {mark} is not that of the key {kid}"),
                None => format!("the {mark} is not that of any key"),
            }
        }
        Rejection::WrongClaim => {
            let has = |claim| said(&payload, claim).unwrap_or_else(|| "none".into());
            let wants = |value: &Option<String>| value.clone().unwrap_or_else(|| "none".into());
            format!(
                "exp is {}, nbf is {} (numbers where present), iss is {} (wanted: {}), aud is {} \
                 (wanted: {})",
                has("exp"),
                has("nbf"),
                has("iss"),
                wants(&policy.issuer),
                has("aud"),
                wants(&policy.audience)
            )
        }
        other => other.to_string(),
    }
}

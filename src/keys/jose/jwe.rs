//! Sealed tokens: `header..nonce.ciphertext.tag`, with a key that is used directly (`dir`).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::candidates::{Candidates, Form, Read, TokenFault};
use crate::keys::{Key, KeyRing, Kind, NONCE_BYTES, Nonce, TAG_BYTES};

/// None if the crypto library fails, which no payload of a cookie's size causes.
pub(super) fn seal(kind: Kind, payload: &str, key: &Key, nonce: Nonce) -> Option<String> {
    let header = key.header_of(kind);
    // Sealed in place, so that no copy of the plain text is left in memory.
    let mut text = payload.as_bytes().to_vec();
    let tag = key.seal(nonce, header.as_bytes(), &mut text)?;
    let around = header.len() + "..".len() + 16 + ".".len() + ".".len() + 22;
    let mut token = String::with_capacity(around + (text.len() * 4).div_ceil(3));
    token.push_str(header);
    // An empty part: there is no wrapped key.
    token.push_str("..");
    URL_SAFE_NO_PAD.encode_string(nonce, &mut token);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(&text, &mut token);
    token.push('.');
    URL_SAFE_NO_PAD.encode_string(tag, &mut token);
    Some(token)
}

/// `between` is the text between the first and the last dot.
pub(super) fn open(
    header: &str,
    between: &str,
    tag: &str,
    ring: &KeyRing,
) -> Result<Read, TokenFault> {
    let (wrapped_key, rest) = between.split_once('.').ok_or(TokenFault::Malformed)?;
    let (nonce, text) = rest.split_once('.').ok_or(TokenFault::Malformed)?;
    let candidates = match Candidates::of(header, Form::Sealed, ring) {
        // Invalid base64url is an error whatever the algorithm is.
        Err(TokenFault::UnknownKey)
            if [wrapped_key, nonce, text, tag].iter().any(|part| decode(part).is_err()) =>
        {
            return Err(TokenFault::Malformed);
        }
        candidates => candidates?,
    };
    if !wrapped_key.is_empty() {
        return Err(TokenFault::Malformed);
    }
    let nonce = exactly::<NONCE_BYTES>(nonce)?;
    let tag = exactly::<TAG_BYTES>(tag)?;
    let mut payload = decode(text)?;
    let mut is_spoilt = false;
    for (index, key) in candidates.among(ring) {
        if is_spoilt {
            payload.clear();
            URL_SAFE_NO_PAD.decode_vec(text, &mut payload).map_err(|_| TokenFault::Malformed)?;
        }
        if key.open(nonce, header.as_bytes(), &tag, &mut payload) {
            return Ok(Read { payload, kind: candidates.kind, key: index, mark: tag });
        }
        // The library erases text that it could not open.
        is_spoilt = true;
    }
    Err(candidates.none_fits())
}

fn decode(part: &str) -> Result<Vec<u8>, TokenFault> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| TokenFault::Malformed)
}

/// Decodes to exactly this number of bytes, without an allocation.
fn exactly<const BYTES: usize>(part: &str) -> Result<[u8; BYTES], TokenFault> {
    // base64 decodes in groups of three bytes.
    let mut bytes = [0; TAG_BYTES + 2];
    match URL_SAFE_NO_PAD.decode_slice(part, &mut bytes) {
        Ok(length) if length == BYTES => bytes.first_chunk().copied().ok_or(TokenFault::Malformed),
        _ => Err(TokenFault::Malformed),
    }
}

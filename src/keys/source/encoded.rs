//! Decodes secrets from base64 or hexadecimal. Decoded bytes are erased from memory when dropped.

use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine as _, GeneralPurpose, GeneralPurposeConfig};
use zeroize::Zeroizing;

/// Accepts both alphabets, padded or not. White space is ignored, because `base64` and `openssl
/// rand -base64` break long lines.
pub(super) fn decode_base64(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    const LENIENT: GeneralPurposeConfig =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
    const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);
    let text = without_white_space(text);
    // Reserve the full size: growing would leave copies of the secret in memory.
    let mut secret = Zeroizing::new(Vec::with_capacity(text.len()));
    STANDARD
        .decode_vec(&*text, &mut secret)
        .or_else(|_| {
            secret.clear();
            URL_SAFE.decode_vec(&*text, &mut secret)
        })
        .ok()?;
    Some(secret)
}

pub(super) fn decode_hex(text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let text = without_white_space(text);
    let mut secret = Zeroizing::new(Vec::with_capacity(text.len() / 2));
    for pair in text.chunks(2) {
        let [high, low] = pair else { return None };
        let digit =
            |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        secret.push(digit(*high)? << 4 | digit(*low)?);
    }
    Some(secret)
}

fn without_white_space(text: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut kept = Zeroizing::new(Vec::with_capacity(text.len()));
    kept.extend(text.iter().filter(|byte| !byte.is_ascii_whitespace()));
    kept
}

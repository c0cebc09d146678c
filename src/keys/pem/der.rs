//! A reader for the part of DER (X.690) that gives the type of a key.

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// The type and curve of a key: the object identifiers in the AlgorithmIdentifier of a
/// PrivateKeyInfo (RFC 5208 section 5) or a SubjectPublicKeyInfo (RFC 5280 section 4.1). None for
/// other data, such as a key of PKCS #1, which is always RSA.
pub(super) fn marks(der: &[u8]) -> Option<(&[u8], Option<&[u8]>)> {
    let (key, []) = of_tag(SEQUENCE, der)? else { return None };
    // A private key starts with its version.
    let behind = of_tag(INTEGER, key).map_or(key, |(_, behind)| behind);
    let (identifier, _) = of_tag(SEQUENCE, behind)?;
    let (kind, parameters) = of_tag(OBJECT_IDENTIFIER, identifier)?;
    Some((kind, of_tag(OBJECT_IDENTIFIER, parameters).map(|(curve, _)| curve)))
}

/// If the first value has this tag: its content and the bytes after it.
fn of_tag(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (found, rest) = der.split_first()?;
    if *found != tag {
        return None;
    }
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match usize::from(*first) {
        short @ ..=0x7f => (short, rest),
        // Keys are shorter than 2^32 bytes.
        long @ 0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(long - 0x80)?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_marks_are_those_of_the_algorithm_identifier() {
        let public = b"\x30\x09\x30\x06\x06\x01\x2a\x06\x01\x2b\x00";
        assert_eq!(marks(public), Some((&b"\x2a"[..], Some(&b"\x2b"[..]))));
        let private = b"\x30\x81\x09\x02\x01\x00\x30\x03\x06\x01\x2a\x04";
        assert_eq!(marks(private), Some((&b"\x2a"[..], None)));
        for none in [
            &b""[..],
            b"\x30",
            b"\x30\x80",
            b"\x30\x85\0\0\0\0\x05\x30\x03\x06\x01\x2a",
            b"\x30\x06\x02\x01\x03\x02\x01\x05",
            b"\x30\x05\x30\x03\x06\x01\x2a\x00",
            b"\x30\x05\x30\x04\x06\x01\x2a",
        ] {
            assert_eq!(marks(none), None, "{}", none.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(der in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = marks(&der);
            let _ = marks(&[&[SEQUENCE, 60], &der[..]].concat());
        }
    }
}

//! Names of request fields that servers may read as others: CGI, WSGI and their like make `_` of
//! every `-`, some of other characters as well, and then cannot tell the two names apart.

use crate::session::header::folds_to;

/// The fields that say where a request ends and what becomes of its connection.
const FRAMING: [&str; 10] = [
    "transfer-encoding",
    "content-length",
    "connection",
    "host",
    "expect",
    "upgrade",
    "te",
    "trailer",
    "keep-alive",
    "proxy-connection",
];

/// Which bytes are letters, digits or hyphens: each byte of each name is looked up here.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte: u8 = 0;
    while byte < u8::MAX {
        plain[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'-';
        byte += 1;
    }
    plain
};

/// Whether a name has anything in it but letters, digits and hyphens.
pub(super) fn is_odd(name: &[u8]) -> bool {
    !name.iter().all(|&byte| PLAIN[usize::from(byte)])
}

/// Whether a server may read a name as one of framing or connection. Who does sees another body
/// than we do, and in what is left of it a request that nobody has looked at.
pub(super) fn is_framing(name: &[u8]) -> bool {
    FRAMING.iter().any(|field| folds_to(name, field))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_digits_and_hyphens_are_not_odd() {
        for name in ["accept", "x-1", "sec-ch-ua", "-", "x--y-"] {
            assert!(!is_odd(name.as_bytes()), "{name}");
        }
        for name in ["x_y", "x.y", "script_name", "_", "x-y!", "x~"] {
            assert!(is_odd(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn framing_is_known_in_each_spelling() {
        for name in ["transfer_encoding", "content.length", "keep~alive", "Proxy_Connection", "te"]
        {
            assert!(is_framing(name.as_bytes()), "{name}");
        }
        for name in ["transferencoding", "content_length_", "x_transfer_encoding", "te_"] {
            assert!(!is_framing(name.as_bytes()), "{name}");
        }
    }
}

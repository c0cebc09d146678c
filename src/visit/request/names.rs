//! Names of request fields that servers may confuse with others: CGI, WSGI and similar interfaces
//! replace every `-`, and some other characters too, by `_`, and so map different names to one.

use crate::session::header::folds_to;

/// The fields that control the end of a request and its connection.
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

/// Which bytes are letters, digits or hyphens; used for each byte of each name.
const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte: u8 = 0;
    while byte < u8::MAX {
        plain[byte as usize] = byte.is_ascii_alphanumeric() || byte == b'-';
        byte += 1;
    }
    plain
};

/// Whether a name contains anything except letters, digits and hyphens.
pub(super) fn is_odd(name: &[u8]) -> bool {
    !name.iter().all(|&byte| PLAIN[usize::from(byte)])
}

/// Whether a server may treat a name as a framing or connection field. It would then see another
/// end of the body, and in the rest a request that nobody has checked.
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

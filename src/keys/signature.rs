//! Signatures of requests to the app (RFC 9421, HMAC-SHA256): whoever checks them needs no trust in the
//! network between.

use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::time::Timestamp;

/// Says what is signed, and until when that counts.
pub const INPUT: &str = "Signature-Input";

/// The signature itself.
pub const SIGNATURE: &str = "Signature";

/// The name of ours among those of a message.
const LABEL: &str = "cloakroom";

/// `[headers.signature]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureSpec {
    /// `headers.signature.secret_file`: shared with the app.
    pub secret_file: PathBuf,
    /// `headers.signature.id`: the `keyid`.
    pub id: String,
    /// `headers.signature.max_age`: how long a request is good for.
    pub max_age: Duration,
    /// Where the file is named.
    pub line: usize,
}

/// Signs requests.
pub struct Signer {
    key: hmac::Key,
    id: String,
    max_age: Duration,
}

/// Says which key, never the key.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({:?})", self.id)
    }
}

/// The values of both fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// Of `Signature-Input`.
    pub input: String,
    /// Of `Signature`.
    pub signature: String,
}

impl Signer {
    /// By a secret.
    #[must_use]
    pub fn new(spec: &SignatureSpec, secret: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        Self { key, id: spec.id.clone(), max_age: spec.max_age }
    }

    /// Signs components: the name of each, in lower case, and its value, on one line.
    #[must_use]
    pub fn sign<'a>(
        &self,
        components: impl Iterator<Item = (&'a str, &'a [u8])>,
        now: Timestamp,
    ) -> Signed {
        let (mut base, mut input) = (Vec::with_capacity(512), format!("{LABEL}=("));
        for (name, value) in components {
            if !input.ends_with('(') {
                input.push(' ');
            }
            // Writing to a string cannot fail.
            let _ = write!(input, "\"{name}\"");
            base.extend_from_slice(b"\"");
            base.extend_from_slice(name.as_bytes());
            base.extend_from_slice(b"\": ");
            base.extend_from_slice(value);
            base.push(b'\n');
        }
        let created = now.as_secs();
        let expires = created.saturating_add(self.max_age.as_secs());
        let id = &self.id;
        let _ = write!(
            input,
            ");created={created};expires={expires};keyid=\"{id}\";alg=\"hmac-sha256\""
        );
        base.extend_from_slice(b"\"@signature-params\": ");
        base.extend_from_slice(&input.as_bytes()[LABEL.len() + 1..]);
        let tag = hmac::sign(&self.key, &base);
        Signed { input, signature: format!("{LABEL}=:{}:", STANDARD.encode(tag)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vector is Python's `hmac` of the signature base that section 2.5 describes.
    #[test]
    fn a_request_is_signed_as_rfc_9421_says() {
        let spec = SignatureSpec {
            secret_file: PathBuf::new(),
            id: "2026".into(),
            max_age: Duration::from_secs(60),
            line: 1,
        };
        let signer = Signer::new(&spec, b"0123456789abcdef0123456789abcdef");
        let components = [
            ("@method", &b"POST"[..]),
            ("@request-target", b"/a%20b?c=d"),
            ("x-session", br#"{"user":{"name":"\u00e9"}}"#),
            ("x-remote-user", b"ann"),
        ];
        let signed = signer.sign(components.into_iter(), Timestamp::from_secs(1_800_000_000));
        assert_eq!(
            signed.input,
            "cloakroom=(\"@method\" \"@request-target\" \"x-session\" \"x-remote-user\")\
             ;created=1800000000;expires=1800000060;keyid=\"2026\";alg=\"hmac-sha256\""
        );
        assert_eq!(signed.signature, "cloakroom=:Vlt4dCd1ubv+cib6bIvQ1YgD29WV7K4AUkjR8/JkNgY=:");
    }
}

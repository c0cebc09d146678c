//! Signatures of requests to the app (RFC 9421, HMAC-SHA256), for an app that does not trust the
//! network to the sidecar.

use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::time::Timestamp;

/// The field that says what is signed and how long the signature is valid.
pub const INPUT: &str = "Signature-Input";

/// The field with the signature.
pub const SIGNATURE: &str = "Signature";

/// The label of our signature in both fields.
const LABEL: &str = "cloakroom";

/// `[headers.signature]`
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureSpec {
    /// `headers.signature.secret_file`: the secret shared with the app.
    pub secret_file: PathBuf,
    /// `headers.signature.id`: the `keyid`.
    pub id: String,
    /// `headers.signature.max_age`: how long a signature is valid.
    pub max_age: Duration,
    /// The line of the configuration that names the file.
    pub line: usize,
}

/// Signs requests.
pub struct Signer {
    key: hmac::Key,
    id: String,
    max_age: Duration,
}

/// Prints the id, never the key.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({:?})", self.id)
    }
}

/// The values of both fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    /// `Signature-Input`
    pub input: String,
    /// `Signature`
    pub signature: String,
}

impl Signer {
    /// Makes a signer from a secret.
    #[must_use]
    pub fn new(spec: &SignatureSpec, secret: &[u8]) -> Self {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
        Self { key, id: spec.id.clone(), max_age: spec.max_age }
    }

    /// Signs components: each has a name in lower case and a value on one line.
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

    /// The expected value comes from Python's `hmac` over the signature base of section 2.5.
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

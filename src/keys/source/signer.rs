//! Warnings about the secret that signs requests to the app.

use super::{KeySpec, SignatureSpec, is_world_readable, name};

/// Warnings about a secret that is used nevertheless, one line each.
#[must_use]
pub fn signer_warnings(spec: &SignatureSpec, keys: &[KeySpec]) -> Vec<String> {
    let path = &spec.secret_file;
    let shared = keys.iter().enumerate().filter(|(_, key)| key.files().any(|file| file == *path));
    let mut warnings: Vec<String> = shared
        .map(|(index, key)| {
            format!(
                "headers.signature.secret_file: it is the secret of {}, so an app that has it can forge sessions: make another one with `cloakroom keygen`",
                name(index, key)
            )
        })
        .collect();
    if is_world_readable(path) {
        warnings.push(format!(
            "headers.signature.secret_file: every user of this machine can read {}, and sign requests to the app with it: run chmod o-r",
            path.display()
        ));
    }
    warnings
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use std::fs::{Permissions, set_permissions};
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use super::*;
    use crate::keys::Algorithm;
    use crate::keys::source::{SecretEncoding, Source};

    fn signature(path: &Path) -> SignatureSpec {
        SignatureSpec {
            secret_file: path.to_owned(),
            id: "2026".into(),
            max_age: Duration::from_secs(60),
            line: 1,
        }
    }

    fn key(path: &Path) -> KeySpec {
        KeySpec {
            id: Some("2027".into()),
            algorithm: Algorithm::A256Gcm,
            source: Source::File(path.to_owned()),
            encoding: SecretEncoding::Base64,
            allow_weak_secret: false,
            line: 1,
        }
    }

    #[test]
    fn secret_that_is_also_a_session_key_is_named() {
        let (own, other) = (PathBuf::from("/nowhere/own"), PathBuf::from("/nowhere/other"));
        assert_eq!(signer_warnings(&signature(&own), &[key(&other)]), [""; 0]);
        let warnings = signer_warnings(&signature(&own), &[key(&other), key(&own)]);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        let says = "headers.signature.secret_file: it is the secret of keys[2] (id \"2027\")";
        assert!(warnings[0].starts_with(says), "{warnings:?}");
    }

    #[test]
    fn secret_that_every_user_can_read_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mode = |mode| {
            set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
            signer_warnings(&signature(file.path()), &[])
        };
        assert_eq!(mode(0o640), [""; 0]);
        let readable = mode(0o644);
        assert!(readable[0].contains("every user") && readable[0].contains("chmod"));
    }
}

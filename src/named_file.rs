//! Messages about files named in the configuration. A user may paste a secret or a PEM in place of
//! a file name; it must not appear in the log, so text that may not be a name is not shown.

use std::fmt;
use std::path::{Component, Path};

/// The message for a file that `key` names: `key path: reason`. If the file does not exist and its
/// name may be a secret, neither the path nor the reason is shown.
pub(crate) fn told(key: &str, path: &Path, reason: impl fmt::Display) -> String {
    if may_be_shown(path) {
        format!("{key} {}: {reason}", path.display())
    } else {
        format!("{key}: {NOT_SHOWN}")
    }
}

/// The message in place of a name.
pub(crate) const NOT_SHOWN: &str = "file not found; its name is not shown because it may be the secret itself: put the secret into a file and name that file here";

/// Whether a path may appear in a message: it exists, or its missing parts are words in an existing
/// directory. A slash alone proves nothing, because base64 has slashes.
pub(crate) fn may_be_shown(path: &Path) -> bool {
    if path.symlink_metadata().is_ok() {
        return true;
    }
    let found = path.ancestors().skip(1).find(|folder| folder.is_dir() && *folder != Path::new(""));
    let missing = found.and_then(|folder| path.strip_prefix(folder).ok());
    missing.is_some_and(|missing| {
        missing.components().all(|part| match part {
            Component::Normal(name) => name.to_str().is_some_and(is_of_words),
            _ => true,
        })
    })
}

/// Whether a name consists of words and numbers, like `session_key-2026-11-23.pem`. Random
/// characters almost never do.
fn is_of_words(name: &str) -> bool {
    name.split(['-', '_', '.']).all(|part| {
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let letters = part.trim_end_matches(|digit: char| digit.is_ascii_digit());
        let number = &part[letters.len()..];
        let lower = letters.strip_prefix(|first: char| first.is_ascii_uppercase());
        let is_word = lower.unwrap_or(letters).bytes().all(|byte| byte.is_ascii_lowercase())
            || letters.bytes().all(|byte| byte.is_ascii_uppercase());
        match letters {
            "" => digits(number) && number.len() <= LONGEST_NUMBER,
            _ => is_word && letters.len() <= LONGEST_WORD && number.len() <= LONGEST_ENDING,
        }
    })
}

/// A date with time has 14 digits.
const LONGEST_NUMBER: usize = 14;
const LONGEST_WORD: usize = 20;
const LONGEST_ENDING: usize = 4;

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;
    use base64::Engine as _;
    use base64::engine::general_purpose as engines;
    use proptest::prelude::*;

    #[test]
    fn names_of_files_are_shown_also_where_there_is_none() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("zX9+k3Jq8w"), "").unwrap();
        let inside = |name: &str| folder.path().join(name);
        for path in [
            "/run/secrets/session_key".into(),
            "/nowhere/key".into(),
            "/nowhere/a-key/tls.crt".into(),
            "/etc/cloakroom/session_key-2026-11-23-2.pem".into(),
            "/run/Session_KEY.v2".into(),
            "./key".into(),
            "../keys/key".into(),
            inside("key2026"),
            inside("zX9+k3Jq8w"),
        ] {
            assert!(may_be_shown(&path), "{}", path.display());
            let told = told("secret_file", &path, "is odd");
            assert_eq!(told, format!("secret_file {}: is odd", path.display()));
        }
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        for secret in [
            "hush",
            "correct horse battery staple",
            "correct-horse-battery-staple-again-and-again",
            "horse/battery/staple",
            "K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=",
            "/9j4AAQSkZJRgABAQAAAQABAAD2wBDAAMCAgICAgMCAg",
            "/tmp/9j4AAQSkZJRgABAQAAAQABAAD2wBDAAMCAgICAg",
            "./9j4AAQSkZJRgABAQAAAQABAAD2wBDAAMCAgICAgMCA",
            "deadbeefdeadbeefdeadbeefdeadbeef0123456789abcdef",
            "/0123456789012345678901234567890123",
            "/nowhere/550e8400-e29b-41d4-a716-446655440000",
            "",
        ] {
            assert!(!may_be_shown(Path::new(secret)), "{secret}");
            let told = told("secret_file", Path::new(secret), "is odd");
            assert!(secret.is_empty() || !told.contains(secret), "{told}");
        }
    }

    proptest! {
        #[test]
        fn no_random_secret_is_shown(
            bytes in prop::collection::vec(any::<u8>(), 16..100),
            front in prop::sample::select(vec!["", "/", "./", "../", "/tmp/"]),
        ) {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            let upper = hex.to_uppercase();
            let base64 = [engines::STANDARD, engines::STANDARD_NO_PAD, engines::URL_SAFE]
                .map(|engine| engine.encode(&bytes));
            // proptest starts with all zeros, whose hex is a number.
            for secret in base64.iter().chain([&hex, &upper]) {
                let path = format!("{front}{secret}");
                prop_assert!(!may_be_shown(Path::new(&path)), "{}", path);
            }
        }
    }
}

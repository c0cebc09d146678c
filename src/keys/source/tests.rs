#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use super::*;
use base64::Engine as _;
use proptest::prelude::*;
use std::fs;
use std::io::ErrorKind;

const CONFIG: &str = "/etc/cloakroom.toml";
const SECRET: &str = "0123456789abcdef0123456789abcdef";

fn spec(source: Source) -> KeySpec {
    KeySpec {
        id: None,
        algorithm: Algorithm::Hs256,
        source,
        encoding: SecretEncoding::Utf8,
        allow_weak_secret: false,
        line: 7,
    }
}

fn inline(secret: &str) -> KeySpec {
    spec(Source::Inline(Zeroizing::new(secret.to_owned())))
}

fn with_id(id: &str, spec: KeySpec) -> KeySpec {
    KeySpec { id: Some(id.to_owned()), ..spec }
}

fn messages(specs: &[KeySpec]) -> Vec<String> {
    let faults = load(specs, Path::new(CONFIG)).unwrap_err();
    faults.iter().map(ToString::to_string).collect()
}

/// The bytes read from a file with this content.
fn bytes_in(content: &[u8]) -> Vec<u8> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), content).unwrap();
    read_file(file.path()).unwrap().to_vec()
}

#[test]
fn the_first_key_signs_and_all_keep_their_order() {
    let specs = [inline(SECRET), with_id("old", inline(SECRET)), inline(SECRET)];
    let ring = load(&specs, Path::new(CONFIG)).unwrap();
    assert_eq!(ring.signing().id(), None);
    let labels: Vec<String> = ring.iter().map(|(index, _)| ring.label(index)).collect();
    assert_eq!(labels, ["1", "old", "3"]);
}

#[test]
fn one_trailing_newline_is_not_part_of_the_secret() {
    let table: &[(&[u8], &[u8])] = &[
        (b"secret", b"secret"),
        (b"secret\n", b"secret"),
        (b"secret\r\n", b"secret"),
        (b"secret\n\n", b"secret\n"),
        (b"secret\r", b"secret\r"),
        (b" secret ", b" secret "),
        (b"\xff\x00\n", b"\xff\x00"),
        (b"\n", b""),
        (b"", b""),
    ];
    for (content, expected) in table {
        assert_eq!(bytes_in(content), *expected, "{}", content.escape_ascii());
    }
}

#[test]
fn a_file_that_is_no_secret_is_a_fault_that_names_key_and_file() {
    let directory = tempfile::tempdir().unwrap();
    let in_directory = |name: &str, content: &[u8]| {
        let path = directory.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let table = [
        (directory.path().join("missing"), "does not exist: make it with `cloakroom keygen"),
        (directory.path().to_owned(), "is a directory: "),
        (in_directory("empty", b""), "is empty: make a secret with `cloakroom keygen`"),
        (in_directory("newline", b"\n"), "is empty: "),
        (in_directory("short", b"short\n"), "has 5 bytes, but HS256 needs at least 32 (RFC"),
        (in_directory("huge", &[b'x'; MAX_SECRET_FILE_BYTES + 1]), "is larger than 16384 bytes"),
        (PathBuf::from("/dev/zero"), "is larger than 16384 bytes"),
    ];
    for (path, reason) in table {
        let start = format!("{CONFIG}:7: keys[1] (id \"2026\"): secret_file {}: ", path.display());
        let messages = messages(&[with_id("2026", spec(Source::File(path)))]);
        assert_eq!(messages.len(), 1);
        assert!(messages[0].starts_with(&format!("{start}{reason}")), "{}", messages[0]);
    }
}

#[test]
fn errors_of_reading_say_what_to_do() {
    let denied = SourceError::Io(ErrorKind::PermissionDenied.into()).to_string();
    assert!(denied.contains("give cloakroom's user"), "{denied}");
    let other = SourceError::Io(std::io::Error::other("worn out")).to_string();
    assert!(other.contains("worn out"), "{other}");
}

#[test]
fn an_environment_variable_is_taken_whole() {
    let load_from = |value: Option<&str>| {
        let specs = [spec(Source::Env("SESSION_KEY".into()))];
        let value = value.map(OsString::from);
        load_with(&specs, Path::new(CONFIG), |name| {
            assert_eq!(name, "SESSION_KEY");
            value.clone()
        })
        .map_err(|faults| faults[0].to_string())
    };
    assert!(load_from(Some(SECRET)).is_ok());
    let unset = load_from(None).unwrap_err();
    assert!(
        unset.starts_with("/etc/cloakroom.toml:7: keys[1]: secret_env SESSION_KEY: is not set")
    );
    assert!(load_from(Some("")).unwrap_err().contains("secret_env SESSION_KEY: is empty"));
    assert!(load_from(Some("short")).unwrap_err().contains("has 5 bytes"));
}

#[test]
fn secrets_are_decoded_as_configured() {
    use SecretEncoding::{Base64, Hex, Utf8};
    let table: &[(SecretEncoding, &str, Option<&[u8]>)] = &[
        (Utf8, "p\u{e4}ss", Some(b"p\xc3\xa4ss")),
        (Utf8, "+/8=", Some(b"+/8=")),
        (Base64, "+/8=", Some(b"\xfb\xff")),
        (Base64, "+/8", Some(b"\xfb\xff")),
        (Base64, "-_8=", Some(b"\xfb\xff")),
        (Base64, "-_8", Some(b"\xfb\xff")),
        (Base64, " AAEC\r\nAwQF\n", Some(b"\x00\x01\x02\x03\x04\x05")),
        (Base64, "+_8=", None),
        (Base64, "+/9=", None),
        (Base64, "+/8==", None),
        (Base64, "A", None),
        (Base64, "p\u{e4}ss", None),
        (Hex, "00fFaB", Some(b"\x00\xff\xab")),
        (Hex, "00ff\n ab", Some(b"\x00\xff\xab")),
        (Hex, "00f", None),
        (Hex, "0x00", None),
        (Hex, "+1", None),
    ];
    for (encoding, text, expected) in table {
        let spec = KeySpec { encoding: *encoding, allow_weak_secret: true, ..inline("") };
        let secret = secret(&spec, text.as_bytes()).ok();
        assert_eq!(secret.as_ref().map(|secret| &secret[..]), *expected, "{encoding:?} {text}");
    }
}

#[test]
fn an_encoded_secret_is_measured_decoded() {
    for (encoding, text, bytes) in [
        (SecretEncoding::Hex, "00".repeat(31), 31),
        (SecretEncoding::Base64, "AAAA".repeat(10), 30),
        (SecretEncoding::Utf8, "x".repeat(31), 31),
    ] {
        let messages = messages(&[KeySpec { encoding, ..inline(&text) }]);
        assert!(messages[0].contains(&format!("has {bytes} bytes")), "{}", messages[0]);
    }
    for (encoding, text) in [(SecretEncoding::Hex, "\n"), (SecretEncoding::Base64, "==")] {
        assert_eq!(messages(&[KeySpec { encoding, ..inline(text) }]).len(), 1);
    }
}

#[test]
fn a_secret_shorter_than_the_hash_is_refused_unless_allowed() {
    for algorithm in [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512] {
        let least = algorithm.least_secret_bytes();
        let of = |bytes: usize, allow_weak_secret| {
            let spec = inline(&"x".repeat(bytes));
            load(&[KeySpec { algorithm, allow_weak_secret, ..spec }], Path::new(CONFIG))
        };
        assert!(of(least, false).is_ok(), "{algorithm:?}");
        assert!(of(1, true).is_ok(), "{algorithm:?}");
        assert!(of(0, true).is_err(), "{algorithm:?}");
        let message = of(least - 1, false).unwrap_err()[0].to_string();
        assert!(message.contains(&format!("at least {least}")), "{message}");
        assert!(message.contains("allow_weak_secret"), "{message}");
        let keygen = match algorithm {
            Algorithm::Hs256 => "`cloakroom keygen`".to_owned(),
            _ => format!("`cloakroom keygen --algorithm {}`", algorithm.name()),
        };
        assert!(message.contains(&keygen), "{message}");
    }
}

#[test]
fn a_secret_that_seals_has_exactly_the_bytes_of_the_cipher() {
    let of = |text: &str, encoding, allow_weak_secret| {
        let spec = inline(text);
        let spec = KeySpec { algorithm: Algorithm::A256Gcm, encoding, allow_weak_secret, ..spec };
        load(&[spec], Path::new(CONFIG)).map_err(|faults| faults[0].message.clone())
    };
    let (utf8, base64, hex) = (SecretEncoding::Utf8, SecretEncoding::Base64, SecretEncoding::Hex);
    let encoded = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE";
    assert!(of(SECRET, utf8, false).is_ok());
    assert!(of(encoded, base64, false).is_ok());
    assert!(of(&"0a".repeat(32), hex, false).is_ok());
    for (text, encoding, bytes) in [
        (&SECRET[1..], utf8, 31),
        ("0123456789abcdef0123456789abcdef0", utf8, 33),
        ("AQEB", base64, 3),
    ] {
        for allow_weak_secret in [false, true] {
            let reason = of(text, encoding, allow_weak_secret).unwrap_err();
            let expected =
                format!("has {bytes} bytes, but A256GCM needs exactly 32: make a secret with");
            assert!(reason.contains(&expected), "{reason}");
        }
    }
    let reason = of(encoded, utf8, false).unwrap_err();
    assert!(reason.ends_with("it is base64: set secret_encoding = \"base64\""), "{reason}");
}

#[test]
fn every_fault_is_found() {
    let messages = messages(&[
        with_id("a", inline("short-one")),
        with_id("a", KeySpec { line: 12, ..inline(SECRET) }),
        KeySpec { line: 17, ..spec(Source::File("/nowhere/key".into())) },
        inline(SECRET),
        with_id("a", KeySpec { line: 30, encoding: SecretEncoding::Hex, ..inline("no-hex") }),
    ]);
    let starts = [
        "/etc/cloakroom.toml:7: keys[1] (id \"a\"): secret: has 9 bytes",
        "/etc/cloakroom.toml:12: keys[2] (id \"a\"): duplicate id: keys[1] has it already",
        "/etc/cloakroom.toml:17: keys[3]: secret_file /nowhere/key: does not exist",
        "/etc/cloakroom.toml:30: keys[5] (id \"a\"): duplicate id: keys[1] has it already",
        "/etc/cloakroom.toml:30: keys[5] (id \"a\"): secret: is not hexadecimal",
    ];
    assert_eq!(messages.len(), starts.len(), "{messages:#?}");
    for (message, start) in messages.iter().zip(starts) {
        assert!(message.starts_with(start), "{message}");
        assert!(!message.contains("short-one") && !message.contains("no-hex"), "{message}");
    }
}

#[test]
fn without_any_key_nothing_starts() {
    assert!(messages(&[])[0].contains("[[keys]]"));
}

#[test]
fn unsafe_keys_are_warned_of() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mode = |mode| {
        fs::set_permissions(file.path(), fs::Permissions::from_mode(mode)).unwrap();
        warnings(&[spec(Source::File(file.path().to_owned()))])
    };
    assert_eq!(mode(0o600).len(), 0);
    assert_eq!(mode(0o640).len(), 0);
    let readable = mode(0o644);
    assert!(readable[0].contains("keys[1]: every user") && readable[0].contains("chmod"));
    assert_eq!(warnings(&[spec(Source::Env("KEY".into()))]).len(), 0);
    assert_eq!(warnings(&[spec(Source::File("/nowhere/key".into()))]).len(), 0);
    let weak = KeySpec { allow_weak_secret: true, ..with_id("2026", inline("hush")) };
    let both = warnings(&[inline(SECRET), weak]);
    assert_eq!(both.len(), 3);
    assert!(both[2].contains("keys[2] (id \"2026\"): allow_weak_secret"), "{}", both[2]);
    assert!(!both.concat().contains("hush") && !both.concat().contains(SECRET));
}

#[test]
fn a_file_outside_any_configuration_may_be_weak_but_not_empty() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let warning_for = |content: &str| {
        fs::write(file.path(), content).unwrap();
        let loaded = load_file(file.path());
        loaded.map(|(_, warning)| warning).map_err(|error| error.to_string())
    };
    assert_eq!(warning_for(SECRET), Ok(None));
    let weak = warning_for("weak-one\n").unwrap().unwrap();
    assert!(weak.contains("has 8 bytes;") && !weak.contains("weak-one"), "{weak}");
    let empty = warning_for("\n").unwrap_err();
    assert!(empty.ends_with("is empty: make a secret with `cloakroom keygen`"), "{empty}");
    assert!(
        load_file(Path::new("/nowhere/key"))
            .unwrap_err()
            .to_string()
            .starts_with("--secret-file /nowhere/key: ")
    );
}

#[test]
fn no_secret_is_printed() {
    let secret = inline(SECRET);
    assert!(!format!("{secret:?} {}", secret.source.fails(SourceError::Empty)).contains(SECRET));
    for source in [
        Source::File(SECRET.into()),
        Source::Pair { private: Some(SECRET.into()), public: None },
        Source::Pair { private: None, public: Some(SECRET.into()) },
    ] {
        let spec = spec(source);
        let specs = std::slice::from_ref(&spec);
        let said = [messages(specs), warnings(specs)].concat().concat();
        assert!(said.contains("keys[1]: ") && said.contains("may be the secret itself"), "{said}");
        assert!(!format!("{said} {spec:?}").contains(SECRET), "{said}");
    }
    let said = load_file(Path::new(SECRET)).unwrap_err().to_string();
    assert!(said.starts_with("--secret-file: ") && !said.contains(SECRET), "{said}");
}

proptest! {
    #[test]
    fn what_was_encoded_comes_back(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        use base64::engine::general_purpose as engines;
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        prop_assert_eq!(&decode_hex(hex.as_bytes()).unwrap()[..], &bytes[..]);
        for engine in
            [engines::STANDARD, engines::STANDARD_NO_PAD, engines::URL_SAFE, engines::URL_SAFE_NO_PAD]
        {
            let text = engine.encode(&bytes);
            prop_assert_eq!(&decode_base64(text.as_bytes()).unwrap()[..], &bytes[..]);
        }
    }
}

//! Key files: files written by common tools are accepted, and a file that is not a key for the
//! algorithm is refused at the start with one clear line.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::{Answer, Backend, Builder, SECRET, SetCookie, Sidecar, keygen, openssl};

fn private(algorithm: &str, file: &str) -> String {
    format!("[[keys]]\nalgorithm = \"{algorithm}\"\nprivate_key_file = \"{file}\"\n\n")
}

/// A signing secret followed by a public key.
fn public(algorithm: &str, file: &str) -> String {
    format!(
        "[[keys]]\nsecret = \"{SECRET}\"\n\n\
         [[keys]]\nalgorithm = \"{algorithm}\"\npublic_key_file = \"{file}\"\n\n"
    )
}

/// Checks that these keys are refused with exit code 2 and one line that contains all of `said`;
/// returns what is wrong.
fn fault(keys: &str, said: &[&str]) -> Option<String> {
    let (code, stderr) = Builder::new("http://127.0.0.1:1").keys(keys).fail();
    let lines: Vec<&str> = stderr.lines().collect();
    let is_right = code == Some(2)
        && lines.len() == 1
        && said.iter().all(|part| lines[0].contains(part))
        && !lines[0].contains(SECRET);
    (!is_right).then(|| format!("{code:?} and not one line with {said:?}\n{keys}{stderr}"))
}

#[track_caller]
fn assert_none(faults: impl Iterator<Item = String>) {
    let faults: Vec<String> = faults.collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Files made by `openssl`.
struct Pems(TempDir);

impl Pems {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().expect("a path in UTF-8").to_owned()
    }

    /// A private key, in PKCS #8.
    fn key(&self, name: &str, arguments: &str) -> String {
        self.file(name, &openssl(&format!("genpkey {arguments}"), ""))
    }

    /// A file converted to another format.
    fn turned(&self, file: &str, suffix: &str, arguments: &str) -> String {
        let name = Path::new(file).file_name().and_then(|name| name.to_str()).unwrap();
        let text = std::fs::read_to_string(file).unwrap();
        self.file(&format!("{name}{suffix}"), &openssl(arguments, &text))
    }

    fn public(&self, file: &str) -> String {
        self.turned(file, ".pub", "pkey -pubout")
    }
}

const RSA_OF: &str = "-algorithm RSA -pkeyopt rsa_keygen_bits:";
const EC_OF: &str = "-algorithm EC -pkeyopt ec_paramgen_curve:";

#[test]
fn what_is_no_key_for_the_algorithm_is_refused_in_one_line() {
    let pems = Pems::new();
    let rsa = pems.key("rsa", &format!("{RSA_OF}2048"));
    let weak = pems.key("rsa-1024", &format!("{RSA_OF}1024"));
    let p256 = pems.key("p256", &format!("{EC_OF}P-256"));
    let p384 = pems.key("p384", &format!("{EC_OF}P-384"));
    let p521 = pems.key("p521", &format!("{EC_OF}P-521"));
    let koblitz = pems.key("secp256k1", &format!("{EC_OF}secp256k1"));
    let ed = pems.key("ed25519", "-algorithm ED25519");
    let ed448 = pems.key("ed448", "-algorithm ED448");
    let x25519 = pems.key("x25519", "-algorithm X25519");
    let encrypted = pems.turned(&p256, ".enc", "pkey -aes256 -passout pass:x");
    let old_encrypted = pems.turned(&rsa, ".enc", "rsa -traditional -aes256 -passout pass:x");
    let sec1 = pems.turned(&p256, ".sec1", "ec");
    let der = pems.file("der", "\u{30}\u{2}\u{1}");
    let empty = pems.file("empty", "");
    let cut = std::fs::read_to_string(&p256).unwrap();
    let cut = pems.file("cut", &cut[..cut.len() / 2]);
    let missing = pems.0.path().join("missing").display().to_string();
    let folder = pems.0.path().display().to_string();
    let privates = [
        ("RS256", &weak, "2048"),
        ("PS512", &weak, "2048"),
        ("RS256", &p256, "RSA"),
        ("PS256", &ed, "RSA"),
        ("ES256", &rsa, "P-256"),
        ("ES256", &p384, "P-256"),
        ("ES256", &koblitz, "P-256"),
        ("ES384", &p256, "P-384"),
        ("ES384", &p521, "P-384"),
        ("ES256", &ed, "P-256"),
        ("EdDSA", &p256, "Ed25519"),
        ("EdDSA", &ed448, "Ed25519"),
        ("EdDSA", &x25519, "Ed25519"),
        ("ES256", &encrypted, "passphrase-protected"),
        ("RS256", &old_encrypted, "passphrase-protected"),
        ("ES384", &sec1, "P-384"),
        ("ES256", &pems.public(&p256), "contains a public key"),
        ("RS512", &pems.public(&rsa), "contains a public key"),
        ("ES256", &der, "PEM"),
        ("ES256", &empty, ""),
        ("ES256", &cut, ""),
        ("ES256", &missing, "does not exist"),
        ("ES256", &folder, "directory"),
    ];
    assert_none(privates.into_iter().filter_map(|(algorithm, file, said)| {
        fault(&private(algorithm, file), &[&format!("private_key_file {file}: "), said])
    }));
    let publics = [
        ("RS256", &pems.public(&weak), "2048"),
        ("RS256", &rsa, "contains a private key"),
        ("ES256", &encrypted, ""),
        ("PS256", &pems.public(&p256), "RSA"),
        ("ES256", &pems.public(&p384), "P-256"),
        ("ES256", &pems.public(&koblitz), "P-256"),
        ("ES384", &pems.public(&p521), "P-384"),
        ("EdDSA", &pems.public(&ed448), "Ed25519"),
        ("EdDSA", &pems.public(&x25519), "Ed25519"),
        ("EdDSA", &pems.public(&rsa), "Ed25519"),
    ];
    assert_none(publics.into_iter().filter_map(|(algorithm, file, said)| {
        fault(&public(algorithm, file), &[&format!("public_key_file {file}: "), said])
    }));
}

#[test]
fn rsa_key_that_is_one_bit_short_is_refused_too() {
    let pems = Pems::new();
    let private_file = pems.key("rsa-2047", &format!("{RSA_OF}2047"));
    let public_file = pems.public(&private_file);
    let cases = [private("RS256", &private_file), public("RS256", &public_file)];
    assert_none(cases.into_iter().filter_map(|keys| fault(&keys, &["2048"])));
}

/// Made with `openssl genpkey -algorithm RSA-PSS`. A message that asks for an RSA key of 2048 bits
/// would not help, since this is one.
#[test]
fn rsa_key_that_is_marked_for_pss_is_told_from_others() {
    let pems = Pems::new();
    let private_file = pems.key("pss", "-algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048");
    let public_file = pems.public(&private_file);
    let cases = [private("PS256", &private_file), public("PS256", &public_file)];
    assert_none(cases.into_iter().filter_map(|keys| fault(&keys, &["RSA-PSS"])));
}

#[test]
fn halves_of_two_pairs_and_mixtures_are_refused_in_one_line() {
    let pems = Pems::new();
    let one = pems.key("one", &format!("{EC_OF}P-256"));
    let other = pems.public(&pems.key("other", &format!("{EC_OF}P-256")));
    let key = |lines: &[&str]| format!("[[keys]]\n{}\n", lines.join("\n"));
    let es256 = "algorithm = \"ES256\"";
    let hs256 = "algorithm = \"HS256\"";
    let private = format!("private_key_file = \"{one}\"");
    let public = format!("public_key_file = \"{other}\"");
    let secret = format!("secret = \"{SECRET}\"");
    let cases = [
        (key(&[es256, &private, &public]), "form a key pair"),
        (key(&[es256, &public]), "cannot sign"),
        (key(&[es256, &secret]), "key pair"),
        (key(&[hs256, &private]), "secret"),
        (key(&[&private]), "secret"),
        (key(&[hs256, &public]), "secret"),
        (key(&[es256, &private, &secret]), "only one"),
        (key(&[es256]), "private_key_file"),
        (key(&["algorithm = \"none\"", &secret]), "algorithm"),
        (key(&["algorithm = \"es256\"", &private]), "ES256"),
    ];
    assert_none(cases.into_iter().filter_map(|(keys, said)| fault(&keys, &["keys[1]", said])));
}

#[test]
fn forms_that_tools_write_are_taken() {
    let pems = Pems::new();
    let rsa = pems.key("rsa", &format!("{RSA_OF}2048"));
    let p256 = pems.key("p256", &format!("{EC_OF}P-256"));
    let ed = pems.key("ed25519", "-algorithm ED25519");
    let pkcs1 = pems.turned(&rsa, ".pkcs1", "rsa -traditional");
    let windows = std::fs::read_to_string(&p256).unwrap().replace('\n', "\r\n");
    let windows = pems.file("crlf", &windows);
    let commented = format!("made for the tests\n{}\n\n", std::fs::read_to_string(&ed).unwrap());
    let commented = pems.file("commented", &commented);
    let backend = Backend::new(Answer::ok(&[("X-Session-Save", r#"{"n":1}"#)]));
    for (algorithm, file) in [
        ("RS256", &rsa),
        ("PS384", &pkcs1),
        ("ES256", &windows),
        ("EdDSA", &ed),
        ("EdDSA", &commented),
    ] {
        let sidecar = Sidecar::before(&backend).keys(&private(algorithm, file)).start();
        let token = SetCookie::token(&sidecar.get("/", None));
        sidecar.get("/", Some(&token));
        assert_eq!(backend.last().values("X-Session"), [r#"{"n":1}"#], "{algorithm}, {file}");
    }
    let old = pems.turned(&rsa, ".pkcs1.pub", "rsa -RSAPublicKey_out");
    drop(Sidecar::before(&backend).keys(&public("RS256", &old)).start());
}

#[test]
fn keygen_writes_files_for_their_owner_that_other_tools_read() {
    let folder = tempfile::tempdir().unwrap();
    for algorithm in ["RS256", "ES256", "ES384", "EdDSA"] {
        let private_file = keygen(folder.path(), algorithm);
        let mode = std::fs::metadata(&private_file).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{algorithm}");
        let private = std::fs::read_to_string(&private_file).unwrap();
        let public = std::fs::read_to_string(format!("{private_file}.pub")).unwrap();
        assert_eq!(openssl("pkey -pubout", &private), public, "{algorithm}");
        assert_eq!(openssl("pkey", &private).lines().next(), Some("-----BEGIN PRIVATE KEY-----"));
    }
}

#[test]
fn keygen_overwrites_nothing_and_leaves_no_half_of_a_pair() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let public = folder.path().join("key.pub");
    std::fs::write(&public, "somebody's").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_cloakroom"))
        .args(["keygen", "--algorithm", "ES256", "--out"])
        .arg(&path)
        .output()
        .expect("the binary starts");
    assert!(!output.status.success(), "{output:?}");
    assert_eq!(std::fs::read_to_string(&public).unwrap(), "somebody's");
    assert!(!path.exists(), "a private key without its public one");
}

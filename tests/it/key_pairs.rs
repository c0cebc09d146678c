//! Key pairs: every algorithm, public keys, and confusion of algorithms.

use jsonwebtoken::{Algorithm, EncodingKey, crypto};

use crate::support::token::{base64, mint_as};
use crate::support::{Answer, Backend, Builder, SECRET, SetCookie, Sidecar, keygen, mint, token};

const DICT: &str = r#"{"n":1}"#;
const RSA: [&str; 6] = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];

fn private(algorithm: &str, file: &str) -> String {
    format!("[[keys]]\nalgorithm = \"{algorithm}\"\nprivate_key_file = \"{file}\"\n\n")
}

fn public(algorithm: &str, file: &str) -> String {
    format!("[[keys]]\nalgorithm = \"{algorithm}\"\npublic_key_file = \"{file}\"\n\n")
}

fn secret() -> String {
    format!("[[keys]]\nsecret = \"{SECRET}\"\n\n")
}

fn saving() -> Backend {
    Backend::new(Answer::ok(&[("X-Session-Save", DICT)]))
}

fn start(backend: &Backend, keys: &str) -> Sidecar {
    Sidecar::before(backend).keys(keys).start()
}

/// Checks that a token is refused with this outcome.
#[track_caller]
fn assert_refused(sidecar: &Sidecar, backend: &Backend, token: &str, outcome: &str) {
    let series = format!("cloakroom_session_checks_total{{outcome=\"{outcome}\"}}");
    let before = sidecar.count(&series);
    sidecar.get("/", Some(token));
    assert_eq!(backend.last().values("X-Session"), ["{}"], "{token}");
    sidecar.counts(&series, before + 1.0);
}

/// The faults that the sidecar prints instead of starting.
fn refused(keys: &str) -> Vec<String> {
    let (code, stderr) = Builder::new("http://127.0.0.1:1").keys(keys).fail();
    assert_eq!(code, Some(2), "{keys}\n---\n{stderr}");
    stderr.lines().map(str::to_owned).collect()
}

/// Every algorithm for key pairs, each with its own key: a save is signed and comes back, and the
/// public key is enough to verify it.
fn goes_round(algorithm: &str) {
    let folder = tempfile::tempdir().unwrap();
    let key = keygen(folder.path(), algorithm);
    let backend = saving();
    let signer = start(&backend, &private(algorithm, &key));
    let token = SetCookie::token(&signer.get("/", None));
    let header = token.split('.').next().unwrap();
    let expected = format!(r#"{{"typ":"JWT","alg":"{algorithm}"}}"#);
    assert_eq!(String::from_utf8(token::unbase64(header)).unwrap(), expected);
    signer.get("/", Some(&token));
    assert_eq!(backend.last().values("X-Session"), [DICT], "{algorithm}");

    let public_file = format!("{key}.pub");
    let verifier = start(&backend, &(secret() + &public(algorithm, &public_file)));
    verifier.get("/", Some(&token));
    assert_eq!(backend.last().values("X-Session"), [DICT], "{algorithm}");
    verifier.counts(r#"cloakroom_key_uses_total{key="2",use="verify"}"#, 1.0);
    // Its own tokens are signed by the first key.
    let own = SetCookie::token(&verifier.get("/", Some(&token)));
    assert_eq!(token::payload(&own), DICT);

    // The public key's text as a secret: it is known, and must not be accepted.
    let text = std::fs::read_to_string(&public_file).unwrap();
    for secret in [text.as_str(), text.trim_end()] {
        let forged = mint_as(token::HEADER, DICT, secret, Algorithm::HS256);
        assert_refused(&signer, &backend, &forged, "unknown_key");
        assert_refused(&verifier, &backend, &forged, "bad_signature");
        let lying = mint_as(&expected, DICT, secret, Algorithm::HS256);
        assert_refused(&signer, &backend, &lying, "bad_signature");
        assert_refused(&verifier, &backend, &lying, "bad_signature");
    }
    let message = token.rsplit_once('.').unwrap().0;
    let length = token::unbase64(token.rsplit('.').next().unwrap()).len();
    for forged in [vec![], vec![0; length], vec![0xff; length], vec![0; length - 1], vec![0; 8]] {
        let forged = format!("{message}.{}", base64(forged));
        assert_refused(&signer, &backend, &forged, "bad_signature");
    }
    let other = format!("{header}.{}.{}", base64(r#"{"n":2}"#), token.rsplit('.').next().unwrap());
    assert_refused(&signer, &backend, &other, "bad_signature");

    let lines = refused(&public(algorithm, &public_file));
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("cannot sign") && lines[0].contains(&public_file), "{lines:?}");
    assert_eq!(refused(&(public(algorithm, &public_file) + &secret())).len(), 1);
}

#[test]
fn rsa_goes_round() {
    goes_round("RS256");
    goes_round("RS384");
    goes_round("RS512");
}

#[test]
fn rsa_pss_goes_round() {
    goes_round("PS256");
    goes_round("PS384");
    goes_round("PS512");
}

#[test]
fn elliptic_curves_go_round() {
    goes_round("ES256");
    goes_round("ES384");
    goes_round("EdDSA");
}

/// One signature at a time per worker, here one worker; the others wait.
#[test]
fn saves_that_come_at_once_are_all_signed() {
    let folder = tempfile::tempdir().unwrap();
    let key = keygen(folder.path(), "RS256");
    let backend = saving();
    let sidecar =
        Sidecar::before(&backend).top("workers = 1").keys(&private("RS256", &key)).start();
    let save = || SetCookie::token(&sidecar.get("/", None));
    let tokens: Vec<String> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..16).map(|_| scope.spawn(save)).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    for token in tokens {
        sidecar.get("/", Some(&token));
        assert_eq!(backend.last().values("X-Session"), [DICT]);
    }
}

/// A token whose header names another algorithm than its signature has.
fn signed(header: &str, algorithm: &str, pem: &str) -> String {
    let key = EncodingKey::from_rsa_pem(pem.as_bytes()).unwrap();
    let message =
        format!("{}.{}", base64(format!(r#"{{"typ":"JWT","alg":"{header}"}}"#)), base64(DICT));
    let algorithm = algorithm.parse().expect("an algorithm");
    let signature = crypto::sign(message.as_bytes(), &key, algorithm).unwrap();
    format!("{message}.{signature}")
}

#[test]
fn key_is_for_one_algorithm_only() {
    let folder = tempfile::tempdir().unwrap();
    let key = keygen(folder.path(), "RS256");
    let pem = std::fs::read_to_string(&key).unwrap();
    let backend = Backend::plain();
    for own in RSA {
        let sidecar = start(&backend, &private(own, &key));
        for other in RSA {
            let token = signed(other, other, &pem);
            if own == other {
                sidecar.get("/", Some(&token));
                assert_eq!(backend.last().values("X-Session"), [DICT], "{own}");
                continue;
            }
            assert_refused(&sidecar, &backend, &token, "unknown_key");
            assert_refused(&sidecar, &backend, &signed(own, other, &pem), "bad_signature");
        }
    }
}

#[test]
fn kid_does_not_lead_to_a_key_of_another_algorithm() {
    let folder = tempfile::tempdir().unwrap();
    let key = keygen(folder.path(), "RS256");
    let text = std::fs::read_to_string(format!("{key}.pub")).unwrap();
    let backend = Backend::plain();
    let keys = format!("{}id = \"pair\"\n\n{}id = \"own\"", private("RS256", &key), secret());
    let sidecar = start(&backend, &keys);
    let header = |kid| format!(r#"{{"typ":"JWT","alg":"HS256","kid":"{kid}"}}"#);
    let forged = mint_as(header("pair"), DICT, &text, Algorithm::HS256);
    assert_refused(&sidecar, &backend, &forged, "bad_signature");
    let foreign = mint_as(header("pair"), DICT, SECRET, Algorithm::HS256);
    assert_refused(&sidecar, &backend, &foreign, "bad_signature");
    sidecar.get("/", Some(&mint_as(header("own"), DICT, SECRET, Algorithm::HS256)));
    assert_eq!(backend.last().values("X-Session"), [DICT]);
}

#[test]
fn tokens_of_a_secret_go_on_beside_a_new_key_pair() {
    let folder = tempfile::tempdir().unwrap();
    let key = keygen(folder.path(), "ES256");
    let backend = saving();
    let sidecar = start(&backend, &(private("ES256", &key) + &secret()));
    let saved = SetCookie::token(&sidecar.get("/", Some(&mint(DICT))));
    assert_eq!(backend.last().values("X-Session"), [DICT]);
    sidecar.get("/", Some(&saved));
    assert_eq!(backend.last().values("X-Session"), [DICT]);
    sidecar.counts(r#"cloakroom_key_uses_total{key="1",use="verify"}"#, 1.0);
    sidecar.counts(r#"cloakroom_key_uses_total{key="2",use="verify"}"#, 1.0);
}

//! `[headers.signature]`: the app can verify that headers come from the sidecar.

use std::path::Path;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::{Backend, Builder, Message, Protocol, Request, Sidecar, eventually, mint};

const SECRET: &str = "a secret of sidecar and app, long enough for both";

fn tables(file: &Path) -> String {
    format!(
        "[headers.claims]\n\"X-Remote-User\" = \"user.name\"\n\"X-Level\" = \"level\"\n\
         [headers.signature]\nsecret_file = \"{}\"\nid = \"2026\"\nmax_age = \"30s\"\n\
         [[routes]]\npath = \"/static/\"\nsession = \"off\"\n",
        file.display()
    )
}

/// A sidecar, and the folder with its secret.
fn signing(backend: &Backend) -> (Sidecar, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, format!("{SECRET}\n")).unwrap();
    (Builder::new(backend.url()).with(&tables(&file)).start(), folder)
}

/// The signed names, if the signature is valid.
fn verified(request: &Message, secret: &str) -> Option<Vec<String>> {
    let [input] = &request.values("Signature-Input")[..] else { panic!("{request:?}") };
    let [signature] = &request.values("Signature")[..] else { panic!("{request:?}") };
    let parameters = input.strip_prefix("cloakroom=")?;
    let (names, _) = parameters.strip_prefix('(')?.split_once(')')?;
    let names: Vec<String> =
        names.split(' ').map(|name| name.trim_matches('"').to_owned()).collect();
    let mut base = String::new();
    for name in &names {
        let value = match name.as_str() {
            "@method" => request.first_line.split(' ').next()?.to_owned(),
            "@request-target" => request.target().to_owned(),
            field => request.value(field)?,
        };
        base.push_str(&format!("\"{name}\": {value}\n"));
    }
    base.push_str(&format!("\"@signature-params\": {parameters}"));
    let tag = signature.strip_prefix("cloakroom=:")?.strip_suffix(':')?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hmac::verify(&key, base.as_bytes(), &STANDARD.decode(tag).ok()?).ok()?;
    Some(names)
}

#[test]
fn what_the_app_is_told_is_signed() {
    let backend = Backend::plain();
    let (sidecar, _folder) = signing(&backend);
    let token = mint(r#"{"user":{"name":"ann"},"é":1}"#);
    let all = ["@method", "@request-target", "x-session", "x-remote-user"];
    for protocol in [Protocol::Http11, Protocol::H2c] {
        for (request, signed) in [
            (Request::get("/a%20b/?c=%64&e").session(&token), &all[..]),
            (Request::new("POST", "/").body("x").session(&token), &all),
            (Request::get("/"), &all[..3]),
            (Request::get("/static/x"), &all[..2]),
        ] {
            sidecar.send_over(protocol, &request);
            let names = verified(&backend.last(), SECRET);
            assert_eq!(names.unwrap_or_default(), signed, "{request:?}");
        }
    }
    let input = backend.last().value("Signature-Input").unwrap();
    assert!(input.ends_with(";keyid=\"2026\";alg=\"hmac-sha256\""), "{input}");
    let number = |name: &str| -> u64 {
        let behind = input.split(name).nth(1).unwrap();
        behind.split(';').next().unwrap().parse().unwrap()
    };
    assert_eq!(number("expires=") - number("created="), 30);
}

#[test]
fn a_clients_own_signature_is_removed_and_counted() {
    let backend = Backend::plain();
    let (sidecar, _folder) = signing(&backend);
    let forged = [
        ("Signature", "cloakroom=:AAAA:"),
        ("signature-input", "cloakroom=();keyid=\"2026\""),
        ("Signature_Input", "x=()"),
        ("signature.input", "x=()"),
    ];
    let request = forged.iter().fold(Request::get("/"), |it, (name, value)| it.with(name, value));
    sidecar.send(&request);
    assert!(verified(&backend.last(), SECRET).is_some());
    let names = backend.last().all_names();
    assert_eq!(names.iter().filter(|it| it.to_lowercase().starts_with("signature")).count(), 2);
    sidecar.counts("cloakroom_spoofed_headers_total", forged.len() as f64);
}

#[test]
fn without_a_secret_a_clients_signature_reaches_the_app() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let request = Request::get("/").with("Signature", "a=:AAAA:").with("Signature-Input", "a=()");
    sidecar.send(&request);
    let seen = backend.last();
    assert_eq!(seen.values("Signature"), ["a=:AAAA:"]);
    assert_eq!(seen.values("Signature-Input"), ["a=()"]);
    sidecar.counts("cloakroom_spoofed_headers_total", 0.0);
}

#[test]
fn a_new_secret_signs_as_soon_as_its_file_has_changed() {
    let backend = Backend::plain();
    let (sidecar, folder) = signing(&backend);
    let next = "another secret of sidecar and app, long enough too";
    std::fs::write(folder.path().join("secret"), next).unwrap();
    eventually("the new secret", || {
        sidecar.send(&Request::get("/"));
        verified(&backend.last(), next)
    });
}

#[test]
fn a_secret_that_is_missing_or_too_short_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    let start = || Builder::new("http://127.0.0.1:1").with(&tables(&file)).fail();
    let (code, log) = start();
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains("headers.signature.secret_file"), "{log}");
    std::fs::write(&file, "short").unwrap();
    let (code, log) = start();
    assert_eq!(code, Some(2), "{log}");
    assert!(log.contains("has 5 bytes, but HMAC-SHA256 needs at least 32"), "{log}");
}

#[test]
fn a_secret_that_is_also_a_session_key_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("secret");
    std::fs::write(&file, SECRET).unwrap();
    let keys = format!("[[keys]]\nsecret_file = \"{}\"\n", file.display());
    let backend = Backend::plain();
    let sidecar = Builder::new(backend.url()).keys(&keys).with(&tables(&file)).start();
    let log = sidecar.log();
    assert!(log.contains("headers.signature.secret_file: it is the secret of keys[1]"), "{log}");
}

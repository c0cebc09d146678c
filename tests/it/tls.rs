//! `[tls]` and `[backend_tls]`: TLS to clients and to the backend works like plain connections.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio_rustls::rustls::ALL_VERSIONS;
use tokio_rustls::rustls::version::{TLS12, TLS13};

use crate::support::tls::{Client, http2};
use crate::support::{
    Answer, Backend, Builder, Certificate, Client as Clear, Request, SetCookie, Sidecar, WAIT,
    eventually, mint, token,
};

const SAVE: &[(&str, &str)] = &[("X-Session-Save", r#"{"n":2}"#)];

fn connect(sidecar: &Sidecar, certificate: &Certificate) -> Client {
    Client::connect(sidecar.address(), certificate.client(ALL_VERSIONS), "app.test").unwrap()
}

#[test]
fn session_travels_over_tls_of_both_versions() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::new(folder.path(), "app.test");
    let backend = Backend::new(Answer::ok(SAVE));
    let sidecar = Sidecar::before(&backend).with(&certificate.table()).start();
    for version in [&TLS12, &TLS13] {
        let config = certificate.client(&[version]);
        let mut client = Client::connect(sidecar.address(), config, "app.test").unwrap();
        for _ in 0..3 {
            let response = client.exchange(&Request::get("/").session(&mint(r#"{"n":1}"#)));
            assert_eq!(response.status(), 200);
            assert_eq!(token::payload(&SetCookie::token(&response)), r#"{"n":2}"#);
            let received = backend.last();
            assert_eq!(received.value("X-Session").as_deref(), Some(r#"{"n":1}"#));
            assert_eq!(received.value("X-Forwarded-Proto").as_deref(), Some("https"));
        }
    }
}

#[test]
fn http_2_is_agreed_on_by_alpn_and_http_1_without() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::new(folder.path(), "app.test");
    let backend = Backend::new(Answer::ok(SAVE));
    let sidecar = Sidecar::before(&backend).with(&certificate.table()).start();
    let connection = http2(sidecar.address(), certificate.client(ALL_VERSIONS), "app.test");
    let response = connection.receive(connection.send(&Request::get("/")));
    assert_eq!((response.status(), response.first_line.as_str()), (200, "HTTP/2 200"));
    assert_eq!(backend.last().value("X-Forwarded-Proto").as_deref(), Some("https"));
    let mut plain = connect(&sidecar, &certificate);
    assert_eq!(plain.alpn(), None);
    assert_eq!(plain.exchange(&Request::get("/")).status(), 200);
    let mut config = certificate.client(ALL_VERSIONS);
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let mut asked = Client::connect(sidecar.address(), config, "app.test").unwrap();
    assert_eq!(asked.alpn(), Some(&b"http/1.1"[..]));
    assert_eq!(asked.exchange(&Request::get("/")).status(), 200);
    // Without ALPN, HTTP/2 was not agreed.
    let mut preface = connect(&sidecar, &certificate);
    preface.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!(preface.receive("PRI").status(), 400);
}

#[test]
fn clients_that_offer_http_1_0_alone_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::new(folder.path(), "app.test");
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend).with(&certificate.table()).start();
    let offering = |protocols: &[&[u8]]| {
        let mut config = certificate.client(ALL_VERSIONS);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Client::connect(sidecar.address(), config, "app.test")
    };
    let mut old = offering(&[b"http/1.0"]).unwrap();
    assert_eq!(old.alpn(), Some(&b"http/1.0"[..]));
    old.send("GET / HTTP/1.0\r\n\r\n");
    assert_eq!(old.receive("GET").status(), 200);
    let mut both = offering(&[b"http/1.0", b"http/1.1"]).unwrap();
    assert_eq!(both.alpn(), Some(&b"http/1.1"[..]));
    assert_eq!(both.exchange(&Request::get("/")).status(), 200);
    assert!(offering(&[b"ftp"]).is_err());
}

#[test]
fn heads_are_limited_and_strict_over_tls_too() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::new(folder.path(), "app.test");
    let backend = Backend::plain();
    let table = certificate.table();
    let sidecar = Sidecar::before(&backend)
        .with(&format!("{table}[limits]\nhead_bytes = 2048\n[timeouts]\nhead = \"400ms\""))
        .start();
    for (head, status) in [
        (format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", "x".repeat(3000)), 431),
        ("GET / HTTP/1.1\nHost: a\r\n\r\n".into(), 400),
        ("GET / HTTP/1.1\r\nHost: a".into(), 408),
    ] {
        let mut client = connect(&sidecar, &certificate);
        client.send(&head);
        assert_eq!(client.receive("GET").status(), status, "{head:.40}");
    }
    assert!(backend.received().is_empty());
}

#[test]
fn whoever_does_not_shake_hands_is_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::new(folder.path(), "app.test");
    let backend = Backend::plain();
    let table = certificate.table();
    let sidecar =
        Sidecar::before(&backend).with(&format!("{table}[timeouts]\nhead = \"300ms\"")).start();
    // A plain request to this port gets an explanation.
    let mut clear = sidecar.connect();
    clear.send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let response = clear.receive("GET");
    assert_eq!(response.status(), 400);
    assert!(response.text().contains("HTTPS"), "{response:?}");
    // A client that sends nothing, or a part of it.
    for begun in [&b""[..], b"\x16\x03\x01"] {
        let started = Instant::now();
        let mut silent = sidecar.connect();
        silent.send(begun);
        let (_, ended) = silent.rest_or_silence(WAIT);
        assert!(ended && started.elapsed() < Duration::from_secs(8), "{begun:?}");
    }
    // A client that agrees on HTTP/2 but does not start.
    let mut config = certificate.client(ALL_VERSIONS);
    config.alpn_protocols = vec![b"h2".to_vec()];
    let started = Instant::now();
    let mut silent = Client::connect(sidecar.address(), config, "app.test").unwrap();
    assert!(silent.ends() && started.elapsed() < Duration::from_secs(8));
    // A client that sends something else.
    let mut other = sidecar.connect();
    other.send(b"\x16\x03\x01\x00\x05hello");
    assert!(other.rest_or_silence(WAIT).1);
    sidecar.counts("cloakroom_tls_handshakes_failed_total", 2.0);
    sidecar.counts("cloakroom_connections_active", 0.0);
    assert!(backend.received().is_empty());
}

#[test]
fn changed_certificate_is_shown_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let old = Certificate::new(folder.path(), "app.test");
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend).with(&old.table()).start();
    let mut kept = connect(&sidecar, &old);
    let shown = kept.certificate();
    assert_eq!(kept.exchange(&Request::get("/")).status(), 200);

    // Only one half of a pair, as between two file replacements, changes nothing.
    let other_folder = tempfile::tempdir().unwrap();
    let new = Certificate::new(other_folder.path(), "app.test");
    std::fs::copy(&new.cert, &old.cert).unwrap();
    sidecar.counts(r#"cloakroom_config_reloads_total{outcome="failure"}"#, 1.0);
    eventually("a fault", || sidecar.log().contains("tls.cert").then_some(()));
    std::fs::copy(&new.key, &old.key).unwrap();
    sidecar.counts(r#"cloakroom_config_reloads_total{outcome="success"}"#, 1.0);
    let fresh = connect(&sidecar, &new).certificate();
    assert_ne!(fresh, shown);
    // Existing connections stay.
    assert_eq!(kept.exchange(&Request::get("/")).status(), 200);
}

#[test]
fn faulty_certificates_are_told_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let good = Certificate::new(folder.path(), "app.test");
    let other = Certificate::new(folder.path(), "other.test");
    let junk = folder.path().join("junk");
    std::fs::write(&junk, "SECRET-THAT-WENT-ASTRAY").unwrap();
    let nowhere = folder.path().join("nowhere");
    for (cert, key, said) in [
        (&good.cert, &other.key, "tls.key"),
        (&nowhere, &good.key, "cannot be read"),
        (&junk, &good.key, "no certificate"),
        (&good.cert, &junk, "no unencrypted private key"),
    ] {
        let table = format!("[tls]\ncert = {cert:?}\nkey = {key:?}");
        let (code, log) = Builder::new("http://127.0.0.1:1").with(&table).fail();
        assert_eq!(code, Some(2), "{log}");
        assert!(log.contains(said) && log.contains("cloakroom.toml:"), "{said}: {log}");
        assert!(!log.contains("ASTRAY"), "{log}");
    }
    let table = format!("[tls]\ncert = {:?}", good.cert);
    let (code, log) = Builder::new("http://127.0.0.1:1").with(&table).fail();
    assert_eq!(code, Some(2));
    assert!(log.contains("missing key tls.key"), "{log}");
}

#[test]
fn listeners_of_both_kinds_stand_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::new(folder.path(), "app.test");
    let backend = Backend::new(Answer::ok(SAVE));
    let table = certificate.table();
    let sidecar = Sidecar::before(&backend)
        .tls_listeners(1)
        .with(&format!("{table}listen = \"127.0.0.1:0\"\n[cookie]\nsecure = \"auto\""))
        .start();
    let clear: SocketAddr = sidecar.addresses()[0].parse().unwrap();
    let encrypted: SocketAddr = sidecar.addresses()[1].parse().unwrap();
    // The cookie depends on the client's own connection.
    let response = Clear::connect(clear).exchange(&Request::get("/"));
    assert!(!response.values("Set-Cookie")[0].contains("Secure"), "{response:?}");
    let config = certificate.client(ALL_VERSIONS);
    let mut client = Client::connect(encrypted, config, "app.test").unwrap();
    let response = client.exchange(&Request::get("/"));
    assert!(response.values("Set-Cookie")[0].contains("; Secure;"), "{response:?}");
    backend.will(Answer::ok(&[("X-Session-Delete", "1")]));
    let response = client.exchange(&Request::get("/"));
    assert!(response.values("Set-Cookie")[0].contains("; Secure;"), "{response:?}");
}

#[test]
fn secure_auto_believes_a_trusted_proxy_only() {
    let backend = Backend::new(Answer::ok(SAVE));
    for (trusted, field, value, secure) in [
        ("", "X-Forwarded-Proto", "https", false),
        ("trusted_proxies = [\"127.0.0.1\"]", "X-Forwarded-Proto", "https", true),
        ("trusted_proxies = [\"127.0.0.1\"]", "X-Forwarded-Proto", "http", false),
        ("trusted_proxies = [\"127.0.0.1\"]", "Forwarded", "for=1.1.1.1;proto=https", true),
        ("", "Forwarded", "for=1.1.1.1;proto=https", false),
    ] {
        let sidecar =
            Sidecar::before(&backend).top(trusted).with("[cookie]\nsecure = \"auto\"").start();
        let response = sidecar.send(&Request::get("/").with(field, value));
        let set_cookie = &response.values("Set-Cookie")[0];
        assert_eq!(set_cookie.contains("; Secure;"), secure, "{trusted} {field}: {set_cookie}");
    }
}

#[test]
fn https_backend_is_verified_with_a_ca_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::new(folder.path(), "inner.test");
    let backend = Backend::tls(&certificate, Answer::ok(&[]));
    let ca = format!("[backend_tls]\nca_file = {:?}\n", certificate.cert);
    // By its address, which is in the certificate, and by its name.
    for name in ["", "server_name = \"inner.test\"\n"] {
        let sidecar = Builder::new(backend.url()).with(&format!("{ca}{name}")).start();
        let response = sidecar.send(&Request::get("/").session(&mint(r#"{"n":1}"#)));
        assert_eq!(response.status(), 200, "{name}");
        assert_eq!(backend.last().value("X-Session").as_deref(), Some(r#"{"n":1}"#));
        assert_eq!(sidecar.admin("/readyz").status(), 200);
    }
    // With another name or authority, the session is not sent.
    let other = Certificate::new(folder.path(), "other.test");
    let before = backend.received().len();
    for table in [
        format!("{ca}server_name = \"wrong.test\"\n"),
        format!("[backend_tls]\nca_file = {:?}\n", other.cert),
    ] {
        let sidecar = Builder::new(backend.url()).with(&table).start();
        assert_eq!(sidecar.send(&Request::get("/")).status(), 502, "{table}");
        sidecar.counts(r#"cloakroom_backend_errors_total{kind="connect"}"#, 1.0);
    }
    assert_eq!(backend.received().len(), before);
}

#[test]
fn faulty_ca_file_is_told_at_start() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().join("empty.crt");
    std::fs::write(&empty, "").unwrap();
    for path in [empty, folder.path().join("nowhere.crt")] {
        let table = format!("[backend_tls]\nca_file = {path:?}");
        let (code, log) = Builder::new("https://127.0.0.1:1").with(&table).fail();
        assert_eq!(code, Some(2), "{log}");
        let fault = format!(": backend_tls.ca_file {}: ", path.display());
        assert!(log.contains(&fault), "{log}");
    }
}

#[test]
fn connections_over_tls_end_with_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::new(folder.path(), "app.test");
    let backend = Backend::plain();
    let mut sidecar = Sidecar::before(&backend).with(&certificate.table()).start();
    let mut client = connect(&sidecar, &certificate);
    assert_eq!(client.exchange(&Request::get("/")).status(), 200);
    let mut silent = sidecar.connect();
    eventually("two connections", || {
        (sidecar.count("cloakroom_connections_active") == 2.0).then_some(())
    });
    sidecar.signal("TERM");
    assert_eq!(sidecar.wait().code(), Some(0));
    assert!(silent.rest_or_silence(WAIT).1);
}

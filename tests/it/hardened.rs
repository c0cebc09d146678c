//! `config/hardened.toml`: it starts, contains everything that docs/security.md says, and each
//! setting has the described effect.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tokio_rustls::rustls::ALL_VERSIONS;

use crate::support::tls::Client;
use crate::support::{
    Answer, Backend, Builder, Certificate, Message, PATIENT, Request, SetCookie, Sidecar, keygen,
};

const HARDENED: &str = include_str!("../../config/hardened.toml");
const SECURITY: &str = include_str!("../../docs/security.md");
const COOKIE: &str = "__Host-session";

/// The file with the test's addresses and folders.
fn moved(folder: &Path, backend: &str) -> String {
    let certificate = Certificate::new(folder, "app.test");
    let [sealing, signing] = ["A256GCM", "HS256"].map(|algorithm| keygen(folder, algorithm));
    let home = folder.join("store");
    std::fs::create_dir(&home).unwrap();
    std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700)).unwrap();
    let mut text = HARDENED.to_owned();
    for (there, here) in [
        ("0.0.0.0:8443", "127.0.0.1:0"),
        ("127.0.0.1:9090", "127.0.0.1:0"),
        ("unix:/run/shop/app.sock", backend),
        ("/run/secrets/tls.crt", certificate.cert.to_str().unwrap()),
        ("/run/secrets/tls.key", certificate.key.to_str().unwrap()),
        ("/run/secrets/session_key", &sealing),
        ("/run/secrets/app_signature_key", &signing),
        ("/run/secrets/admin_token", &signing),
        ("/var/lib/cloakroom", home.to_str().unwrap()),
    ] {
        assert_eq!(text.matches(there).count(), 1, "{there}");
        text = text.replace(there, here);
    }
    // The disk may be busy.
    text.replacen("[store]\n", &format!("[store]\n{PATIENT}"), 1)
}

struct Hardened {
    backend: Backend,
    sidecar: Sidecar,
    certificate: Certificate,
    _folder: tempfile::TempDir,
}

impl Hardened {
    fn start() -> Self {
        let backend = Backend::by(|request| {
            let mut fields = Vec::new();
            let saved = request.value("Say-Save");
            fields.extend(saved.iter().map(|dict| ("X-Session-Save", dict.as_str())));
            if request.target() == "/log-out" {
                fields.push(("X-Session-Delete", "1"));
            }
            Answer::ok(&fields)
        });
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cloakroom.toml");
        std::fs::write(&file, moved(folder.path(), backend.url())).unwrap();
        let name = |end: &str| folder.path().join(format!("app.test.{end}"));
        let certificate = Certificate { cert: name("crt"), key: name("key") };
        let sidecar = Builder::new(backend.url()).file(file).start();
        Self { backend, sidecar, certificate, _folder: folder }
    }

    fn ask(&self, request: &Request) -> Message {
        let config = self.certificate.client(ALL_VERSIONS);
        Client::connect(self.sidecar.address(), config, "app.test").unwrap().exchange(request)
    }

    fn log_in(&self, dict: &str) -> SetCookie {
        let answer = self.ask(&Request::get("/").with("Say-Save", dict));
        SetCookie::named(COOKIE, &answer).expect("a cookie")
    }

    /// The last session that the app received.
    fn seen(&self) -> String {
        self.backend.last().value("X-Session").unwrap()
    }
}

fn with(request: Request, cookie: &SetCookie) -> Request {
    request.with("Cookie", format!("{COOKIE}={}", cookie.value))
}

#[test]
fn what_the_documentation_names_is_in_the_file() {
    let (_, section) = SECURITY.split_once("\n## Harden it\n").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 10, "{}", rows.len());
    let table: toml::Table = HARDENED.parse().unwrap();
    let has = |path: &str| {
        let mut parts = path.split('.');
        let first = table.get(parts.next().unwrap());
        parts.try_fold(first?, |value, key| match value {
            toml::Value::Array(entries) => entries.iter().find_map(|entry| entry.get(key)),
            value => value.get(key),
        })
    };
    for (number, row) in rows.iter().enumerate() {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(cells[1], (number + 1).to_string(), "{row}");
        assert!(HARDENED.contains(&format!("# {}. ", number + 1)), "{row}");
        for setting in cells[2].split('`').skip(1).step_by(2) {
            let (key, value) = setting.split_once(" = ").unwrap_or((setting, ""));
            // For a load balancer with TLS, which this file does not need; and an address.
            if key.starts_with("trusted_proxies") || key.contains("127") || key.contains("curl") {
                continue;
            }
            let set = has(key).unwrap_or_else(|| panic!("{key} is not in config/hardened.toml"));
            assert!(value.is_empty() || set.to_string() == value, "{setting}: {set}");
        }
    }
}

#[test]
fn a_session_is_sealed_bound_to_its_host_and_over_with_the_log_out() {
    let hardened = Hardened::start();
    let dict = r#"{"user":{"id":7,"role":"user"},"lang":"de","basket":[1]}"#;
    let cookie = hardened.log_in(dict);
    assert_eq!(cookie.place(), ["HttpOnly", "Path=/", "SameSite=Lax", "Secure"]);
    assert_eq!(cookie.attribute("Max-Age"), Some("43200"));
    assert_eq!(cookie.value.split('.').count(), 5, "sealed: {}", cookie.value);
    hardened.ask(&with(Request::get("/"), &cookie));
    assert_eq!(hardened.seen(), dict);
    assert!(hardened.backend.last().value("Signature").is_some());
    let line = hardened.sidecar.access_lines(2).pop().unwrap();
    assert_eq!(line["user"], "7");
    hardened.ask(&with(Request::get("/log-out"), &cookie));
    hardened.ask(&with(Request::get("/"), &cookie));
    assert_eq!(hardened.seen(), "{}", "a copy of the cookie");
}

#[test]
fn what_it_is_to_stop_is_stopped() {
    let hardened = Hardened::start();
    let cookie = hardened.log_in(r#"{"user":{"id":7,"role":"user"},"lang":"de","basket":[1]}"#);
    let post = |name: &str, value: &str| {
        with(Request::new("POST", "/pay").with(name, value).body("x"), &cookie)
    };
    let arrived = hardened.backend.received().len();
    for (request, status) in [
        (post("Sec-Fetch-Site", "cross-site"), 403),
        (post("Origin", "null"), 403),
        (post("X_Forwarded_For", "10.0.0.1"), 400),
        (Request::get("/account/"), 401),
        (Request::get("/account/x").with("Sec-Fetch-Mode", "navigate"), 303),
        (with(Request::get("/admin/"), &cookie), 403),
        (Request::new("POST", "/pay").with("Content-Length", "10485761"), 413),
    ] {
        let answer = hardened.ask(&request);
        assert_eq!(answer.status(), status, "{} {:?}", request.target, request.fields);
    }
    assert_eq!(hardened.backend.received().len(), arrived, "the app has seen none of it");
    assert_eq!(hardened.ask(&post("Origin", "https://pay.example")).status(), 200);
    hardened.ask(&with(Request::get("/blog/").with("X-Remote-User", "root"), &cookie));
    assert_eq!(hardened.seen(), r#"{"user":{"id":7,"role":"user"},"lang":"de"}"#);
    assert_eq!(hardened.backend.last().value("X-Remote-User"), None);
    hardened.ask(&with(Request::get("/static/x"), &cookie));
    assert_eq!(hardened.backend.last().value("X-Session"), None);
    assert_eq!(hardened.sidecar.admin("/sessions?subject=7").status(), 401);
}

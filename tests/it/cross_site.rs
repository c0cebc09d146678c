//! `session.cross_site`: requests that a page of another site makes a browser send.

use crate::support::{
    Backend, Builder, Home, Protocol, Request, SetCookie, Sidecar, eventually, mint, say,
};

const REFUSED: &str = "cloakroom_cross_site_refused_total";

fn sidecar(backend: &Backend, tables: &str) -> Sidecar {
    let tables = format!(
        "[session]\ncross_site = \"refuse\"\ntrusted_origins = [\"https://pay.example\"]\n{tables}"
    );
    Builder::new(backend.url()).with(&tables).start()
}

fn post(target: &str, fields: &[(&str, &str)]) -> Request {
    let request = Request::new("POST", target).body("amount=1");
    fields.iter().fold(request, |request, (name, value)| request.with(name, value))
}

#[test]
fn what_another_site_sends_is_refused_before_the_app_sees_it() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend, "");
    let site = |value| [("Sec-Fetch-Site", value)];
    let origin = |value| [("Origin", value)];
    let mut refused = 0;
    for (fields, status) in [
        (site("cross-site"), 403),
        (site("same-site"), 403),
        (site("same-origin"), 200),
        (site("none"), 200),
        (origin("http://evil.example"), 403),
        (origin("null"), 403),
        (origin("http://app.test"), 200),
        (origin("http://app.test:8080"), 403),
        (origin("https://pay.example"), 200),
        ([("Accept", "*/*")], 200),
    ] {
        for protocol in [Protocol::Http11, Protocol::H2c] {
            let seen = backend.received().len();
            let answer = sidecar.send_over(protocol, &post("/transfer", &fields));
            assert_eq!(answer.status(), status, "{protocol:?} {fields:?}");
            assert_eq!(backend.received().len() - seen, usize::from(status == 200), "{fields:?}");
            if status == 403 {
                refused += 1;
                assert!(answer.text().contains("Requests from other sites"), "{}", answer.text());
            }
        }
    }
    sidecar.counts(REFUSED, f64::from(refused));
}

#[test]
fn what_changes_nothing_passes() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend, "");
    for method in ["GET", "HEAD", "OPTIONS"] {
        let request = Request::new(method, "/").with("Sec-Fetch-Site", "cross-site");
        assert_eq!(sidecar.connect().exchange(&request).status(), 200, "{method}");
    }
    for method in ["PUT", "PATCH", "DELETE", "PURGE", "get"] {
        let request = Request::new(method, "/").with("Sec-Fetch-Site", "cross-site").body("");
        assert_eq!(sidecar.connect().exchange(&request).status(), 403, "{method}");
    }
}

#[test]
fn a_route_has_a_value_of_its_own() {
    let backend = Backend::plain();
    let routes = "[[routes]]\npath = \"/hook/\"\nsession = \"off\"\ncross_site = \"allow\"\n";
    let strict = sidecar(&backend, routes);
    let allowing = Builder::new(backend.url())
        .with("[[routes]]\npath = \"/transfer\"\ncross_site = \"refuse\"\n")
        .start();
    for (sidecar, target, status) in [
        (&strict, "/hook/x", 200),
        (&strict, "/hook/../transfer", 403),
        (&strict, "/transfer", 403),
        (&allowing, "/transfer", 403),
        (&allowing, "/Transfer", 403),
        (&allowing, "/x%2f..%2ftransfer", 403),
        (&allowing, "/hook", 200),
    ] {
        let request = post(target, &[("Sec-Fetch-Site", "cross-site")]);
        assert_eq!(sidecar.connect().exchange(&request).status(), status, "{target}");
    }
}

#[test]
fn nothing_is_refused_unless_it_is_asked_for() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let request = post("/", &[("Sec-Fetch-Site", "cross-site"), ("Origin", "null")]);
    assert_eq!(sidecar.connect().exchange(&request).status(), 200);
    sidecar.counts(REFUSED, 0.0);
}

#[test]
fn the_scheme_is_what_a_trusted_proxy_says() {
    let backend = Backend::plain();
    let tables = "[session]\ncross_site = \"refuse\"\n";
    let trusting =
        Builder::new(backend.url()).top("trusted_proxies = [\"127.0.0.1\"]").with(tables).start();
    let alone = Builder::new(backend.url()).with(tables).start();
    let fields = [("Origin", "https://app.test"), ("X-Forwarded-Proto", "https")];
    assert_eq!(trusting.connect().exchange(&post("/", &fields)).status(), 200);
    assert_eq!(alone.connect().exchange(&post("/", &fields)).status(), 403);
}

#[test]
fn the_session_of_a_request_that_is_refused_counts_as_checked() {
    let backend = Backend::plain();
    let routes = "[[routes]]\npath = \"/off/\"\nsession = \"off\"\n\
                  [[routes]]\npath = \"/admin/\"\nrequire = true\n";
    let sidecar = sidecar(&backend, routes);
    let from_elsewhere = |target| post(target, &[("Sec-Fetch-Site", "cross-site")]);
    for request in [
        from_elsewhere("/transfer").session(&mint("{}")),
        from_elsewhere("/transfer").session("forged"),
        // Not 401: the answer does not depend on the session.
        from_elsewhere("/admin/"),
        from_elsewhere("/off/").session(&mint("{}")),
    ] {
        assert_eq!(sidecar.send(&request).status(), 403, "{request:?}");
    }
    assert_eq!(backend.received().len(), 0);
    sidecar.counts(REFUSED, 4.0);
    for outcome in ["valid", "malformed", "absent"] {
        sidecar.counts(&format!("cloakroom_session_checks_total{{outcome=\"{outcome}\"}}"), 1.0);
    }
    sidecar.counts("cloakroom_key_uses_total{key=\"1\",use=\"verify\"}", 1.0);
    // The log shows whose session it was.
    let lines = sidecar.access_lines(4);
    let mut outcomes: Vec<_> = lines.iter().map(|line| line["outcome"].as_str()).collect();
    outcomes.sort_unstable();
    assert_eq!(outcomes, [None, Some("absent"), Some("malformed"), Some("valid")]);
}

#[test]
fn a_store_that_is_away_does_not_change_the_answer() {
    let (home, backend) = (Home::file(), Backend::saying());
    let tables = format!("{}cross_site = \"refuse\"\n", home.tables());
    let sidecar = Sidecar::before(&backend).with(&tables).start();
    let ticket = SetCookie::token(&sidecar.send(&say("Save", r#"{"n":1}"#)));
    home.go_away();
    let request = || Request::new("POST", "/").body("").session(&ticket);
    eventually("an outage that is noticed", || {
        (sidecar.send(&request()).status() == 503).then_some(())
    });
    let unavailable = "cloakroom_session_checks_total{outcome=\"unavailable\"}";
    let before = sidecar.count(unavailable);
    assert_eq!(sidecar.send(&request().with("Sec-Fetch-Site", "cross-site")).status(), 403);
    sidecar.counts(unavailable, before + 1.0);
}

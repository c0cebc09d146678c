//! Other rules of a route: required values, methods, access lines.

use crate::support::{Backend, Protocol, Request, SetCookie, Sidecar, eventually, mint};

const ROUTES: &str = r#"
[[routes]]
path = "/static/"
session = "off"
log = false

[[routes]]
path = "/admin/"
require = { "user.role" = ["admin", "owner"], active = true }

[[routes]]
path = "/desk/"
require = { "user.role" = "editor" }
login = "/login"

[[routes]]
path = "/api/"
methods = ["POST", "PUT"]
require = { "user.role" = "editor" }

[[routes]]
path = "/api/"
methods = ["GET", "HEAD"]
session = "off"
"#;

const ADMIN: &str = r#"{"user":{"role":"admin"},"active":true}"#;
const EDITOR: &str = r#"{"user":{"role":["writer","editor"]},"active":true}"#;

fn sidecar(backend: &Backend) -> Sidecar {
    Sidecar::before(backend).with(ROUTES).start()
}

#[test]
fn session_opens_the_door_only_with_the_values_that_are_required() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend);
    for (payload, status) in [
        (ADMIN, 200),
        (r#"{"user":{"role":["user","owner"]},"active":true}"#, 200),
        (r#"{"user":{"role":"user"},"active":true}"#, 403),
        (r#"{"user":{"role":"Admin"},"active":true}"#, 403),
        (r#"{"user":{"role":"admin"},"active":"true"}"#, 403),
        (r#"{"user":{"role":"admin"}}"#, 403),
        (r#"{"user.role":"admin","active":true}"#, 403),
        (r#"{"user":{"role":{"admin":"admin"}},"active":true}"#, 403),
        (r#"{"user":{"role":[["admin"]]},"active":true}"#, 403),
        (r#"{"user":"admin","active":true}"#, 403),
        ("{}", 403),
    ] {
        for protocol in Protocol::ALL {
            let before = backend.received().len();
            let request = Request::new("POST", "/admin/x").session(&mint(payload));
            let response = sidecar.send_over(protocol, &request);
            assert_eq!(response.status(), status, "{payload} {protocol:?}");
            let arrived = backend.received().len() - before;
            assert_eq!(arrived, usize::from(status == 200), "{payload} {protocol:?}");
            if status == 403 {
                let body = response.text();
                assert!(
                    body.starts_with("403 This session does not have access.\nrequest "),
                    "{body}"
                );
                assert_eq!(SetCookie::of(&response), None);
                assert_eq!(response.values("Cache-Control"), ["no-store"]);
            }
        }
    }
    sidecar.counts(r#"cloakroom_requests_total{method="POST",status="403"}"#, 27.0);
    assert_eq!(sidecar.metrics().sum("cloakroom_session_writes_total"), 0.0);
}

#[test]
fn without_a_session_it_is_as_where_any_is_required() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend);
    for cookie in [None, Some("bad".into()), Some(mint(r#"{"exp":1}"#))] {
        assert_eq!(sidecar.get("/admin/", cookie.as_deref()).status(), 401);
        let mut page = Request::get("/desk/x").with("Accept", "text/html");
        if let Some(cookie) = &cookie {
            page = page.session(cookie);
        }
        let response = sidecar.send(&page);
        assert_eq!(response.status(), 303);
        assert_eq!(response.value("Location").as_deref(), Some("/login?next=%2Fdesk%2Fx"));
    }
    // For a user who lacks the right, another log-in would not help.
    let page = Request::get("/desk/x").with("Accept", "text/html").session(&mint(ADMIN));
    let response = sidecar.send(&page);
    assert_eq!((response.status(), response.value("Location")), (403, None));
    assert!(backend.received().is_empty());
}

#[test]
fn every_reading_of_a_path_asks_for_the_values() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend);
    let user = mint(r#"{"user":{"role":"user"}}"#);
    for target in [
        "/static/..;/admin/",
        "/static/%2e%2e/admin/x",
        "/admin/../static/x",
        "/ADMIN/x",
        "/index.php/admin",
        "//x/admin",
        "/static/%ff",
        "/%61dmin",
    ] {
        assert_eq!(sidecar.get(target, Some(&user)).status(), 403, "{target}");
        assert_eq!(sidecar.get(target, None).status(), 401, "{target}");
    }
    // If two routes compete, both apply.
    for payload in [ADMIN, EDITOR] {
        let token = mint(payload);
        assert_eq!(sidecar.get("/desk/../admin/", Some(&token)).status(), 403, "{payload}");
        assert_eq!(sidecar.get("/admin/%2e%2e/desk", Some(&token)).status(), 403, "{payload}");
    }
    assert!(backend.received().is_empty());
    let both = mint(r#"{"user":{"role":["admin","editor"]},"active":true}"#);
    assert_eq!(sidecar.get("/desk/../admin/", Some(&both)).status(), 200);
}

#[test]
fn a_route_is_for_its_methods_only() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend);
    let (editor, user) = (mint(EDITOR), mint(r#"{"user":{"role":"user"}}"#));
    for protocol in Protocol::ALL {
        let send = |method: &str, token: Option<&String>| {
            let request = Request::new(method, "/api/x");
            let request = match token {
                Some(token) => request.session(token),
                None => request,
            };
            sidecar.send_over(protocol, &request).status()
        };
        for method in ["POST", "PUT", "post", "Put"] {
            assert_eq!(send(method, None), 401, "{method} {protocol:?}");
            assert_eq!(send(method, Some(&user)), 403, "{method} {protocol:?}");
            assert_eq!(send(method, Some(&editor)), 200, "{method} {protocol:?}");
            assert_eq!(backend.last().values("X-Session"), [EDITOR], "{method}");
        }
        for (method, dicts) in [("GET", 0), ("HEAD", 0), ("DELETE", 1), ("OPTIONS", 1), ("get", 1)]
        {
            assert_eq!(send(method, Some(&user)), 200, "{method} {protocol:?}");
            let sessions = backend.last().values("X-Session");
            assert_eq!(sessions.len(), dicts, "{method} {protocol:?}");
        }
    }
}

#[test]
fn preflight_passes_whatever_is_required() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend);
    for (target, session) in [("/admin/x", None), ("/desk/", Some(ADMIN)), ("/api/x", None)] {
        let preflight = Request::new("OPTIONS", target)
            .with("Origin", "https://other.test")
            .with("Access-Control-Request-Method", "PUT");
        let preflight = match session {
            Some(payload) => preflight.session(&mint(payload)),
            None => preflight,
        };
        assert_eq!(sidecar.send(&preflight).status(), 200, "{target}");
        assert_eq!(backend.last().values("X-Session"), ["{}"], "{target}");
    }
}

#[test]
fn a_silent_route_is_counted_and_has_no_access_line() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend);
    for target in ["/static/a", "/static//b", "/static/../c", "/x/../static/d", "/e"] {
        sidecar.get(target, None);
    }
    sidecar.counts(r#"cloakroom_requests_total{method="GET",status="200"}"#, 5.0);
    sidecar.get("/last", None);
    let paths = eventually("the last line", || {
        let lines = sidecar.access_lines(1);
        let paths: Vec<String> =
            lines.iter().map(|line| line["path"].as_str().unwrap_or_default().into()).collect();
        paths.contains(&"/last".into()).then_some(paths)
    });
    assert_eq!(paths, ["/static/../c", "/x/../static/d", "/e", "/last"]);
}

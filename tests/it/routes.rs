//! `[[routes]]`: sessions are off, required, or required with a login page.

use crate::support::{Answer, Backend, Message, Protocol, Request, SetCookie, Sidecar, mint};

const ROUTES: &str = r#"
[[routes]]
path = "/static/"
session = "off"

[[routes]]
path = "/static/app/"

[[routes]]
path = "/admin/"
require = true

[[routes]]
path = "/account/"
require = true
login = "/login"
"#;

fn sidecar(backend: &Backend) -> Sidecar {
    Sidecar::before(backend).with(ROUTES).start()
}

fn assert_unauthorized(response: &Message, what: &str) {
    assert_eq!(response.status(), 401, "{what}: {response:?}");
    assert_eq!(response.values("Set-Cookie"), [""; 0], "{what}");
    assert_eq!(response.values("Location"), [""; 0], "{what}");
}

#[test]
fn longest_prefix_wins_on_whole_segments() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend);
    let token = mint(r#"{"n":1}"#);
    for (target, expected) in [
        ("/", Some(r#"{"n":1}"#)),
        ("/static", None),
        ("/static/", None),
        ("/static/a/b.css?x=/static/app/", None),
        ("/static?x", None),
        ("/staticx", Some(r#"{"n":1}"#)),
        ("/static.css", Some(r#"{"n":1}"#)),
        ("/x/static/", Some(r#"{"n":1}"#)),
        ("/Static/", Some(r#"{"n":1}"#)),
        ("/static/app", Some(r#"{"n":1}"#)),
        ("/static/app/x", Some(r#"{"n":1}"#)),
        ("/static/apps", None),
        ("/admin/x", Some(r#"{"n":1}"#)),
    ] {
        sidecar.get(target, Some(&token));
        let received = backend.last();
        assert_eq!(received.target(), target, "the path is forwarded as it was sent");
        assert_eq!(received.value("X-Session").as_deref(), expected, "{target}");
    }
}

#[test]
fn off_means_no_header_no_cookie_no_vary() {
    let backend = Backend::new(Answer::ok(&[("X-Session-Save", "{}"), ("X-Session-Delete", "1")]));
    let sidecar = sidecar(&backend);
    for protocol in Protocol::ALL {
        for cookie in [mint("{}"), "bad".into()] {
            let request = Request::get("/static/a.css").session(&cookie);
            let response = sidecar.send_over(protocol, &request);
            assert_eq!(response.status(), 200);
            assert_eq!(SetCookie::of(&response), None);
            assert_eq!(response.values("Vary"), [""; 0]);
            assert_eq!(backend.last().values("X-Session"), [""; 0], "{protocol:?}");
        }
    }
    assert_eq!(sidecar.metrics().sum("cloakroom_session_checks_total"), 0.0);
    assert_eq!(sidecar.metrics().sum("cloakroom_session_writes_total"), 0.0);
}

#[test]
fn required_session_opens_the_door() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend);
    for target in ["/admin/", "/admin", "/admin/x?y", "/account/"] {
        let response = sidecar.get(target, Some(&mint(r#"{"n":1}"#)));
        assert_eq!(response.status(), 200, "{target}");
        assert_eq!(backend.last().values("X-Session"), [r#"{"n":1}"#], "{target}");
    }
    // An empty dict is a session too.
    assert_eq!(sidecar.get("/admin/", Some(&mint("{}"))).status(), 200);
}

#[test]
fn required_session_that_is_missing_or_bad_is_401_for_every_method() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend);
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
        for protocol in Protocol::ALL {
            for cookie in [None, Some("bad".into()), Some(mint(r#"{"exp":1}"#))] {
                let mut request = Request::new(method, "/admin/x").with("Accept", "text/html");
                if let Some(cookie) = cookie {
                    request = request.session(&cookie);
                }
                let response = sidecar.send_over(protocol, &request);
                assert_unauthorized(&response, &format!("{method} over {protocol:?}"));
                assert_eq!(response.body.is_empty(), method == "HEAD", "{method}");
            }
        }
    }
    assert!(backend.received().is_empty());
}

#[test]
fn no_spelling_of_a_path_gets_around_a_requirement() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend);
    for target in [
        "/admin",
        "/admin/",
        "/admin?x",
        "//admin/",
        "///admin//x",
        "/%61dmin/",
        "/%61%64%6d%69%6E/",
        "/admin%2fx",
        "/admin%2Fx",
        "/%2fadmin/",
        "/./admin/",
        "/x/../admin/",
        "/x/%2e%2e/admin/",
        "/x/.%2E/admin/",
        "/x/..%2fadmin/",
        "/static/../admin/",
        "/static/app/../../admin/",
        "/static/%2e%2e/admin/x",
        "/static//../admin/",
        "/../admin/",
        "/admin/../static/a.css",
        "/admin/%2e%2e/static/a.css",
        "/admin/.",
        "/admin/./",
        "/admin/x/..",
        "///x/admin",
        "/\\/x/admin",
        "/admin%0a",
        "/admin%",
        "/static/a%ff",
        "/index.php/admin",
        "/ADMIN",
        "/aDmin/x",
        "http://app.test/admin/",
        "http://app.test//admin/",
    ] {
        assert_unauthorized(&sidecar.get(target, None), target);
    }
    assert!(backend.received().is_empty(), "{:?}", backend.received());
}

#[test]
fn raw_and_resolved_path_fall_under_the_stricter_route() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend);
    // One of two readings is an open route, so there is a dict.
    for target in
        ["/static/../a", "/a/../static/x.css", "/static/%2e%2e/a", "/%73tatic/a", "//static/a"]
    {
        sidecar.get(target, Some(&mint(r#"{"n":1}"#)));
        assert_eq!(backend.last().values("X-Session"), [r#"{"n":1}"#], "{target}");
        assert_eq!(backend.last().target(), target);
    }
}

#[test]
fn navigation_is_sent_to_the_login_page() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend);
    let navigations = [
        &[("Sec-Fetch-Mode", "navigate")][..],
        &[("Sec-Fetch-Mode", "navigate"), ("Accept", "*/*")],
        &[("Accept", "text/html")],
        &[("Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")],
        &[("Accept", "application/json, Text/HTML;q=0.1")],
    ];
    for fields in navigations {
        for method in ["GET", "HEAD"] {
            for protocol in Protocol::ALL {
                let mut request = Request::new(method, "/account/x");
                for (name, value) in fields {
                    request = request.with(name, value);
                }
                let response = sidecar.send_over(protocol, &request);
                assert_eq!(response.status(), 303, "{method} {fields:?} {protocol:?}");
                let location = response.value("Location").unwrap_or_default();
                assert_eq!(location, "/login?next=%2Faccount%2Fx", "{fields:?}");
                assert_eq!(response.values("Set-Cookie"), [""; 0]);
            }
        }
    }
    assert!(backend.received().is_empty());
}

#[test]
fn login_is_told_the_way_back() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend);
    for (target, next) in [
        ("/account/?a=1&b=%20c", "%2Faccount%2F%3Fa%3D1%26b%3D%2520c"),
        ("/account/%C3%A9", "%2Faccount%2F%25C3%25A9"),
        ("/account", "%2Faccount"),
        ("/account/a;b='x'", "%2Faccount%2Fa%3Bb%3D%27x%27"),
    ] {
        let response = sidecar.send(&Request::get(target).with("Accept", "text/html"));
        let location = response.value("Location").expect("Location");
        assert_eq!(location.to_uppercase(), format!("/login?next={next}").to_uppercase());
    }
}

#[test]
fn way_back_is_never_to_another_host() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend);
    for target in [
        "//account/",
        "http://evil.test/account/",
        "//evil.test/../account/",
        "/\\evil.test/../account/",
    ] {
        let request = Request::get(target).with("Accept", "text/html");
        let request =
            if target.starts_with("http") { request.with("Host", "evil.test") } else { request };
        let response = sidecar.send(&request);
        let Some(location) = response.value("Location") else {
            continue;
        };
        let next = location.split_once("next=").map_or("", |(_, next)| next).to_uppercase();
        assert!(location.starts_with("/login"), "{target}: {location}");
        let foreign =
            next.starts_with("%2F%2F") || next.starts_with("%2F%5C") || next.contains("%3A%2F%2F");
        assert!(!foreign, "{target}: {location}");
    }
}

#[test]
fn what_is_no_navigation_is_401() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend);
    let html = ("Accept", "text/html");
    for (method, fields) in [
        ("GET", &[][..]),
        ("GET", &[("Accept", "*/*")]),
        ("GET", &[("Accept", "application/json")]),
        ("GET", &[("Accept", "text/html5, x/text/html")]),
        ("GET", &[("Accept", "text/html;q=0")]),
        ("GET", &[("Accept", "application/json, Text/HTML ; level=1; Q=0.000")]),
        ("GET", &[("X-Requested-With", "XMLHttpRequest"), html]),
        ("GET", &[("Sec-Fetch-Mode", "cors"), html]),
        ("GET", &[("Sec-Fetch-Mode", "no-cors"), html]),
        ("POST", &[html]),
        ("POST", &[("Sec-Fetch-Mode", "navigate"), html]),
        ("DELETE", &[html]),
        ("OPTIONS", &[html]),
    ] {
        let mut request = Request::new(method, "/account/");
        for (name, value) in fields {
            request = request.with(name, value);
        }
        assert_unauthorized(&sidecar.send(&request), &format!("{method} {fields:?}"));
    }
}

#[test]
fn preflight_reaches_the_app_without_a_session() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend);
    for protocol in Protocol::ALL {
        for target in ["/admin/x", "/account/", "/"] {
            let preflight = Request::new("OPTIONS", target)
                .with("Origin", "https://other.test")
                .with("Access-Control-Request-Method", "PUT");
            let with_cookie = preflight.clone().session(&mint(r#"{"n":1}"#));
            for request in [preflight, with_cookie] {
                let what = format!("{target} over {protocol:?}");
                assert_eq!(sidecar.send_over(protocol, &request).status(), 200, "{what}");
                let received = backend.last();
                assert_eq!(received.values("X-Session"), ["{}"], "{what}");
                assert_eq!(received.values("Cookie"), [""; 0], "{what}");
            }
        }
    }
    let arrived = backend.received().len();
    for fields in [&["Origin"][..], &["Access-Control-Request-Method"], &[]] {
        let request = |method| {
            fields.iter().fold(Request::new(method, "/admin/x"), |all, name| all.with(name, "PUT"))
        };
        assert_unauthorized(&sidecar.send(&request("OPTIONS")), &format!("{fields:?}"));
    }
    let get = Request::get("/admin/x").with("Origin", "https://other.test");
    assert_unauthorized(&sidecar.send(&get.with("Access-Control-Request-Method", "PUT")), "GET");
    assert_eq!(backend.received().len(), arrived);
}

#[test]
fn refusals_are_counted_as_checks() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend);
    sidecar.get("/admin/", None);
    sidecar.get("/admin/", Some(&mint(r#"{"exp":1}"#)));
    sidecar.counts(r#"cloakroom_session_checks_total{outcome="absent"}"#, 1.0);
    sidecar.counts(r#"cloakroom_session_checks_total{outcome="expired"}"#, 1.0);
    sidecar.counts(r#"cloakroom_requests_total{method="GET",status="401"}"#, 2.0);
}

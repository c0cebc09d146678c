//! Shared caches never store an answer that sets the cookie, and know that answers depend on it.

use crate::support::{Answer, Backend, Protocol, Request, Sidecar};

const SAVE: (&str, &str) = ("X-Session-Save", r#"{"n":2}"#);
const DELETE: (&str, &str) = ("X-Session-Delete", "1");

/// The directives of every `Cache-Control` field, in lower case and sorted.
fn cache_control(sidecar: &Sidecar, backend: &Backend, fields: &[(&str, &str)]) -> Vec<String> {
    backend.will(Answer::ok(fields));
    let response = sidecar.get("/", None);
    let joined = response.values("Cache-Control").join(", ").to_ascii_lowercase();
    let mut directives: Vec<_> = joined.split(", ").map(str::to_owned).collect();
    directives.retain(|directive| !directive.is_empty());
    directives.sort();
    directives
}

#[test]
fn answers_that_write_the_cookie_are_private() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for (sent, expected) in [
        (&[][..], &["private"][..]),
        (&["public"], &["private"]),
        (&["public, max-age=60"], &["max-age=60", "private"]),
        (
            &["max-age=60, s-maxage=10, must-revalidate"],
            &["max-age=60", "must-revalidate", "private"],
        ),
        (&["PUBLIC, S-MaxAge=3"], &["private"]),
        (&["no-cache"], &["no-cache", "private"]),
        (&["max-age=60", "public"], &["max-age=60", "private"]),
        (&["no-store"], &["no-store"]),
        (&["No-Store, max-age=60"], &["max-age=60", "no-store"]),
        (&["private, max-age=60"], &["max-age=60", "private"]),
        (&["max-age=60", "private"], &["max-age=60", "private"]),
        (&["private=\"set-cookie\""], &["private", "private=\"set-cookie\""]),
        (&["no-cache=\"set-cookie\", public"], &["no-cache=\"set-cookie\"", "private"]),
        (&["extension=\"private\""], &["extension=\"private\"", "private"]),
        (&["extension=\"no-store\", public"], &["extension=\"no-store\"", "private"]),
        (&["x-no-store, xprivate"], &["private", "x-no-store", "xprivate"]),
    ] {
        for write in [SAVE, DELETE] {
            let fields = sent.iter().map(|value| ("Cache-Control", *value)).chain([write]);
            let found = cache_control(&sidecar, &backend, &fields.collect::<Vec<_>>());
            assert_eq!(found, expected, "{sent:?} with {write:?}");
        }
    }
}

#[test]
fn other_answers_are_left_as_they_are() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for sent in ["public, max-age=60", "no-store", "s-maxage=5", "Weird=\"a, b\",  x"] {
        backend.will(Answer::ok(&[
            ("Cache-Control", sent),
            ("Surrogate-Control", "max-age=5"),
            ("CDN-Cache-Control", "max-age=6"),
        ]));
        let response = sidecar.get("/", None);
        assert_eq!(response.values("Cache-Control"), [sent]);
        assert_eq!(response.values("Surrogate-Control"), ["max-age=5"]);
        assert_eq!(response.values("CDN-Cache-Control"), ["max-age=6"]);
    }
    backend.will(Answer::ok(&[]));
    assert_eq!(sidecar.get("/", None).values("Cache-Control"), [""; 0]);
}

#[test]
fn orders_for_other_caches_go_in_any_case() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for cache_control in ["public", "no-store", "private"] {
        for write in [SAVE, DELETE] {
            backend.will(Answer::ok(&[
                ("Cache-Control", cache_control),
                ("Surrogate-Control", "max-age=5"),
                ("surrogate-control", "max-age=7"),
                ("CDN-Cache-Control", "max-age=6"),
                ("Cloudflare-CDN-Cache-Control", "max-age=8"),
                ("vercel-cdn-cache-control", "max-age=9"),
                ("X-CDN-Cache-Control-Not", "kept"),
                write,
            ]));
            for protocol in [Protocol::Http11, Protocol::H2c] {
                let response = sidecar.send_over(protocol, &Request::get("/"));
                for name in [
                    "Surrogate-Control",
                    "CDN-Cache-Control",
                    "Cloudflare-CDN-Cache-Control",
                    "Vercel-CDN-Cache-Control",
                ] {
                    assert_eq!(response.values(name), [""; 0], "{name} {protocol:?}");
                }
                assert_eq!(response.values("X-CDN-Cache-Control-Not"), ["kept"]);
            }
        }
    }
}

#[test]
fn vary_gains_cookie_where_there_are_sessions() {
    let backend = Backend::plain();
    let sidecar =
        Sidecar::before(&backend).with("[[routes]]\npath = \"/off/\"\nsession = \"off\"").start();
    for (sent, expected) in [
        (&[][..], &["cookie"][..]),
        (&["Accept-Encoding"], &["accept-encoding", "cookie"]),
        (&["Cookie"], &["cookie"]),
        (&["accept, COOKIE"], &["accept", "cookie"]),
        (&["Accept", "Origin"], &["accept", "cookie", "origin"]),
        (&["Set-Cookie"], &["cookie", "set-cookie"]),
    ] {
        for status in [200, 304, 404, 500] {
            let fields: Vec<_> = sent.iter().map(|value| ("Vary", *value)).collect();
            backend.will(Answer::new(status, &fields, ""));
            let vary = sidecar.get("/", None).values("Vary").join(", ").to_ascii_lowercase();
            let mut members: Vec<_> = vary.split(", ").collect();
            members.sort_unstable();
            assert_eq!(members, expected, "{sent:?} with {status}");
            assert_eq!(sidecar.get("/off/", None).values("Vary"), sent, "{status}");
        }
    }
}

#[test]
fn vary_can_be_left_alone() {
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend).with("[session]\nvary = false").start();
    assert_eq!(sidecar.get("/", None).values("Vary"), [""; 0]);
    backend.will(Answer::ok(&[("Vary", "Origin"), SAVE]));
    assert_eq!(sidecar.get("/", None).values("Vary"), ["Origin"]);
}

#[test]
fn own_fields_in_vary_are_the_cookie_to_the_client() {
    let backend = Backend::plain();
    let claims = "[headers]\nstatus = \"X-Seen\"\n[headers.claims]\n\"X-Remote-User\" = \"user\"\n";
    let off = "[[routes]]\npath = \"/off/\"\nsession = \"off\"";
    for vary in ["", "[session]\nvary = false"] {
        let sidecar = Sidecar::before(&backend).with(claims).with(vary).with(off).start();
        for (sent, expected) in [
            (&["X-Session"][..], "Cookie"),
            (&["x-session", "X-Session-Save, X-Seen"], "Cookie"),
            (&["X-Remote-User, Origin"], "Origin, Cookie"),
            (&["Cookie, X-Session"], "Cookie"),
        ] {
            let fields: Vec<_> = sent.iter().map(|value| ("Vary", *value)).collect();
            backend.will(Answer::ok(&fields));
            for target in ["/", "/off/"] {
                for protocol in [Protocol::Http11, Protocol::H2c] {
                    let response = sidecar.send_over(protocol, &Request::get(target));
                    assert_eq!(response.values("Vary"), [expected], "{sent:?} {target} {vary}");
                }
            }
        }
    }
}

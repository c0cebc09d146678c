//! Names that servers confuse with others: with characters other than letters, digits and hyphens.

use crate::support::{Backend, Protocol, Request, Sidecar, contains, mint};

/// The other characters that a name may contain (RFC 9110 section 5.6.2).
const SEPARATORS: &str = "_.!#$%&'*+^`|~";

/// Servers may read these as framing or connection fields.
const FRAMING: &[(&str, &str)] = &[
    ("Transfer-Encoding", "chunked"),
    ("Transfer-Encoding", "identity"),
    ("Content-Length", "0"),
    ("Keep-Alive", "timeout=5"),
    ("Proxy-Connection", "keep-alive"),
];

const ODD: &[&str] = &[
    "SCRIPT_NAME",
    "PATH_INFO",
    "REMOTE_USER",
    "wsgi.url_scheme",
    "X_Forwarded_For",
    "X_Request_Id",
    "Transfer__Encoding",
    "Content_Length_",
    "x.y",
    "_",
];

#[test]
fn framing_in_disguise_is_refused_with_each_setting() {
    let backend = Backend::plain();
    for setting in ["remove", "refuse", "pass"] {
        let sidecar =
            Sidecar::before(&backend).top(&format!("odd_header_names = \"{setting}\"")).start();
        for protocol in Protocol::ALL {
            for (name, value) in FRAMING {
                for separator in SEPARATORS.chars() {
                    let name = name.replace('-', &separator.to_string());
                    let request = Request::new("POST", "/").with(&name, value).body("hello");
                    let response = sidecar.send_over(protocol, &request);
                    let what = format!("{name}: {value} over {protocol:?}, {setting}");
                    assert_eq!(response.status(), 400, "{what}");
                    assert!(backend.received().is_empty(), "{what}");
                }
            }
        }
    }
}

#[test]
fn odd_names_are_removed_and_counted() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for protocol in Protocol::ALL {
        let mut request = Request::get("/").with("A-1", "first");
        for name in ODD {
            request = request.with(name, "odd value").with(name, "odd value too");
        }
        let response = sidecar.send_over(protocol, &request.with("Z", "last"));
        assert_eq!(response.status(), 200, "{protocol:?}");
        let received = backend.last();
        assert!(!contains(&received.raw, "odd value"), "{:?}", received.fields);
        assert_eq!(received.values("A-1"), ["first"], "{protocol:?}");
        assert_eq!(received.values("Z"), ["last"], "{protocol:?}");
    }
    let sent = 2 * ODD.len() * Protocol::ALL.len();
    sidecar.counts("cloakroom_odd_headers_removed_total", sent as f64);
    sidecar.counts("cloakroom_spoofed_headers_total", 0.0);
}

#[test]
fn odd_names_can_be_refused() {
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend).top("odd_header_names = \"refuse\"").start();
    for protocol in Protocol::ALL {
        for name in ODD {
            let response = sidecar.send_over(protocol, &Request::get("/").with(name, "odd"));
            assert_eq!(response.status(), 400, "{name} over {protocol:?}");
            assert!(backend.received().is_empty(), "{name} over {protocol:?}");
        }
    }
    assert_eq!(sidecar.send(&Request::get("/").with("A-1", "b")).status(), 200);
    sidecar.counts("cloakroom_odd_headers_removed_total", 0.0);
}

#[test]
fn odd_names_can_pass_but_not_those_of_forwarding() {
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend).top("odd_header_names = \"pass\"").start();
    for protocol in Protocol::ALL {
        for name in ["SCRIPT_NAME", "x.y", "_"] {
            sidecar.send_over(protocol, &Request::get("/").with(name, "odd"));
            assert_eq!(backend.last().values(name), ["odd"], "{name} over {protocol:?}");
        }
        let request = Request::get("/").with("X_Forwarded_For", "6.6.6.6");
        sidecar.send_over(protocol, &request.with("X_Request_Id", "6.6.6.6"));
        assert!(!contains(&backend.last().raw, "6.6.6.6"), "{protocol:?}");
    }
    sidecar.counts("cloakroom_odd_headers_removed_total", 0.0);
}

#[test]
fn names_of_the_sidecars_own_are_spoofed_and_not_odd() {
    let backend = Backend::plain();
    for setting in ["remove", "refuse", "pass"] {
        let sidecar = Sidecar::before(&backend)
            .top(&format!("odd_header_names = \"{setting}\""))
            .with("[headers.claims]\n\"X-Remote-User\" = \"user\"\n")
            .start();
        for protocol in Protocol::ALL {
            let request = Request::get("/")
                .session(&mint(r#"{"user":"ann"}"#))
                .with("X_Session", "forged")
                .with("x.session.save", "forged")
                .with("X_Remote_User", "forged");
            assert_eq!(sidecar.send_over(protocol, &request).status(), 200, "{setting}");
            let received = backend.last();
            assert!(!contains(&received.raw, "forged"), "{setting}: {:?}", received.fields);
            assert_eq!(received.values("X-Remote-User"), ["ann"], "{setting}");
        }
        sidecar.counts("cloakroom_spoofed_headers_total", (3 * Protocol::ALL.len()) as f64);
        sidecar.counts("cloakroom_odd_headers_removed_total", 0.0);
    }
}

//! Control headers of the app never reach a client.

use crate::support::{Answer, Backend, Message, Protocol, Request, Sidecar, contains};

/// Valid, invalid, unknown and echoed ones; the word reveals a header that gets through.
const SAID: &[(&str, &str)] = &[
    ("X-Session", r#"{"betrayed":1}"#),
    ("X-Session-Save", r#"{"betrayed":1}"#),
    ("x-session-save", r#"{"betrayed":1}"#),
    ("X-SESSION-MERGE", r#"{"betrayed":2}"#),
    ("X-Session-Max-Age", "60"),
    ("X-Session-Status", "betrayed"),
    ("X-Session-Whatever", "betrayed"),
];

const BROKEN: &[(&str, &str)] = &[
    ("X-Session-Save", "betrayed"),
    ("X-Session-Save", r#"{"betrayed"#),
    ("X-Session-Merge", "[\"betrayed\"]"),
    ("X-Session-Max-Age", "betrayed"),
    ("X-Session", "betrayed"),
];

fn assert_clean(response: &Message, what: &str) {
    let names = response.all_names();
    let ours = names.iter().find(|name| name.replace(['_', '.'], "-").starts_with("x-session"));
    assert!(ours.is_none(), "{what}: {names:?}");
    let fields = response.fields.iter().chain(&response.trailers);
    for (_, value) in fields.chain(response.interim.iter().flat_map(|interim| &interim.fields)) {
        assert!(!contains(value, "betrayed"), "{what}: {response:?}");
    }
    assert!(!contains(&response.body, "betrayed"), "{what}: {response:?}");
}

fn off(backend: &Backend) -> crate::support::Builder {
    Sidecar::before(backend).with("[[routes]]\npath = \"/off/\"\nsession = \"off\"")
}

#[test]
fn nothing_gets_through_whatever_the_status_method_and_protocol() {
    let backend = Backend::plain();
    let sidecar = off(&backend).start();
    for status in [200, 204, 206, 302, 304, 400, 404, 500, 503] {
        for method in ["GET", "HEAD", "POST", "OPTIONS"] {
            let mut head = format!("HTTP/1.1 {status} Status\r\n");
            for (name, value) in SAID {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
            let end =
                if status == 204 || status == 304 { "\r\n" } else { "Content-Length: 0\r\n\r\n" };
            backend.will(Answer::raw(head + end));
            for protocol in Protocol::ALL {
                for target in ["/", "/off/"] {
                    let what = format!("{method} {target} {status} {protocol:?}");
                    let response = sidecar.send_over(protocol, &Request::new(method, target));
                    assert_eq!(response.status(), status, "{what}");
                    assert_clean(&response, &what);
                }
            }
        }
    }
}

#[test]
fn nothing_broken_gets_through() {
    for (config, status) in [("", 502), ("[session]\non_bad_save = \"ignore\"", 200)] {
        let backend = Backend::plain();
        let sidecar = off(&backend).with(config).start();
        for field in BROKEN {
            backend.will(Answer::ok(&[*field]));
            for protocol in Protocol::ALL {
                for method in ["GET", "HEAD"] {
                    let what = format!("{method} {field:?} {protocol:?} {config}");
                    backend.will(if method == "HEAD" {
                        let (name, value) = field;
                        Answer::raw(format!(
                            "HTTP/1.1 200 OK\r\n{name}: {value}\r\nContent-Length: 2\r\n\r\n"
                        ))
                    } else {
                        Answer::ok(&[*field])
                    });
                    let response = sidecar.send_over(protocol, &Request::new(method, "/off/"));
                    assert_eq!(response.status(), 200, "{what}");
                    assert_clean(&response, &what);
                    let response = sidecar.send_over(protocol, &Request::new(method, "/"));
                    let is_control = matches!(field.0, "X-Session-Save" | "X-Session-Merge");
                    if is_control {
                        assert_eq!(response.status(), status, "{what}");
                    }
                    assert_clean(&response, &what);
                }
            }
        }
    }
}

#[test]
fn nothing_gets_through_in_informational_answers() {
    let mut interim = String::from("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n");
    for (name, value) in SAID {
        interim.push_str(&format!("{name}: {value}\r\n"));
    }
    interim.push_str("\r\n");
    let two = interim.clone() + &interim.replace("103 Early Hints", "102 Processing");
    let backend = Backend::new(Answer::raw(two).and(Answer::ok(SAID)));
    let sidecar = off(&backend).start();
    for protocol in [Protocol::Http11, Protocol::H2c] {
        for target in ["/", "/off/"] {
            let response = sidecar.send_over(protocol, &Request::get(target));
            assert_eq!(response.status(), 200, "{target} {protocol:?}");
            assert_clean(&response, &format!("{target} {protocol:?}"));
        }
    }
    // The rest of an interim answer is forwarded.
    let response = sidecar.get("/", None);
    assert_eq!(response.interim.len(), 2, "{response:?}");
    assert_eq!(response.interim[0].values("Link"), ["</a.css>; rel=preload"]);
}

#[test]
fn nothing_gets_through_in_100_continue() {
    let interim = "HTTP/1.1 100 Continue\r\nX-Session-Save: {\"betrayed\":1}\r\n\r\n";
    let backend = Backend::new(Answer::raw(interim).and(Answer::ok(&[])));
    let sidecar = Sidecar::start(&backend);
    let request = Request::new("POST", "/").with("Expect", "100-continue").body("x");
    let response = sidecar.send(&request);
    assert_eq!(response.status(), 200);
    assert_clean(&response, "100");
    assert_eq!(response.values("Set-Cookie"), [""; 0]);
}

#[test]
fn nothing_gets_through_when_protocols_are_switched() {
    let mut head = String::from(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
    );
    for (name, value) in SAID {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    let backend = Backend::new(Answer::raw(head + "\r\n").echo());
    let sidecar = off(&backend).start();
    for target in ["/", "/off/"] {
        let request = Request::get(target)
            .with("Upgrade", "websocket")
            .with("Connection", "Upgrade")
            .with("Sec-WebSocket-Version", "13")
            .with("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==");
        let response = sidecar.send(&request);
        assert_eq!(response.status(), 101);
        assert_clean(&response, target);
    }
}

#[test]
fn nothing_gets_through_in_trailers() {
    let mut answer = String::from(
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Other\r\n\r\n4\r\nbody\r\n0\r\n",
    );
    for (name, value) in SAID {
        answer.push_str(&format!("{name}: {value}\r\n"));
    }
    answer.push_str("X-Other: 1\r\n\r\n");
    let backend = Backend::new(Answer::raw(answer));
    let sidecar = off(&backend).start();
    for protocol in [Protocol::Http11, Protocol::H2c] {
        for target in ["/", "/off/"] {
            let response = sidecar.send_over(protocol, &Request::get(target));
            assert_eq!(response.text(), "body");
            assert_clean(&response, &format!("{target} {protocol:?}"));
            assert_eq!(response.values("Set-Cookie"), [""; 0], "trailers save nothing");
        }
    }
}

#[test]
fn connection_cannot_hide_a_control_header() {
    let fields = [("X-Session-Save", r#"{"n":2}"#), ("Connection", "X-Session-Save")];
    let backend = Backend::new(Answer::ok(&fields));
    let sidecar = Sidecar::start(&backend);
    let response = sidecar.get("/", None);
    assert_clean(&response, "named in Connection");
}

#[test]
fn other_fields_of_the_backend_reach_the_client() {
    let fields = [("X-Sessions", "a"), ("Session", "b"), ("X-My-Session", "c"), ("ETag", "\"d\"")];
    let backend = Backend::new(Answer::ok(&fields));
    let sidecar = Sidecar::start(&backend);
    for protocol in Protocol::ALL {
        let response = sidecar.send_over(protocol, &Request::get("/"));
        for (name, value) in fields {
            assert_eq!(response.values(name), [value], "{protocol:?}");
        }
    }
}

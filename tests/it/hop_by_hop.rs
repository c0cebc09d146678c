//! Fields for the connection between app and sidecar do not reach the client (RFC 9110 section 7.6.1).

use crate::support::{Answer, Backend, Message, Protocol, Request, SetCookie, Sidecar, token};

/// Fields that servers such as Node and Apache send.
const OF_THE_CONNECTION: &[(&str, &str)] = &[
    ("Connection", "Upgrade, X-Gone ,, x-gone-Too"),
    ("connection", "keep-alive, X-Gone-As-Well"),
    ("Keep-Alive", "timeout=5, max=100"),
    ("Proxy-Connection", "keep-alive"),
    ("TE", "trailers"),
    ("Upgrade", "h2,h2c"),
    ("x-gone", "1"),
    ("X-Gone", "2"),
    ("X-Gone-Too", "3"),
    ("X-Gone-As-Well", "4"),
    ("X-Stays", "5"),
];

fn assert_gone(answer: &Message, what: &str) {
    let fields = answer.fields.iter().map(|(name, _)| name.to_ascii_lowercase());
    let left: Vec<String> = fields
        .filter(|name| {
            let is = |of: &(&str, &str)| of.0.eq_ignore_ascii_case(name);
            OF_THE_CONNECTION.iter().any(is) && name != "connection"
        })
        .collect();
    assert_eq!(left, ["x-stays"], "{what}: {answer:?}");
}

fn head(first: &str, fields: &[(&str, &str)]) -> String {
    let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    format!("HTTP/1.1 {first}\r\n{lines}")
}

#[test]
fn what_is_said_of_the_apps_connection_does_not_reach_the_client() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for status in ["200 OK", "404 Not Found", "426 Upgrade Required"] {
        let head = head(status, OF_THE_CONNECTION);
        backend.will(Answer::raw(head + "Content-Length: 2\r\n\r\nok"));
        for protocol in Protocol::ALL {
            let answer = sidecar.send_over(protocol, &Request::get("/"));
            let what = format!("{status} {protocol:?}");
            assert_gone(&answer, &what);
            assert_eq!(answer.text(), "ok", "{what}");
            // The client gets the sidecar's own.
            let connection = answer.values("Connection");
            let is_own = |value: &String| value == "keep-alive" || value == "close";
            let count = usize::from(protocol != Protocol::H2c);
            assert!(connection.len() == count && connection.iter().all(is_own), "{connection:?}");
        }
    }
}

#[test]
fn nor_in_a_1xx() {
    let hints = head("103 Early Hints", OF_THE_CONNECTION) + "Link: </a.css>\r\n\r\n";
    let backend = Backend::new(Answer::raw(hints).and(Answer::ok(&[])));
    let sidecar = Sidecar::start(&backend);
    let answer = sidecar.get("/", None);
    let [hints] = &answer.interim[..] else { panic!("{answer:?}") };
    assert_gone(hints, "103");
    assert_eq!(hints.values("Connection"), [""; 0]);
    assert_eq!(hints.values("Link"), ["</a.css>"]);
}

#[test]
fn a_switch_of_protocols_keeps_what_it_needs() {
    let fields = [
        ("Upgrade", "websocket"),
        ("Connection", "X-Gone, Upgrade"),
        ("X-Gone", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Sec-WebSocket-Accept", "x"),
    ];
    let switch = head("101 Switching Protocols", &fields) + "\r\n";
    let backend = Backend::new(Answer::raw(switch).echo());
    let sidecar = Sidecar::start(&backend);
    let mut client = sidecar.connect();
    let request = Request::get("/").with("Upgrade", "websocket").with("Connection", "Upgrade");
    let answer = client.exchange(&request);
    assert_eq!(answer.status(), 101);
    assert_eq!(answer.values("Upgrade"), ["websocket"]);
    assert!(answer.value("Connection").is_some_and(|named| named.contains("Upgrade")));
    assert_eq!(answer.values("Sec-WebSocket-Accept"), ["x"]);
    assert_eq!(answer.values("X-Gone"), [""; 0]);
    assert_eq!(answer.values("Keep-Alive"), [""; 0]);
    client.send("hello");
    client.until("hello");
}

#[test]
fn connection_takes_nothing_that_is_for_the_client() {
    let named = "close, Content-Length, Transfer-Encoding, Set-Cookie, Cache-Control, Vary, \
                 Connection, X-Session-Save, X-Session";
    let fields = [
        ("Connection", named),
        ("X-Session-Save", r#"{"n":2}"#),
        ("Set-Cookie", "theme=dark"),
        ("Cache-Control", "no-store"),
        ("Vary", "Accept"),
    ];
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for framing in
        ["Content-Length: 2\r\n\r\nok", "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"]
    {
        backend.will(Answer::raw(head("200 OK", &fields) + framing).close());
        for protocol in [Protocol::Http11, Protocol::H2c] {
            let answer = sidecar.send_over(protocol, &Request::get("/"));
            let what = format!("{framing} {protocol:?}");
            assert_eq!(answer.text(), "ok", "{what}");
            assert_eq!(answer.values("Cache-Control"), ["no-store"], "{what}");
            assert_eq!(answer.values("Vary"), ["Accept, Cookie"], "{what}");
            let cookies = answer.values("Set-Cookie");
            assert!(cookies.contains(&"theme=dark".to_owned()), "{what}: {cookies:?}");
            assert_eq!(token::payload(&SetCookie::token(&answer)), r#"{"n":2}"#, "{what}");
        }
    }
}

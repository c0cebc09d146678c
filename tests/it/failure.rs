//! The backend is unreachable, slow, disconnects or sends invalid HTTP.

use std::time::Instant;

use crate::support::{
    Answer, Backend, Builder, Message, Protocol, Request, Sidecar, WAIT, contains, mint,
};

const IMPATIENT: &str = "[timeouts]\nbackend_read = \"300ms\"";

fn assert_honest(response: &Message, status: u16, what: &str) {
    assert_eq!(response.status(), status, "{what}: {response:?}");
    let content_type = response.value("Content-Type").unwrap_or_default();
    assert!(content_type.starts_with("text/plain"), "{what}: {content_type:?}");
    let text = response.text();
    assert!(!text.trim().is_empty() && text.len() < 200 && text.is_ascii(), "{what}: {text:?}");
    assert_eq!(response.values("Set-Cookie"), [""; 0], "{what}");
    let names = response.all_names();
    assert!(!names.iter().any(|name| name.starts_with("x-session")), "{what}: {names:?}");
    for (_, value) in &response.fields {
        assert!(!contains(value, "pingora"), "{what}: {response:?}");
    }
    assert!(!contains(&response.body, "pingora"), "{what}: {text:?}");
}

fn errors(sidecar: &Sidecar, kind: &str, count: f64) {
    sidecar.counts(&format!("cloakroom_backend_errors_total{{kind=\"{kind}\"}}"), count);
}

#[test]
fn backend_that_is_away_is_502() {
    let directory = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}/app.sock", directory.path().display());
    // Nothing listens on port 1.
    for backend in ["http://127.0.0.1:1", "http://localhost:1", socket.as_str()] {
        let sidecar = Builder::new(backend).start();
        let begun = Instant::now();
        for protocol in Protocol::ALL {
            let request = Request::get("/").session(&mint(r#"{"n":1}"#));
            let response = sidecar.send_over(protocol, &request);
            assert_honest(&response, 502, &format!("{backend} over {protocol:?}"));
        }
        assert!(begun.elapsed() < WAIT, "{:?}", begun.elapsed());
        errors(&sidecar, "connect", 3.0);
        let head = sidecar.send(&Request::new("HEAD", "/"));
        assert_eq!((head.status(), head.body.len()), (502, 0));
        let post = sidecar.send(&Request::new("POST", "/").body("x"));
        assert_honest(&post, 502, "POST");
        errors(&sidecar, "connect", 5.0);
    }
}

#[test]
fn name_that_does_not_resolve_is_502() {
    let sidecar = Builder::new("http://no-such-host.invalid:80")
        .with("[timeouts]\nbackend_connect = \"2s\"")
        .start();
    let response = sidecar.get("/", None);
    assert!(matches!(response.status(), 502 | 504), "{response:?}");
    assert_honest(&response, response.status(), "a name that does not resolve");
}

#[test]
fn backend_that_says_nothing_is_504() {
    let backend = Backend::new(Answer::default().hang());
    let sidecar = Sidecar::before(&backend).with(IMPATIENT).start();
    for (number, protocol) in Protocol::ALL.into_iter().enumerate() {
        let begun = Instant::now();
        let response = sidecar.send_over(protocol, &Request::get("/").session(&mint("{}")));
        assert_honest(&response, 504, &format!("{protocol:?}"));
        assert!(begun.elapsed() < WAIT / 2, "{:?}", begun.elapsed());
        errors(&sidecar, "timeout", (number + 1) as f64);
    }
    sidecar.counts(r#"cloakroom_requests_total{method="GET",status="504"}"#, 3.0);
    assert_eq!(backend.received().len(), 3, "what timed out is not tried again");
}

#[test]
fn half_a_head_is_no_answer() {
    let backend = Backend::new(Answer::raw("HTTP/1.1 200 OK\r\nX-Session-Save: {}\r\n").hang());
    let sidecar = Sidecar::before(&backend).with(IMPATIENT).start();
    assert_honest(&sidecar.get("/", None), 504, "half a head");
}

#[test]
fn backend_that_breaks_off_is_502() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let head = "HTTP/1.1 200 OK\r\nX-Session-Save: {}\r\n";
    let answers = [
        Answer::default().reset(),
        Answer::default().close(),
        Answer::raw(head).reset(),
        Answer::raw(head).close(),
        Answer::raw("HTTP/1.1 103 Early Hints\r\n\r\n").close(),
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        backend.will(answer);
        // A POST is not retried.
        let response = sidecar.send(&Request::new("POST", "/").body("x").session(&mint("{}")));
        assert_honest(&response, 502, &format!("answer {number}"));
        errors(&sidecar, "reset", (number + 1) as f64);
    }
    assert_eq!(backend.received().len(), 5);
}

#[test]
fn nonsense_is_502() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let answers = [
        "nonsense\r\n\r\n",
        "SSH-2.0-OpenSSH_9.9\r\n",
        "HTTP/1.1 OK\r\n\r\n",
        "HTTP/1.1 99999 No\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        "HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ];
    for (number, answer) in answers.into_iter().enumerate() {
        backend.will(Answer::raw(answer).close());
        let response = sidecar.send(&Request::new("POST", "/").body("x"));
        assert_honest(&response, 502, answer);
        errors(&sidecar, "protocol", (number + 1) as f64);
    }
}

#[test]
fn body_that_breaks_off_is_seen_to_break_off() {
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend).with(IMPATIENT).start();
    let counted = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npartial";
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\npartial\r\n";
    for head in [counted, chunked] {
        for end in [Answer::default().close(), Answer::default().reset(), Answer::default().hang()]
        {
            backend.will(Answer::raw(head).pause(WAIT / 100).and(end));
            let mut client = sidecar.connect();
            client.send("GET / HTTP/1.1\r\nHost: app.test\r\n\r\n");
            let all = client.rest();
            let text = String::from_utf8_lossy(&all);
            assert!(text.starts_with("HTTP/1.1 200"), "{text:?}");
            assert_eq!(text.matches("HTTP/1.1").count(), 1, "one head only: {text:?}");
            assert!(!text.ends_with("0\r\n\r\n"), "it looks complete: {text:?}");
        }
    }
    sidecar.counts(r#"cloakroom_requests_total{method="GET",status="200"}"#, 6.0);
    errors(&sidecar, "timeout", 2.0);
}

#[test]
fn failure_is_never_a_logout() {
    let backend = Backend::new(Answer::ok(&[("X-Session-Delete", "1")]).close());
    let sidecar = Sidecar::start(&backend);
    let token = mint(r#"{"n":1}"#);
    backend.will(Answer::raw("HTTP/1.1 200 OK\r\nX-Session-Delete: 1\r\n").reset());
    let response = sidecar.send(&Request::new("POST", "/").body("x").session(&token));
    assert_honest(&response, 502, "a delete in half a head");
    backend.will(Answer::ok(&[]));
    sidecar.get("/", Some(&token));
    assert_eq!(backend.last().values("X-Session"), [r#"{"n":1}"#]);
}

#[test]
fn retry_on_a_stale_connection_carries_the_same_session() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let token = mint(r#"{"n":1}"#);
    sidecar.get("/", Some(&token));
    // The pooled connection is closed during the request, which is then retried once.
    backend.will(Answer::default().close());
    let request = Request::get("/").session(&token).with("x_session", "forged");
    sidecar.send(&request);
    for received in backend.received() {
        assert_eq!(received.values("X-Session"), [r#"{"n":1}"#]);
        assert!(!contains(&received.raw, "forged"));
    }
}

#[test]
fn next_request_after_a_failure_is_answered() {
    let backend = Backend::new(Answer::default().close());
    let sidecar = Sidecar::start(&backend);
    assert_eq!(sidecar.send(&Request::new("POST", "/").body("x")).status(), 502);
    backend.will(Answer::ok(&[]));
    assert_eq!(sidecar.get("/", None).status(), 200);
}

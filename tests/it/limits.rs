//! `[limits]` and the time-outs of a request: excess is refused, in time.

use std::time::{Duration, Instant};

use crate::support::{Answer, Backend, Protocol, Request, Sidecar, Volume, WAIT, Way, h2c, mint};

const LIMITS: &str = "[limits]\nhead_bytes = 2048\nrequest_line_bytes = 200\nheader_fields = 20\n\
                      body_bytes = 1000\n[timeouts]\nhead = \"400ms\"";

fn start(backend: &Backend) -> Sidecar {
    Sidecar::before(backend).with(LIMITS).start()
}

fn field(bytes: usize) -> String {
    "x".repeat(bytes)
}

#[test]
fn heads_that_are_too_large_are_refused_and_counted() {
    let backend = Backend::plain();
    let sidecar = start(&backend);
    let many = (0..21).fold(Request::get("/"), |request, n| request.with(&format!("A-{n}"), "b"));
    for (request, status) in [
        (Request::get(&format!("/{}", field(300))), 414),
        (Request::get("/").with("A", field(3000)), 431),
        (many, 431),
    ] {
        for protocol in [Protocol::Http10, Protocol::Http11] {
            let response = sidecar.send_over(protocol, &request);
            assert_eq!(response.status(), status, "{protocol:?}");
            assert!(response.text().starts_with(&format!("{status} ")), "{response:?}");
            assert!(response.value("Set-Cookie").is_none());
        }
    }
    assert!(backend.received().is_empty());
    sidecar.counts(r#"cloakroom_requests_total{method="GET",status="431"}"#, 4.0);
    sidecar.counts(r#"cloakroom_requests_total{method="GET",status="414"}"#, 2.0);
}

#[test]
fn paths_and_fields_are_bounded_over_http_2_too() {
    let backend = Backend::plain();
    let sidecar = start(&backend);
    let long = Request::get(&format!("/{}", field(300)));
    assert_eq!(sidecar.send_over(Protocol::H2c, &long).status(), 414);
    let many = (0..21).fold(Request::get("/"), |request, n| request.with(&format!("a-{n}"), "b"));
    assert_eq!(sidecar.send_over(Protocol::H2c, &many).status(), 431);
    assert!(backend.received().is_empty());
}

/// A user can do little about a browser with too many cookies.
#[test]
fn cookies_have_a_limit_of_their_own() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for protocol in Protocol::ALL {
        let large = Request::get("/").with("Cookie", format!("session={}", field(65536)));
        assert_eq!(sidecar.send_over(protocol, &large).status(), 200, "{protocol:?}");
        assert_eq!(backend.last().value("X-Session").as_deref(), Some("{}"));
        let before = backend.received().len();
        for (name, bytes) in [("A", 33_000), ("Cookie", 140_000)] {
            let request = Request::get("/").with(name, field(bytes));
            assert_eq!(sidecar.send_over(protocol, &request).status(), 431, "{protocol:?} {name}");
        }
        assert_eq!(backend.received().len(), before);
    }
    sidecar.counts(r#"cloakroom_session_checks_total{outcome="too_large"}"#, 3.0);
}

/// Browsers send a field for each cookie over HTTP/2, and some clients over HTTP/1.
#[test]
fn all_cookies_of_a_request_count_as_one_field() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let token = mint(r#"{"n":1}"#);
    for protocol in Protocol::ALL {
        let crumbs = |count: usize| {
            let crumb = |request: Request, n| request.with("Cookie", format!("c{n}={n}"));
            (0..count).fold(Request::get("/"), crumb).session(&token)
        };
        for count in [85, 300, 1000] {
            assert_eq!(sidecar.send_over(protocol, &crumbs(count)).status(), 200, "{protocol:?}");
            let received = backend.last();
            assert_eq!(received.value("X-Session").as_deref(), Some(r#"{"n":1}"#));
            let cookies = received.value("Cookie").unwrap();
            assert_eq!(cookies.matches('=').count(), count, "{protocol:?}");
        }
        let others = (0..101).fold(crumbs(85), |request, n| request.with(&format!("a-{n}"), "b"));
        assert_eq!(sidecar.send_over(protocol, &others).status(), 431, "{protocol:?}");
    }
}

#[test]
fn a_reload_changes_limits_over_every_protocol() {
    const FILE: &str = "cloakroom.toml";
    let backend = Backend::plain();
    let with = |bytes: usize, fields: usize, keep_alive: &str| {
        let limits = format!(
            "[limits]\nhead_bytes = {bytes}\ncookie_bytes = 2048\nheader_fields = {fields}\n\
             [timeouts]\nkeep_alive = \"{keep_alive}\"\n"
        );
        Sidecar::before(&backend).with(&limits)
    };
    let builder = with(2048, 20, "1s");
    let mut volume = Volume::of(Way::Rename, FILE, &builder.text());
    let sidecar = builder.file(volume.path(FILE)).start();
    let sends = |request: &Request| Protocol::ALL.map(|p| sidecar.send_over(p, request).status());
    let large = Request::get("/").with("A", field(10_000));
    let huge = Request::get("/").with("A", field(100_000));
    let many = (0..150).fold(Request::get("/"), |request, n| request.with(&format!("a-{n}"), "b"));
    for request in [&large, &huge, &many] {
        assert_eq!(sends(request), [431; 3]);
    }
    volume.put(&[(FILE, &with(200_000, 200, "60s").text())]);
    sidecar.wait_for_log("reloaded", 0);
    for request in [&large, &huge, &many] {
        assert_eq!(sends(request), [200; 3]);
    }
    // Idle connections get the new time-out too.
    let kept = h2c::Connection::open(sidecar.address());
    assert_eq!(kept.receive(kept.send(&large)).status(), 200);
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(kept.receive(kept.send(&large)).status(), 200);
    volume.put(&[(FILE, &with(2048, 20, "60s").text())]);
    sidecar.wait_for_log("reloaded", 1);
    for request in [&large, &huge, &many] {
        assert_eq!(sends(request), [431; 3]);
    }
    assert_eq!(kept.receive(kept.send(&large)).status(), 431);
}

/// Within the limit up to which `h2` keeps a request.
#[test]
fn what_is_too_much_over_http_2_is_told_by_the_sidecar() {
    let backend = Backend::plain();
    let sidecar = start(&backend);
    for (field_name, bytes) in [("a", 10_000), ("cookie", 140_000)] {
        let request = Request::get("/").with(field_name, field(bytes));
        let response = sidecar.send_over(Protocol::H2c, &request);
        assert!(response.text().starts_with("431 "), "{response:?}");
        assert!(response.value("X-Request-Id").is_some());
    }
}

#[test]
fn bodies_that_are_too_large_are_refused() {
    let backend = Backend::plain();
    let sidecar = start(&backend);
    let mut client = sidecar.connect();
    client.send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1001\r\n\r\n");
    assert_eq!(client.receive("POST").status(), 413);
    assert!(backend.received().is_empty());
    let mut client = sidecar.connect();
    client.send("POST / HTTP/1.1\r\nHost: app.test\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send(format!("3e9\r\n{}\r\n0\r\n\r\n", field(1001)));
    assert_eq!(client.receive("POST").status(), 413);
    let mut client = sidecar.connect();
    client.send("POST / HTTP/1.1\r\nHost: app.test\r\nContent-Length: 1000\r\n\r\n");
    client.send(field(1000));
    assert_eq!(client.receive("POST").status(), 200);
}

#[test]
fn a_head_that_drips_is_ended_in_time() {
    let backend = Backend::plain();
    let sidecar = start(&backend);
    let begun = Instant::now();
    let mut client = sidecar.connect();
    client.send("GET / HTTP/1.1\r\nHost: app.te");
    let (answer, ended) = client.rest_or_silence(WAIT);
    assert!(ended && answer.starts_with(b"HTTP/1.1 408 "), "{ended} {answer:?}");
    assert!(begun.elapsed() >= Duration::from_millis(400), "{:?}", begun.elapsed());
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    // A client that sends nothing gets no answer.
    let (answer, ended) = sidecar.connect().rest_or_silence(WAIT);
    assert!(ended && answer.is_empty(), "{ended} {answer:?}");
}

#[test]
fn connections_past_the_limit_are_closed_at_once() {
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend).with("[limits]\nconnections = 2").start();
    let mut first = sidecar.connect();
    assert_eq!(first.exchange(&Request::get("/")).status(), 200);
    let mut second = sidecar.connect();
    assert_eq!(second.exchange(&Request::get("/")).status(), 200);
    let (answer, ended) = sidecar.connect().rest_or_silence(WAIT);
    assert!(ended && answer.is_empty(), "{ended} {answer:?}");
    sidecar.counts("cloakroom_connections_refused_total", 1.0);
    assert_eq!(first.exchange(&Request::get("/")).status(), 200);
    drop(second);
    sidecar.counts("cloakroom_connections_active", 1.0);
    assert_eq!(sidecar.send(&Request::get("/")).status(), 200);
}

const UPGRADE: &str =
    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";

#[test]
fn silence_on_a_websocket_has_a_limit_of_its_own() {
    let timeouts = "[timeouts]\nbackend_read = \"200ms\"\nbody = \"200ms\"\n";
    let backend =
        Backend::new(Answer::raw(SWITCH).pause(Duration::from_millis(700)).then("late").echo());
    let sidecar = Sidecar::before(&backend).with(timeouts).start();
    let mut client = sidecar.connect();
    client.send(UPGRADE);
    assert_eq!(client.receive("GET").status(), 101);
    assert_eq!(client.take(4), b"late");
    client.send("hello");
    assert_eq!(client.take(5), b"hello");
    let sidecar =
        Sidecar::before(&backend).with(&format!("{timeouts}upgraded = \"300ms\"")).start();
    let mut client = sidecar.connect();
    client.send(UPGRADE);
    assert_eq!(client.receive("GET").status(), 101);
    assert!(client.rest_or_silence(WAIT).1);
    // Before the upgrade, the normal time-out of the backend applies.
    let silent = Backend::new(Answer::default().hang());
    let sidecar = Sidecar::before(&silent).with(timeouts).start();
    let mut client = sidecar.connect();
    client.send(UPGRADE);
    assert_eq!(client.receive("GET").status(), 504);
}

#[test]
fn request_lines_are_not_mended() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for line in ["GET /a b HTTP/1.1", "GET  / HTTP/1.1", "GET /?q=\0 HTTP/1.1", "GET /\t HTTP/1.1"]
    {
        let mut client = sidecar.connect();
        client.send(format!("{line}\r\nHost: app.test\r\n\r\n"));
        assert_eq!(client.receive("GET").status(), 400, "{line:?}");
    }
    assert!(backend.received().is_empty());
    sidecar.counts(r#"cloakroom_requests_total{method="other",status="400"}"#, 4.0);
}

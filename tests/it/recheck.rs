//! `session.recheck`: a WebSocket or an event stream ends with its session, and not earlier.

use std::time::SystemTime;

use crate::support::engine::Engine;
use crate::support::h2c::Connection;
use crate::support::{
    Answer, Backend, Builder, Client, Home, Protocol, Request, SetCookie, Sidecar, Volume, WAIT,
    Way, eventually, mint, token,
};

const ENDED: &str = "cloakroom_streams_ended_total";

const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                      Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";

const SWITCH: &str =
    "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";

/// An app with an event stream, a WebSocket, and answers on request.
fn app() -> Backend {
    Backend::by(|request| match request.target() {
        "/events" => Answer::raw(EVENTS).hang(),
        "/socket" => Answer::raw(SWITCH).echo(),
        "/log-out" => Answer::ok(&[("X-Session-Delete", "1")]),
        "/briefly" => save_for("3"),
        "/longer" => save_for("3600"),
        _ => Answer::ok(&[("X-Session-Save", r#"{"user":"ann"}"#)]),
    })
}

fn save_for(seconds: &str) -> Answer {
    Answer::ok(&[("X-Session-Save", r#"{"user":"ann"}"#), ("X-Session-Max-Age", seconds)])
}

fn sidecar(backend: &Backend, session: &str) -> Sidecar {
    Builder::new(backend.url()).with(&format!("[session]\n{session}\n")).start()
}

fn open(sidecar: &Sidecar, target: &str, cookie: &str) -> Client {
    let mut client = sidecar.connect();
    let mut request = Request::get(target).session(cookie);
    if target == "/socket" {
        request = request.with("Connection", "Upgrade").with("Upgrade", "websocket");
    }
    client.send(request.bytes(Protocol::Http11));
    let begun = client.until("\r\n\r\n");
    if target == "/socket" {
        assert!(begun.starts_with("HTTP/1.1 101 "), "{begun}");
        client.send("ping");
        assert_eq!(client.take(4), b"ping");
    } else {
        client.until("hello\r\n");
    }
    client
}

fn in_seconds(seconds: u64) -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    now.as_secs() + seconds
}

/// The id of a token's session.
fn id(token: &str) -> String {
    let payload = token::unbase64(token.split('.').nth(1).unwrap());
    let payload: serde_json::Value = serde_json::from_slice(&payload).unwrap();
    payload["cr"]["id"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_open_ends_when_its_session_expires_and_not_before() {
    let backend = app();
    let sidecar = sidecar(&backend, "recheck = \"100ms\"");
    let exp = in_seconds(2);
    let expiring = mint(format!(r#"{{"exp":{exp}}}"#));
    let mut ending = [open(&sidecar, "/events", &expiring), open(&sidecar, "/socket", &expiring)];
    let mut others =
        [open(&sidecar, "/events", &mint("{}")), open(&sidecar, "/events", "no session")];
    for client in &mut ending {
        assert_eq!(client.rest(), b"");
    }
    assert!(in_seconds(0) >= exp);
    for client in &mut others {
        assert!(!client.rest_or_silence(WAIT / 20).1);
    }
    sidecar.counts(ENDED, 2.0);
    // Each has an access line, like every answer.
    let mut statuses: Vec<u64> =
        sidecar.access_lines(2).iter().map(|line| line["status"].as_u64().unwrap()).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [101, 200]);
}

#[test]
fn what_is_open_ends_when_its_session_is_revoked() {
    let folder = tempfile::tempdir().unwrap();
    let revoked = folder.path().join("revoked");
    std::fs::write(&revoked, "").unwrap();
    let backend = app();
    let tables =
        format!("ttl = \"1h\"\nrecheck = \"100ms\"\nrevoked_file = \"{}\"", revoked.display());
    let sidecar = sidecar(&backend, &tables);
    let [kept, ended] = [(); 2].map(|()| SetCookie::token(&sidecar.get("/", None)));
    let mut kept = open(&sidecar, "/events", &kept);
    let mut stream = open(&sidecar, "/socket", &ended);
    std::fs::write(&revoked, format!("{}\n", id(&ended))).unwrap();
    assert_eq!(stream.rest(), b"");
    assert!(!kept.rest_or_silence(WAIT / 20).1);
    sidecar.counts(ENDED, 1.0);
}

#[test]
fn what_is_open_ends_after_a_log_out_at_another_sidecar() {
    // With the dicts or the revocations in the store.
    for home in [Home::file(), Home::server(Engine::Redis)] {
        for holds in ["sessions", "revocations"] {
            ends_after_a_log_out_elsewhere(&home, holds);
        }
    }
}

fn ends_after_a_log_out_elsewhere(home: &Home<'_>, holds: &str) {
    let backend = app();
    let tables = format!(
        "[session]\nttl = \"1h\"\nrecheck = \"100ms\"\n{}holds = \"{holds}\"\n",
        home.store()
    );
    let start = || home.start(Builder::new(backend.url()).with(&tables));
    let sidecars = [start(), start()];
    let tickets = [(); 2].map(|()| SetCookie::token(&sidecars[0].get("/", None)));
    let mut streams = tickets.each_ref().map(|ticket| open(&sidecars[0], "/socket", ticket));
    assert!(!streams[0].rest_or_silence(WAIT / 20).1, "nothing has happened yet");
    sidecars[1].get("/log-out", Some(&tickets[0]));
    assert_eq!(streams[0].rest(), b"");
    assert!(!streams[1].rest_or_silence(WAIT / 20).1);
    streams[1].send("pong");
    assert_eq!(streams[1].take(4), b"pong");
    sidecars[0].counts(ENDED, 1.0);
}

/// The token that began a stream may expire: the store knows that the session was extended.
#[test]
fn what_is_open_lasts_as_long_as_its_session_in_the_store() {
    let (home, backend) = (Home::file(), app());
    let revoked = home.folder().join("revoked");
    std::fs::write(&revoked, "").unwrap();
    let more = format!("recheck = \"100ms\"\nrevoked_file = \"{}\"\n", revoked.display());
    let sidecar = Builder::new(backend.url()).with(&(home.tables() + &more)).start();
    let tickets = [(); 2].map(|()| SetCookie::token(&sidecar.get("/briefly", None)));
    let [mut extended, mut left] = tickets.each_ref().map(|it| open(&sidecar, "/socket", it));
    let extension = sidecar.send(&Request::get("/longer").session(&tickets[0]));
    assert!(SetCookie::of(&extension).is_some());
    assert_eq!(left.rest(), b"");
    assert!(!extended.rest_or_silence(WAIT / 20).1);
    extended.send("pong");
    assert_eq!(extended.take(4), b"pong");
    sidecar.counts(ENDED, 1.0);
    // A revocation ends it all the same.
    std::fs::write(&revoked, format!("{}\n", id(&tickets[0]))).unwrap();
    assert_eq!(extended.rest(), b"");
    sidecar.counts(ENDED, 2.0);
}

#[test]
fn store_that_is_away_ends_nothing() {
    for home in [Home::file(), Home::server(Engine::Redis)] {
        outlives_an_outage(&home);
    }
}

fn outlives_an_outage(home: &Home<'_>) {
    let backend = app();
    let tables = format!("{}recheck = \"100ms\"\n", home.tables());
    let sidecar = home.start(Builder::new(backend.url()).with(&tables));
    let ticket = SetCookie::token(&sidecar.get("/", None));
    let mut stream = open(&sidecar, "/socket", &ticket);
    home.go_away();
    let failed = || sidecar.metrics().sum("cloakroom_store_errors_total");
    eventually("checks that fail", || (failed() >= 3.0).then_some(()));
    stream.send("pong");
    assert_eq!(stream.take(4), b"pong");
    home.come_back();
    // By then the checks work again.
    let log_out = || sidecar.get("/log-out", Some(&ticket)).status();
    eventually("a log-out", || (log_out() == 200).then_some(()));
    assert_eq!(stream.rest(), b"");
}

#[test]
fn what_is_open_ends_when_its_key_is_retired() {
    let backend = app();
    let other = "[[keys]]\nsecret = \"another secret, and long enough too\"\n";
    let session = "[session]\nrecheck = \"100ms\"\n";
    let before = Builder::new(backend.url()).with(session);
    let mut volume = Volume::of(Way::Rename, "cloakroom.toml", &before.text());
    let sidecar = before.file(volume.path("cloakroom.toml")).start();
    let mut stream = open(&sidecar, "/events", &mint("{}"));
    assert!(!stream.rest_or_silence(WAIT / 20).1);
    let after = Builder::new(backend.url()).keys(other).with(session);
    volume.put(&[("cloakroom.toml", &after.text())]);
    assert_eq!(stream.rest(), b"");
    sidecar.counts(ENDED, 1.0);
}

#[test]
fn over_http_2_one_stream_ends_and_the_others_go_on() {
    let backend = app();
    let sidecar = sidecar(&backend, "recheck = \"100ms\"");
    let client = Connection::open(sidecar.address());
    let expiring = mint(format!(r#"{{"exp":{}}}"#, in_seconds(2)));
    let ending = client.send(&Request::get("/events").session(&expiring));
    assert!(client.is_cut_off(ending));
    let answer = client.send(&Request::get("/"));
    assert_eq!(client.receive(answer).status(), 200);
    sidecar.counts(ENDED, 1.0);
}

#[test]
fn nothing_ends_where_it_is_off() {
    let backend = app();
    let off = sidecar(&backend, "recheck = \"off\"");
    let on = sidecar(&backend, "recheck = \"100ms\"");
    let expiring = mint(format!(r#"{{"exp":{}}}"#, in_seconds(1)));
    let mut goes_on = open(&off, "/events", &expiring);
    assert_eq!(open(&on, "/events", &expiring).rest(), b"");
    assert!(!goes_on.rest_or_silence(WAIT / 20).1);
    off.counts(ENDED, 0.0);
}

#[test]
fn an_answer_that_ends_by_itself_is_not_counted_and_its_connection_stays() {
    let backend = app();
    let sidecar = sidecar(&backend, "recheck = \"100ms\"");
    let expiring = mint(format!(r#"{{"exp":{}}}"#, in_seconds(2)));
    let mut idle = sidecar.connect();
    for _ in 0..3 {
        assert_eq!(idle.exchange(&Request::get("/").session(&expiring)).status(), 200);
    }
    assert_eq!(open(&sidecar, "/events", &expiring).rest(), b"");
    assert_eq!(idle.exchange(&Request::get("/")).status(), 200);
    sidecar.counts(ENDED, 1.0);
}

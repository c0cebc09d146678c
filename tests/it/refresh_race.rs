//! A race that a refresh must not win: request A has an old cookie and takes long; request B starts
//! later, is answered earlier, and writes the same session. A's answer must not undo this.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::support::h2c::Connection;
use crate::support::{
    Answer, Backend, Carrier, Client, Gate, Issued, Message, Protocol, Request, SetCookie, Sidecar,
    mint, token,
};

const ROLLING: &str = "[session]\nttl = \"1h\"\nrefresh_after = \"1m\"";
const DICT: &str = r#"{"n":1}"#;
const SKIPPED: &str = r#"cloakroom_session_writes_total{action="refresh_skipped"}"#;

/// Two tokens that are due for a refresh, of different sessions: one issued by the sidecar, one by
/// microdot.
fn due(name: &str) -> [String; 2] {
    let dict = format!(r#"{{"n":1,"of":"{name}"}}"#);
    [Issued::ago(100).token(&dict), mint(&dict)]
}

/// What B can do, by path.
const WRITES: [(&str, &str); 4] =
    [("/delete", "deleted"), ("/save", "saved"), ("/merge", "merged"), ("/refresh", "refreshed")];

/// A backend that holds what is slow until the gate opens: whole answers, and the body of one. The
/// sidecar holds a head with a length until there is more.
fn backend(gate: &Gate) -> Backend {
    let gate = gate.clone();
    Backend::by(move |request| match request.target() {
        "/slow" => Answer::default().hold(&gate).and(Answer::ok(&[])),
        "/slow-save" => {
            Answer::default().hold(&gate).and(Answer::ok(&[("X-Session-Save", r#"{"n":3}"#)]))
        }
        "/slow-error" => Answer::default().hold(&gate).and(Answer::new(500, &[], "")),
        "/slow-body" => {
            Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n").hold(&gate).then("ok")
        }
        "/delete" => Answer::ok(&[("X-Session-Delete", "1")]),
        "/save" => Answer::ok(&[("X-Session-Save", r#"{"n":2}"#)]),
        "/merge" => Answer::ok(&[("X-Session-Merge", r#"{"n":2}"#)]),
        "/broken" => Answer::ok(&[("X-Session-Save", "nonsense")]),
        _ => Answer::ok(&[]),
    })
}

fn start(backend: &Backend) -> Sidecar {
    Sidecar::before(backend).with(ROLLING).start()
}

/// Sends `slow`, runs `meanwhile` when it has reached the backend, lets it end, and returns its
/// answer.
fn race(
    sidecar: &Sidecar,
    backend: &Backend,
    gate: &Gate,
    (protocol, slow): (Protocol, &Request),
    meanwhile: impl FnOnce(),
) -> Message {
    let before = backend.received().len();
    thread::scope(|scope| {
        let slow = scope.spawn(|| sidecar.send_over(protocol, slow));
        backend.wait_for(before + 1);
        meanwhile();
        gate.open();
        slow.join().expect("an answer")
    })
}

/// Checks that an answer comes from the backend and has no cookie.
#[track_caller]
fn assert_untouched(answer: &Message, what: &str) {
    assert_eq!((answer.status(), answer.text().as_str()), (200, "ok"), "{what}");
    assert_eq!(SetCookie::of(answer), None, "{what}");
    assert_eq!(answer.value("Cache-Control"), None, "{what}");
}

#[test]
fn slow_answer_does_not_refresh_over_a_write() {
    for (path, action) in WRITES {
        for token in due(path) {
            let gate = Gate::default();
            let backend = backend(&gate);
            let sidecar = start(&backend);
            let slow = Request::get("/slow").session(&token);
            let answer = race(&sidecar, &backend, &gate, (Protocol::Http11, &slow), || {
                let written = sidecar.get(path, Some(&token));
                assert!(SetCookie::of(&written).is_some(), "{action}");
            });
            assert_untouched(&answer, action);
            sidecar.counts(SKIPPED, 1.0);
            let series = format!("cloakroom_session_writes_total{{action=\"{action}\"}}");
            sidecar.counts(&series, 1.0);
            let line = sidecar.access_lines(2).pop().unwrap();
            assert_eq!(
                (&line["path"], &line["action"]),
                (&"/slow".into(), &"refresh_skipped".into())
            );
        }
    }
}

#[test]
fn protocols_of_the_two_make_no_difference() {
    for (slow_over, write_over) in [
        (Protocol::Http11, Protocol::H2c),
        (Protocol::H2c, Protocol::Http11),
        (Protocol::H2c, Protocol::H2c),
        (Protocol::Http10, Protocol::H2c),
    ] {
        for (path, action) in WRITES {
            let gate = Gate::default();
            let backend = backend(&gate);
            let sidecar = start(&backend);
            let token = due(path)[0].clone();
            let slow = Request::get("/slow").session(&token);
            let answer = race(&sidecar, &backend, &gate, (slow_over, &slow), || {
                sidecar.send_over(write_over, &Request::get(path).session(&token));
            });
            assert_untouched(&answer, &format!("{slow_over:?}, {action} over {write_over:?}"));
            sidecar.counts(SKIPPED, 1.0);
        }
    }
}

#[test]
fn two_streams_of_one_connection_make_no_difference() {
    for (path, action) in WRITES {
        for token in due(path) {
            let gate = Gate::default();
            let backend = backend(&gate);
            let sidecar = start(&backend);
            let connection = Connection::open(sidecar.address());
            let slow = connection.send(&Request::get("/slow").session(&token));
            backend.wait_for(1);
            let write = connection.send(&Request::get(path).session(&token));
            assert!(SetCookie::of(&connection.receive(write)).is_some(), "{action}");
            gate.open();
            assert_untouched(&connection.receive(slow), action);
            sidecar.counts(SKIPPED, 1.0);
        }
    }
}

#[test]
fn write_with_a_newer_token_of_the_session_counts() {
    for old in due("newer") {
        let gate = Gate::default();
        let backend = backend(&gate);
        let sidecar = start(&backend);
        let newer = SetCookie::token(&sidecar.get("/", Some(&old)));
        let slow = Request::get("/slow").session(&old);
        let answer = race(&sidecar, &backend, &gate, (Protocol::Http11, &slow), || {
            assert!(SetCookie::of(&sidecar.get("/delete", Some(&newer))).unwrap().deletes());
        });
        assert_untouched(&answer, "deleted with the newer token");
    }
}

#[test]
fn request_that_begins_after_the_write_with_the_old_cookie_refreshes_nothing() {
    let backend = backend(&Gate::default());
    let sidecar = start(&backend);
    for (number, (path, action)) in WRITES.into_iter().enumerate() {
        for (which, token) in due(path).into_iter().enumerate() {
            sidecar.get(path, Some(&token));
            assert_untouched(&sidecar.get("/", Some(&token)), action);
            sidecar.counts(SKIPPED, f64::from(u32::try_from(2 * number + which + 1).unwrap()));
        }
    }
}

#[test]
fn what_a_write_set_stays_good() {
    let gate = Gate::default();
    let backend = backend(&gate);
    let sidecar = start(&backend);
    let [old, _] = due("stays");
    let mut saved = String::new();
    let slow = Request::get("/slow").session(&old);
    race(&sidecar, &backend, &gate, (Protocol::Http11, &slow), || {
        saved = SetCookie::token(&sidecar.get("/save", Some(&old)));
    });
    assert_untouched(&sidecar.get("/", Some(&saved)), "a token that was just saved is not due");
    assert_eq!(backend.last().values("X-Session"), [r#"{"n":2}"#]);
}

#[test]
fn without_a_write_the_slow_answer_refreshes() {
    for path in ["/broken", "/image", "/other-session", "/nobody"] {
        for token in due(path) {
            let gate = Gate::default();
            let backend = backend(&gate);
            let sidecar = start(&backend);
            let slow = Request::get("/slow").session(&token);
            let answer = race(&sidecar, &backend, &gate, (Protocol::Http11, &slow), || {
                let request = Request::get(match path {
                    "/other-session" | "/nobody" => "/delete",
                    path => path,
                });
                let request = match path {
                    "/nobody" => request,
                    "/other-session" => request.session(&Issued::ago(100).token(DICT)),
                    _ => request.session(&token).with("Sec-Fetch-Dest", "image"),
                };
                sidecar.send(&request);
            });
            Issued::of(&SetCookie::token(&answer));
            assert_eq!(sidecar.count(SKIPPED), 0.0, "{path}");
        }
    }
}

#[test]
fn save_of_the_slow_answer_is_carried_out_all_the_same() {
    let gate = Gate::default();
    let backend = backend(&gate);
    let sidecar = start(&backend);
    let [old, _] = due("save");
    let slow = Request::get("/slow-save").session(&old);
    let answer = race(&sidecar, &backend, &gate, (Protocol::Http11, &slow), || {
        sidecar.get("/delete", Some(&old));
    });
    let payload = token::payload(&SetCookie::token(&answer));
    assert!(payload.starts_with(r#"{"n":3,"#), "{payload}");
}

#[test]
fn error_that_would_not_refresh_is_not_counted_as_skipped() {
    let gate = Gate::default();
    let backend = backend(&gate);
    let sidecar = start(&backend);
    let [old, _] = due("error");
    let slow = Request::get("/slow-error").session(&old);
    let answer = race(&sidecar, &backend, &gate, (Protocol::Http11, &slow), || {
        sidecar.get("/delete", Some(&old));
    });
    assert_eq!((answer.status(), SetCookie::of(&answer)), (500, None));
    sidecar.access_lines(2);
    assert_eq!(sidecar.count(SKIPPED), 0.0);
}

/// How long a write waits for a refresh that is being sent; a little less, as measured here. A
/// longer time on a busy machine proves nothing.
const PATIENCE: Duration = Duration::from_millis(900);

fn ask(sidecar: &Sidecar, path: &str, token: &str) -> Client {
    let mut client = sidecar.connect();
    client.send(Request::get(path).session(token).bytes(Protocol::Http11));
    client
}

#[test]
fn write_that_ends_while_a_refresh_is_on_its_way_leaves_behind_it() {
    for (path, action) in WRITES.into_iter().filter(|(path, _)| *path != "/refresh") {
        let decided = (0..20).any(|_| {
            let gate = Gate::default();
            let backend = backend(&gate);
            let sidecar = start(&backend);
            let [token, _] = due(path);
            let begun = Instant::now();
            let mut slow = ask(&sidecar, "/slow-body", &token);
            sidecar.counts(r#"cloakroom_session_writes_total{action="refreshed"}"#, 1.0);
            let mut write = ask(&sidecar, path, &token);
            sidecar.counts(&format!("cloakroom_session_writes_total{{action=\"{action}\"}}"), 1.0);
            let (mut written, _) = write.rest_or_silence(Duration::from_millis(100));
            // What was sent earlier has already arrived.
            let (mut refreshed, _) = slow.rest_or_silence(Duration::from_millis(1));
            if written.is_empty() {
                gate.open();
                written = write.some();
                refreshed.extend(slow.rest_or_silence(Duration::from_millis(1)).0);
            }
            gate.open();
            if begun.elapsed() > PATIENCE {
                return false;
            }
            let [written, refreshed] =
                [written, refreshed].map(|sent| String::from_utf8_lossy(&sent).to_lowercase());
            assert!(written.contains("\r\nset-cookie: session="), "{action}: {written:?}");
            assert!(refreshed.contains("\r\nset-cookie: session=ey"), "{action}: {refreshed:?}");
            true
        });
        assert!(decided, "{action}: not once within {PATIENCE:?}");
    }
}

/// The exchange sends a head at once; pingora may hold it.
#[test]
fn write_does_not_wait_for_the_body_of_a_refreshed_answer() {
    if !Carrier::is_exchange() {
        return;
    }
    let at_once = (0..20).any(|_| {
        let gate = Gate::default();
        let backend = backend(&gate);
        let sidecar = start(&backend);
        let [token, _] = due("body");
        let mut slow = ask(&sidecar, "/slow-body", &token);
        assert!(slow.until("\r\n\r\n").contains("\r\nSet-Cookie: session=ey"));
        let begun = Instant::now();
        assert!(SetCookie::of(&sidecar.get("/delete", Some(&token))).unwrap().deletes());
        let took = begun.elapsed();
        gate.open();
        took < PATIENCE
    });
    assert!(at_once, "each log-out waited for {PATIENCE:?}");
}

#[test]
fn log_out_does_not_wait_for_an_answer_that_does_not_end() {
    let gate = Gate::default();
    let backend = backend(&gate);
    let sidecar = start(&backend);
    let [token, _] = due("endless");
    let mut slow = ask(&sidecar, "/slow-body", &token);
    sidecar.counts(r#"cloakroom_session_writes_total{action="refreshed"}"#, 1.0);
    assert!(SetCookie::of(&sidecar.get("/delete", Some(&token))).unwrap().deletes());
    gate.open();
    slow.receive("GET");
}

#[test]
fn of_a_refresh_and_a_log_out_at_one_moment_the_log_out_leaves_last() {
    let gates = Arc::new(Mutex::new(Gate::default()));
    let current = Arc::clone(&gates);
    let backend = Backend::by(move |request| {
        let gate = current.lock().clone();
        Answer::default().hold(&gate).and(match request.target() {
            "/slow" => Answer::ok(&[]),
            _ => Answer::ok(&[("X-Session-Delete", "1")]),
        })
    });
    let sidecar = start(&backend);
    let begun = Instant::now();
    for round in 0..200 {
        if begun.elapsed() > Duration::from_secs(5) {
            break;
        }
        let gate = Gate::default();
        *gates.lock() = gate.clone();
        let [token, _] = due(&round.to_string());
        let mut slow = ask(&sidecar, "/slow", &token);
        let mut delete = ask(&sidecar, "/delete", &token);
        backend.wait_for(2 * round + 2);
        let opened = Instant::now();
        gate.open();
        assert!(SetCookie::of(&delete.receive("GET")).unwrap().deletes());
        let (before, _) = slow.rest_or_silence(Duration::from_millis(1));
        if before.is_empty() && opened.elapsed() < PATIENCE {
            assert_eq!(SetCookie::of(&slow.receive("GET")), None, "round {round}");
        }
    }
}

//! Error answers of a server, and operations by its administrators: an outage is never taken for a
//! log-out, and what causes no outage is not noticed.

use std::thread;
use std::time::Duration;

use crate::backend::Echo;
use crate::patrons::Probe;
use crate::stores;
use crate::support::engine::port::Port;
use crate::support::engine::{Engine, Server};
use crate::support::{Certificate, Message, Request, SetCookie, Sidecar, Volume, Way, eventually};

fn say(name: &str, value: &str) -> Request {
    Request::get("/").with(&format!("Answer-X-Session-{name}"), value)
}

/// Logs in and returns the ticket.
fn log_in(sidecar: &Sidecar, dict: &str) -> String {
    SetCookie::token(&sidecar.send(&say("Save", dict)))
}

/// The dict in an answer with 200.
fn seen(answer: &Message) -> String {
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.text().lines().nth(1).unwrap_or_default().to_owned()
}

/// Whether the answer is the saved session, or a plain 503.
fn is_served(answer: &Message, dict: &str) -> bool {
    match answer.status() {
        503 => {
            assert_eq!(SetCookie::of(answer), None);
            assert_eq!(answer.value("Retry-After").as_deref(), Some("1"));
            false
        }
        _ => {
            assert_eq!(seen(answer), dict);
            true
        }
    }
}

const DICT: &str = r#"{"user":"ann","n":1}"#;

#[test]
fn read_only_or_without_a_master() {
    let (server, backend) = (Server::of(Engine::Redis).start(), Echo::start());
    let sidecar = stores::start(stores::builder(&backend, &stores::single(&server.url())));
    let (ticket, probe) = (log_in(&sidecar, DICT), Probe::new(&sidecar));
    // A port without a master.
    let nobody = Port::free();
    let demote = || {
        let port = nobody.number().to_string();
        assert_eq!(server.ask(&["REPLICAOF", "127.0.0.1", &port]).text(), "OK");
    };
    demote();
    probe.until_refused(true);
    for request in [say("Save", r#"{"n":2}"#), say("Delete", "1"), say("Renew", "1")] {
        let answer = sidecar.send(&request.session(&ticket));
        assert!(!is_served(&answer, DICT), "a write that nobody can make");
    }
    is_served(&sidecar.get("/", Some(&ticket)), DICT);
    assert!(stores::errors(&sidecar, "readonly") > 0);
    // MASTERDOWN: reading is not allowed either.
    server.configure("replica-serve-stale-data", "no");
    probe.until_refused(false);
    assert!(!is_served(&sidecar.get("/", Some(&ticket)), DICT));
    assert_eq!(server.ask(&["REPLICAOF", "NO", "ONE"]).text(), "OK");
    probe.until_served(true);
    assert_eq!(seen(&sidecar.get("/", Some(&ticket))), DICT);
    stores::assert_no_session_was_gone(&sidecar, 0);
    println!("redis_answers: READONLY, MASTERDOWN: outages, and over with them");
}

#[test]
fn loading() {
    // 20 ms for each key while loading, with clients served in between.
    let server = Server::of(Engine::Redis)
        .set("key-load-delay 20000\nloading-process-events-interval-bytes 1024")
        .start();
    let backend = Echo::start();
    // Calls do not wait until it has loaded.
    let builder = stores::within("250ms", &backend, &stores::single(&server.url()));
    let sidecar = stores::start(builder);
    let ticket = eventually("a log-in", || {
        let answer = sidecar.send(&say("Save", DICT));
        (answer.status() == 200).then(|| SetCookie::token(&answer))
    });
    let probe = Probe::of(&sidecar, &ticket);
    for number in 0..100 {
        sidecar.send(&say("Save", &format!("{{\"n\":{number}}}")));
    }
    assert_eq!(server.ask(&["SAVE"]).text(), "OK");
    server.kill();
    probe.until_refused(false);
    server.spawn();
    let is_loading = || {
        let said = server.try_ask(&["PING"]).map(|said| said.text());
        said.is_ok_and(|said| said.starts_with("LOADING"))
    };
    eventually("a server that loads", || is_loading().then_some(()));
    let mut outages = 0;
    while is_loading() {
        let is_served = is_served(&sidecar.get("/", Some(&ticket)), DICT);
        // It may have finished loading meanwhile.
        if !is_served {
            outages += 1;
        }
    }
    assert!(outages > 0, "it did not take long enough");
    probe.until_served(true);
    assert_eq!(seen(&sidecar.get("/", Some(&ticket))), DICT);
    stores::assert_no_session_was_gone(&sidecar, 0);
    println!("redis_answers: LOADING: {outages} answers were 503, none a log-out");
}

#[test]
fn full() {
    let (server, backend) = (Server::of(Engine::Redis).start(), Echo::start());
    let sidecar = stores::start(stores::builder(&backend, &stores::single(&server.url())));
    let (ticket, other) = (log_in(&sidecar, DICT), log_in(&sidecar, DICT));
    server.configure("maxmemory", "1");
    for number in 0..10 {
        let save = say("Save", &format!("{{\"n\":{number}}}")).session(&ticket);
        let answer = sidecar.send(&save);
        assert_eq!((answer.status(), SetCookie::of(&answer)), (503, None));
        assert_eq!(seen(&sidecar.get("/", Some(&ticket))), DICT);
    }
    assert!(stores::errors(&sidecar, "full") >= 10);
    // It can be read, and a log-out frees memory.
    assert_eq!(sidecar.count("cloakroom_store_up"), 1.0);
    assert_eq!(seen(&sidecar.send(&say("Delete", "1").session(&other))), DICT);
    assert_eq!(seen(&sidecar.get("/", Some(&other))), "{}");
    server.configure("maxmemory", "0");
    assert_eq!(sidecar.send(&say("Save", r#"{"n":2}"#).session(&ticket)).status(), 200);
    println!("redis_answers: full, noeviction: reads and log-outs go on, saves are 503");
}

#[test]
fn another_password() {
    const RIGHTS: &str = "~* &* +@all";
    let server = Server::of(Engine::Redis).user("shop", "first-password", RIGHTS).start();
    let backend = Echo::start();
    let mut files = Volume::of(Way::Rename, "password", "first-password\n");
    let password = format!("username = \"shop\"\npassword_file = {:?}\n", files.path("password"));
    let store = format!("{}{password}", stores::single(&server.url()));
    let sidecar = stores::start(stores::builder(&backend, &store));
    let (ticket, probe) = (log_in(&sidecar, DICT), Probe::new(&sidecar));
    let told = server.ask(&["ACL", "SETUSER", "shop", "resetpass", ">second-password"]);
    assert_eq!(told.text(), "OK");
    server.ask(&["CLIENT", "KILL", "USER", "shop"]);
    probe.until_refused(false);
    assert!(!is_served(&sidecar.get("/", Some(&ticket)), DICT));
    files.put(&[("password", "second-password\n")]);
    probe.until_served(true);
    assert_eq!(seen(&sidecar.get("/", Some(&ticket))), DICT);
    // After access is restored, no restart is needed.
    server.ask(&["ACL", "SETUSER", "shop", "off"]);
    server.ask(&["CLIENT", "KILL", "USER", "shop"]);
    probe.until_refused(false);
    server.ask(&["ACL", "SETUSER", "shop", "on"]);
    probe.until_served(true);
    assert!(!sidecar.log().contains("-password\""), "a password is in the log");
    stores::assert_no_session_was_gone(&sidecar, 0);
    println!("redis_answers: another password: an outage until the file has it, without a restart");
}

#[test]
fn unnoticed() {
    let (server, backend) = (Server::of(Engine::Redis).start(), Echo::start());
    let sidecar = stores::start(stores::builder(&backend, &stores::single(&server.url())));
    let ticket = log_in(&sidecar, DICT);
    for round in 0..20 {
        let flush = ["SCRIPT", "FLUSH"];
        let kill = ["CLIENT", "KILL", "TYPE", "normal"];
        let what: &[&str] = if round % 2 == 0 { &flush } else { &kill };
        server.ask(what);
        // Alternately with a read, and with a write before it.
        if round % 4 < 2 {
            assert_eq!(seen(&sidecar.get("/", Some(&ticket))), DICT, "{what:?}");
        }
        assert_eq!(seen(&sidecar.send(&say("Save", DICT).session(&ticket))), DICT, "{what:?}");
    }
    println!("redis_answers: SCRIPT FLUSH, CLIENT KILL: unnoticed");
}

#[test]
fn flushed() {
    let (server, backend) = (Server::of(Engine::Redis).start(), Echo::start());
    let sidecar = stores::start(stores::builder(&backend, &stores::single(&server.url())));
    let tickets: Vec<String> = (0..10).map(|_| log_in(&sidecar, DICT)).collect();
    assert_eq!(server.ask(&["FLUSHALL"]).text(), "OK");
    for ticket in &tickets {
        assert_eq!(seen(&sidecar.get("/", Some(ticket))), "{}");
    }
    assert_eq!(stores::checks(&sidecar, "gone"), 10);
    assert_eq!(seen(&sidecar.send(&say("Save", r#"{"n":2}"#))), "{}");
    println!("redis_answers: FLUSHALL: every session is gone, which is no outage");
}

/// A certificate for `cache` and 127.0.0.1, from its own authority.
fn authority(folder: &std::path::Path) -> (String, Certificate) {
    std::fs::create_dir_all(folder).unwrap();
    let certificate = Certificate::new(folder, "cache");
    (std::fs::read_to_string(&certificate.cert).unwrap(), certificate)
}

#[test]
fn a_certificate_of_another_authority() {
    let folder = tempfile::tempdir().unwrap();
    let (good, certificate) = authority(&folder.path().join("good"));
    let (other, _) = authority(&folder.path().join("other"));
    let server = Server::of(Engine::Redis).tls(&certificate.cert, &certificate.key).start();
    let backend = Echo::start();
    let mut files = Volume::of(Way::Rename, "ca.crt", &good);
    let ca = format!("ca_file = {:?}\n", files.path("ca.crt"));
    let store = format!("{}{ca}", stores::single(&server.url()));
    let sidecar = stores::start(stores::builder(&backend, &store));
    let (ticket, probe) = (log_in(&sidecar, DICT), Probe::new(&sidecar));
    // The existing connection stays until a new handshake.
    files.put(&[("ca.crt", &other)]);
    crate::reload::wait_for(&sidecar, crate::reload::SUCCESS, 1);
    server.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    probe.until_refused(false);
    for _ in 0..20 {
        assert!(!is_served(&sidecar.get("/", Some(&ticket)), DICT));
        thread::sleep(Duration::from_millis(20));
    }
    let log = sidecar.log();
    let lines: Vec<&str> = log.lines().filter(|line| line.contains("cannot be reached")).collect();
    assert!(lines.len() == 1 && lines[0].contains("certificate"), "{lines:?}");
    files.put(&[("ca.crt", &good)]);
    probe.until_served(true);
    assert_eq!(seen(&sidecar.get("/", Some(&ticket))), DICT);
    // A client that starts with the wrong one.
    drop(sidecar);
    files.put(&[("ca.crt", &other)]);
    let sidecar = stores::builder(&backend, &store).start();
    let answer = sidecar.get("/", Some(&ticket));
    assert!(!is_served(&answer, DICT));
    assert_eq!(sidecar.admin("/readyz").status(), 503);
    files.put(&[("ca.crt", &good)]);
    Probe::of(&sidecar, &ticket).until_served(true);
    assert_eq!(sidecar.admin("/readyz").status(), 200);
    println!(
        "redis_answers: a certificate of another authority: 503, one line, over with the file"
    );
}

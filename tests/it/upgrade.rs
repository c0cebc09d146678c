//! `run --upgrade`: a new process takes over from the running one.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    Answer, Backend, Builder, Gate, PATIENT, Request, SetCookie, Sidecar, WAIT, client, say,
};

/// A sidecar that can be taken over, with its socket in this folder.
fn before(backend: &Backend, folder: &Path) -> Builder {
    let socket = folder.join("upgrade.sock");
    Sidecar::before(backend).top(&format!("upgrade_socket = {socket:?}"))
}

fn successor(backend: &Backend, folder: &Path) -> Sidecar {
    before(backend, folder).argument("--upgrade").start()
}

#[test]
fn new_process_takes_over_and_the_old_one_finishes() {
    let folder = tempfile::tempdir().unwrap();
    let gate = Gate::default();
    let backend = Backend::by({
        let gate = gate.clone();
        move |request| match request.target() {
            "/slow" => Answer::default().hold(&gate).and(Answer::ok(&[])),
            _ => Answer::ok(&[]),
        }
    });
    let mut old = before(&backend, folder.path()).start();
    let address = old.address();
    let slow = thread::spawn(move || {
        client::exchange(address, client::Protocol::Http11, &Request::get("/slow"))
    });
    backend.wait_for(1);
    let mut kept = old.connect();
    kept.send("GET / HTTP/1.1\r\nHost: a");
    old.counts("cloakroom_connections_active", 2.0);

    let new = successor(&backend, folder.path());
    assert_eq!(new.address(), address);
    old.wait_for_log("shutting down", 0);
    // Requests that began at the old process.
    kept.send("\r\n\r\n");
    let response = kept.receive("GET");
    assert_eq!((response.status(), response.value("Connection").as_deref()), (200, Some("close")));
    gate.open();
    assert_eq!(slow.join().unwrap().status(), 200);
    assert_eq!(old.wait().code(), Some(0));
    for _ in 0..20 {
        assert_eq!(new.send(&Request::get("/")).status(), 200);
    }
    // The new process can be taken over in turn.
    let last = successor(&backend, folder.path());
    assert_eq!(last.address(), address);
    new.wait_for_log("stopped", 0);
    assert_eq!(last.send(&Request::get("/")).status(), 200);
}

#[test]
fn unix_sockets_and_tls_are_taken_over_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cloakroom.sock");
    let backend = Backend::plain();
    let configured = |builder: Builder| {
        builder.listen(&["127.0.0.1:0".into(), format!("unix:{}", path.display())])
    };
    let mut old = configured(before(&backend, folder.path())).start();
    let new = configured(before(&backend, folder.path())).argument("--upgrade").start();
    assert_eq!(old.wait().code(), Some(0));
    assert_eq!(new.address(), old.address());
    assert!(path.exists());
    let mut stream = std::os::unix::net::UnixStream::connect(&path).unwrap();
    std::io::Write::write_all(&mut stream, b"GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut answer = String::new();
    std::io::Read::read_to_string(&mut stream, &mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

#[test]
fn faulty_successor_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Backend::plain();
    let old = before(&backend, folder.path()).start();
    let (code, _) = before(&backend, folder.path()).with("[nonsense]").argument("--upgrade").fail();
    assert_eq!(code, Some(2));
    // A new process that dies after receiving the listeners, before it is ready.
    let socket = folder.path().join("upgrade.sock");
    for said in [&b""[..], b"steady"] {
        let mut taker = std::os::unix::net::UnixStream::connect(&socket).unwrap();
        std::io::Read::read_exact(&mut taker, &mut [0; 10]).unwrap();
        std::io::Write::write_all(&mut taker, said).unwrap();
    }
    old.wait_for_log("upgrade failed: the new process never became ready; still serving", 1);
    assert_eq!(old.send(&Request::get("/")).status(), 200);
    assert_eq!(old.admin("/readyz").status(), 200);
    let new = successor(&backend, folder.path());
    old.wait_for_log("stopped", 0);
    assert_eq!(new.send(&Request::get("/")).status(), 200);
}

#[test]
fn nobody_to_take_over_from_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let backend = Backend::plain();
    let (code, log) = before(&backend, folder.path()).argument("--upgrade").fail();
    assert_eq!(code, Some(1));
    assert!(log.contains("is the old process running?"), "{log}");
    let (code, log) = Sidecar::before(&backend).argument("--upgrade").fail();
    assert_eq!(code, Some(1));
    assert!(log.contains("--upgrade needs upgrade_socket"), "{log}");
}

#[test]
fn folder_that_everybody_can_write_to_is_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
    let (code, log) = before(&Backend::plain(), folder.path()).fail();
    assert_eq!(code, Some(1));
    assert!(log.contains("everybody can write to its directory"), "{log}");
}

#[test]
fn systemd_is_told_when_it_serves_and_when_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify.sock");
    let notified = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    notified.set_read_timeout(Some(WAIT)).unwrap();
    let next = || {
        let mut text = [0; 512];
        let length = notified.recv(&mut text).expect("a notification");
        String::from_utf8_lossy(&text[..length]).into_owned()
    };
    let backend = Backend::plain();
    let start = |builder: Builder| builder.env("NOTIFY_SOCKET", path.to_str().unwrap()).start();
    let mut old = start(before(&backend, folder.path()));
    let first = next();
    assert!(first.contains("READY=1") && first.contains("MAINPID="), "{first}");
    // From then on the successor is the main process, and systemd sees no stop.
    let mut new = start(before(&backend, folder.path()).argument("--upgrade"));
    let second = next();
    assert!(second.contains("READY=1") && second.contains("MAINPID="), "{second}");
    assert_ne!(first, second);
    assert_eq!(old.wait().code(), Some(0));
    new.signal("TERM");
    assert_eq!(next().trim(), "STOPPING=1");
    assert_eq!(new.wait().code(), Some(0));
}

#[test]
fn request_that_arrives_as_the_process_ends_is_answered() {
    let backend = Backend::plain();
    let mut sidecar = Sidecar::before(&backend).top("shutdown_timeout = \"2s\"").start();
    let mut early = sidecar.connect();
    let mut late = sidecar.connect();
    for client in [&mut early, &mut late] {
        client.send("GET / HTTP/1.1\r\nHost: a");
    }
    sidecar.counts("cloakroom_connections_active", 2.0);
    sidecar.signal("TERM");
    sidecar.wait_for_log("shutting down", 0);
    early.send("\r\n\r\n");
    let response = early.receive("GET");
    assert_eq!((response.status(), response.value("Connection").as_deref()), (200, Some("close")));
    // After half of the time, a request would probably be cut off.
    thread::sleep(Duration::from_millis(1100));
    late.send("\r\n\r\n");
    let response = late.receive("GET");
    assert_eq!(response.status(), 503);
    assert!(response.value("Retry-After").is_some() && response.text().contains("restarting"));
    assert_eq!(sidecar.wait().code(), Some(0));
}

/// The old and the new process share a session file: no answered save is lost, and no request
/// waits.
#[test]
fn sessions_in_a_store_are_saved_while_one_process_takes_over_from_another() {
    const SAVERS: usize = 4;
    let folder = tempfile::tempdir().unwrap();
    let backend = Backend::saying();
    let file = folder.path().join("sessions.db");
    let tables =
        format!("[store]\nurl = \"file:{}\"\n{PATIENT}[session]\nttl = \"1h\"\n", file.display());
    let sidecar = |argument: Option<&str>| {
        let builder = before(&backend, folder.path()).with(&tables).forget_access();
        argument.into_iter().fold(builder, Builder::argument).start()
    };
    let mut running = sidecar(None);
    let address = running.address();
    let over = AtomicBool::new(false);
    let ask = |request: &Request| client::exchange(address, client::Protocol::Http11, request);
    let longest = thread::scope(|scope| {
        let savers: Vec<_> = (0..SAVERS)
            .map(|_| {
                scope.spawn(|| {
                    let mut ticket = SetCookie::token(&ask(&say("Save", r#"{"n":0}"#)));
                    let (mut saved, mut longest) = (0_u64, Duration::ZERO);
                    while !over.load(Ordering::Relaxed) {
                        let next = saved + 1;
                        let begun = Instant::now();
                        let request = say("Save", &format!("{{\"n\":{next}}}")).session(&ticket);
                        let answer = ask(&request);
                        longest = longest.max(begun.elapsed());
                        assert_eq!(answer.status(), 200);
                        // It saw the last saved dict.
                        assert_eq!(answer.text(), format!("{{\"n\":{saved}}}"));
                        ticket = SetCookie::token(&answer);
                        saved = next;
                    }
                    let seen = ask(&Request::get("/").session(&ticket)).text();
                    assert_eq!(seen, format!("{{\"n\":{saved}}}"));
                    assert!(saved > 0);
                    longest
                })
            })
            .collect();
        for _ in 0..3 {
            let next = sidecar(Some("--upgrade"));
            assert_eq!(running.wait().code(), Some(0));
            running = next;
        }
        over.store(true, Ordering::Relaxed);
        savers.into_iter().map(|saver| saver.join().unwrap()).max()
    });
    println!("the longest save took {longest:?}");
    // While one process writes the file, the other waits for a moment.
    assert!(longest < Some(Duration::from_secs(2)), "{longest:?}");
}

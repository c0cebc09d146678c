//! SIGTERM and SIGINT: requests in progress are finished, then the process ends.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    Answer, Backend, Builder, Client, Gate, Protocol, Request, SetCookie, Sidecar, eventually,
    token,
};

/// Waits until new connections are refused.
fn refuses_connections(sidecar: &Sidecar) {
    let address = sidecar.address();
    eventually("the listener to close", || {
        TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_err().then_some(())
    });
}

#[test]
fn requests_under_way_finish() {
    for signal in ["TERM", "INT", "QUIT"] {
        let gate = Gate::default();
        let answer = Answer::default().hold(&gate).and(Answer::ok(&[("X-Session-Save", "{}")]));
        let backend = Backend::new(answer);
        let mut sidecar = Sidecar::start(&backend);
        let address = sidecar.address();
        let requests: Vec<_> = Protocol::ALL
            .into_iter()
            .map(|protocol| {
                let send = move || {
                    crate::support::client::exchange(address, protocol, &Request::get("/slow"))
                };
                thread::spawn(send)
            })
            .collect();
        backend.wait_for(3);

        sidecar.signal(signal);
        refuses_connections(&sidecar);
        gate.open();
        let begun = Instant::now();
        for request in requests {
            let response = request.join().unwrap();
            assert_eq!((response.status(), response.text().as_str()), (200, "ok"), "SIG{signal}");
            assert_eq!(token::payload(&SetCookie::token(&response)), "{}");
        }
        assert_eq!(sidecar.wait().code(), Some(0), "SIG{signal}");
        assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    }
}

#[test]
fn signals_are_heeded_from_the_first_connection_on() {
    for signal in ["TERM", "HUP"] {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("listen");
        let listen = [format!("unix:{}", socket.display())];
        let config = folder.path().join("cloakroom.toml");
        std::fs::write(&config, Builder::new("http://127.0.0.1:1").listen(&listen).text()).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_cloakroom"))
            .args(["run", "--config"])
            .arg(&config)
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        eventually("a connection", || UnixStream::connect(&socket).ok());
        let send = |signal: &str| {
            let pid = child.id().to_string();
            assert!(
                Command::new("kill")
                    .args([&format!("-{signal}"), &pid])
                    .status()
                    .unwrap()
                    .success()
            );
        };
        send(signal);
        send("TERM");
        assert_eq!(child.wait().unwrap().code(), Some(0), "SIG{signal}");
    }
}

#[test]
fn body_under_way_finishes() {
    let gate = Gate::default();
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n";
    let backend = Backend::new(Answer::raw(head).hold(&gate).then("5\r\nother\r\n0\r\n\r\n"));
    let mut sidecar = Sidecar::start(&backend);
    let mut client = sidecar.connect();
    client.send(Request::get("/").bytes(Protocol::Http11));
    let first = client.some();
    assert!(first.starts_with(b"HTTP/1.1 200"), "{:?}", String::from_utf8_lossy(&first));
    sidecar.signal("TERM");
    refuses_connections(&sidecar);
    gate.open();
    let rest = [first, client.rest()].concat();
    assert!(
        rest.ends_with(b"5\r\nfirst\r\n5\r\nother\r\n0\r\n\r\n"),
        "{:?}",
        String::from_utf8_lossy(&rest)
    );
    assert_eq!(sidecar.wait().code(), Some(0));
}

#[test]
fn idle_connections_hold_nothing_up() {
    let backend = Backend::plain();
    let mut sidecar = Sidecar::start(&backend);
    let mut kept_alive = sidecar.connect();
    assert_eq!(kept_alive.exchange(&Request::get("/")).status(), 200);
    let _silent = Client::connect(sidecar.address());
    let begun = Instant::now();
    sidecar.signal("TERM");
    assert_eq!(sidecar.wait().code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}

#[test]
fn shutdown_timeout_is_the_limit() {
    let backend = Backend::new(Answer::default().hang());
    let mut sidecar = Sidecar::before(&backend).top("shutdown_timeout = \"500ms\"").start();
    let mut client = sidecar.connect();
    client.send(Request::get("/").bytes(Protocol::Http11));
    backend.wait_for(1);
    let begun = Instant::now();
    sidecar.signal("TERM");
    assert_eq!(sidecar.wait().code(), Some(0));
    let took = begun.elapsed();
    let expected = Duration::from_millis(450)..Duration::from_secs(3);
    assert!(expected.contains(&took), "{took:?}");
}

#[test]
fn readiness_ends_while_requests_finish() {
    let gate = Gate::default();
    let backend = Backend::new(Answer::default().hold(&gate).and(Answer::ok(&[])));
    let mut sidecar = Sidecar::start(&backend);
    let address = sidecar.address();
    let send =
        move || crate::support::client::exchange(address, Protocol::Http11, &Request::get("/"));
    let request = thread::spawn(send);
    backend.wait_for(1);
    assert_eq!(sidecar.admin("/readyz").status(), 200);
    sidecar.signal("TERM");
    eventually("readiness to end", || (sidecar.admin("/readyz").status() == 503).then_some(()));
    assert_eq!(sidecar.admin("/healthz").status(), 200);
    gate.open();
    assert_eq!(request.join().unwrap().status(), 200);
    assert_eq!(sidecar.wait().code(), Some(0));
}

#[test]
fn unix_socket_is_removed() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cloakroom.sock");
    let backend = Backend::plain();
    let mut sidecar =
        Sidecar::before(&backend).listen(&[format!("unix:{}", path.display())]).start();
    assert!(path.exists());
    sidecar.signal("TERM");
    assert_eq!(sidecar.wait().code(), Some(0));
    assert!(!path.exists());
}

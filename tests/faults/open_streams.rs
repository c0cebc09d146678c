//! Event streams that stay open: checking their sessions costs very little and no request to the
//! app, and a log-out everywhere ends all of them.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt as _;
use std::thread;
use std::time::{Duration, Instant};

use crate::pick;
use crate::support::{Answer, Backend, Builder, Protocol, Request, SetCookie, WAIT};
use crate::vitals::Vitals;

const LOADS: &str = r#"cloakroom_store_duration_seconds_count{op="load"}"#;
const EVENTS: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\
                      Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n";

#[test]
fn open_streams() {
    let count = pick(50, 1000);
    let (recheck, time) = pick((1, 2), (30, 90)); // seconds
    let at_rest = pick(1, 30);
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let backend = Backend::by(|request| match request.target() {
        "/events" => Answer::raw(EVENTS).hang(),
        "/log-out" => Answer::ok(&[("X-Session-Delete", "all")]),
        _ => Answer::ok(&[("X-Session-Save", r#"{"user":"ann"}"#)]),
    });
    // The most expensive case: each check asks the store.
    let tables = format!(
        "[session]\nttl = \"1h\"\nsubject = \"user\"\nrecheck = \"{recheck}s\"\n\
         [store]\nurl = \"file:{}/sessions.db\"\n[timeouts]\nbackend_read = \"1h\"",
        folder.path().display()
    );
    let sidecar = Builder::new(backend.url()).with(&tables).forget_access().start();
    let tickets: Vec<String> =
        (0..count).map(|_| SetCookie::token(&sidecar.get("/", None))).collect();
    let share_of = |seconds| {
        let (begun, before) = (Instant::now(), Vitals::of(sidecar.id()).cpu);
        thread::sleep(Duration::from_secs(seconds));
        let cpu = Vitals::of(sidecar.id()).cpu - before;
        cpu.as_secs_f64() / begun.elapsed().as_secs_f64() * 100.0
    };
    // The process looks after itself too, which on some machines takes as much.
    let rest = share_of(at_rest);
    let mut streams: Vec<TcpStream> = tickets
        .iter()
        .map(|ticket| {
            let mut stream = TcpStream::connect(sidecar.address()).unwrap();
            stream.set_read_timeout(Some(WAIT)).unwrap();
            let request = Request::get("/events").session(ticket);
            stream.write_all(&request.bytes(Protocol::Http11)).unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"hello\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                head.push(byte[0]);
            }
            stream
        })
        .collect();

    let (asked, looked) = (backend.received().len(), sidecar.count(LOADS));
    let all = share_of(time);
    let share = all - rest;
    let looks = sidecar.count(LOADS) - looked;
    assert!(looks >= f64::from(count), "{looks} looks");
    assert_eq!(backend.received().len(), asked, "the app was asked");
    for stream in &mut streams {
        stream.set_nonblocking(true).unwrap();
        let nothing = stream.read(&mut [0]).unwrap_err();
        assert_eq!(nothing.kind(), ErrorKind::WouldBlock, "it has ended");
        stream.set_nonblocking(false).unwrap();
    }

    let over = Instant::now();
    sidecar.get("/log-out", Some(&tickets[0]));
    for stream in &mut streams {
        stream.set_read_timeout(Some(Duration::from_secs(recheck) + WAIT)).unwrap();
        let mut rest = Vec::new();
        // A reset is also an end.
        let _ = stream.read_to_end(&mut rest).inspect_err(|error| {
            assert_eq!(error.kind(), ErrorKind::ConnectionReset, "it has not ended");
        });
        assert_eq!(rest, b"");
    }
    let end = over.elapsed();
    sidecar.counts("cloakroom_streams_ended_total", f64::from(count));
    println!(
        "open_streams: {count} event streams, each looked at every {recheck} s in the store: {looks} looks \
         in {time} s, {all:.2} % of a processor, {rest:.2} % without them, 0 requests to the app; all ended {:.1} s after a \
         log-out everywhere",
        end.as_secs_f64()
    );
    // The short form uses a debug build, which is slower.
    assert!(share < pick(50.0, 1.0), "{share} % of a processor");
}

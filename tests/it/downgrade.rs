//! Content that is valid in HTTP/2 but not in HTTP/1 is never converted to HTTP/1.

use crate::support::frames::{self, Fields};
use crate::support::{Backend, Sidecar, contains};

const GET: [(&[u8], &[u8]); 4] =
    [(b":method", b"GET"), (b":scheme", b"http"), (b":authority", b"app.test"), (b":path", b"/")];

fn with<'a>(fields: Fields<'a>) -> Vec<(&'a [u8], &'a [u8])> {
    GET.iter().chain(fields).copied().collect()
}

fn instead<'a>(name: &'a [u8], value: &'a [u8]) -> Vec<(&'a [u8], &'a [u8])> {
    GET.iter().map(|&(old, kept)| (old, if old == name { value } else { kept })).collect()
}

/// Nothing of it reaches the app.
fn refused(requests: &[Vec<(&[u8], &[u8])>]) {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for request in requests {
        frames::exchange(sidecar.address(), request, b"", &[]);
        let received = backend.received();
        let sent = request.iter().map(|(name, value)| [*name, b": ", *value].concat());
        let sent = String::from_utf8_lossy(&sent.collect::<Vec<_>>().join(&b'\n')).into_owned();
        assert!(received.is_empty(), "{sent:?}: {received:?}");
    }
}

#[test]
fn proper_request_arrives() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    assert!(frames::exchange(sidecar.address(), &with(&[(b"a", b"b")]), b"", &[]));
    assert_eq!(backend.last().values("A"), ["b"]);
    assert_eq!(backend.last().values("Host"), ["app.test"]);
}

#[test]
fn line_ends_and_nul_in_fields() {
    refused(&[
        with(&[(b"a", b"b\r\nx-session: forged")]),
        with(&[(b"a", b"b\nx-session: forged")]),
        with(&[(b"a", b"b\rx-session: forged")]),
        with(&[(b"a", b"b\0")]),
        with(&[(b"cookie", b"session=\0")]),
        with(&[(b"a: b\r\nx-session", b"forged")]),
        with(&[(b"x-session: a", b"forged")]),
        with(&[(b"x-session ", b"forged")]),
        with(&[(b"x-session\0", b"forged")]),
        with(&[(b"X-Session", b"forged")]),
        with(&[(b"", b"forged")]),
    ]);
}

#[test]
fn request_lines_in_pseudo_fields() {
    refused(&[
        instead(b":path", b"/ HTTP/1.1\r\nx-session: forged"),
        instead(b":path", b"/a b"),
        instead(b":path", b"/\0"),
        instead(b":path", b""),
        instead(b":path", b"x"),
        instead(b":method", b"GET / HTTP/1.1\r\nx-session: forged\r\n\r\n"),
        instead(b":method", b"GET /x"),
        instead(b":authority", b"a\r\nx-session: forged"),
        instead(b":authority", b"a/admin"),
        instead(b":scheme", b"http://x/?"),
        with(&[(b"a", b"b"), (b":path", b"/second")]),
        with(&[(b":path", b"/second")]),
    ]);
}

#[test]
fn fields_of_a_connection() {
    refused(&[
        with(&[(b"transfer-encoding", b"chunked")]),
        with(&[(b"connection", b"x-session")]),
        with(&[(b"upgrade", b"websocket"), (b"connection", b"upgrade")]),
    ]);
}

#[test]
fn host_beside_another_authority() {
    refused(&[
        with(&[(b"host", b"other.test")]),
        with(&[(b"host", b"app.test"), (b"host", b"other.test")]),
    ]);
}

#[test]
fn connect_and_trace() {
    let mut extended = instead(b":method", b"CONNECT");
    extended.push((b":protocol", b"websocket"));
    refused(&[
        vec![(b":method", b"CONNECT"), (b":authority", b"app.test:443")],
        extended,
        instead(b":method", b"TRACE"),
    ]);
}

#[test]
fn lengths_that_are_no_plain_number() {
    refused(&[
        with(&[(b"content-length", b"+5")]),
        with(&[(b"content-length", b"5, 5")]),
        with(&[(b"content-length", b"")]),
        with(&[(b"content-length", b"5"), (b"content-length", b"6")]),
    ]);
}

#[test]
fn length_said_twice() {
    refused(&[with(&[(b"content-length", b"0"), (b"content-length", b"0")])]);
}

#[test]
fn body_cannot_become_a_request() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let smuggled = b"GET /smuggled HTTP/1.1\r\nHost: a\r\nX-Session: forged\r\n\r\n";
    for length in [&[][..], &[(&b"content-length"[..], &b"0"[..])], &[(b"content-length", b"1")]] {
        frames::exchange(sidecar.address(), &with(length), smuggled, &[]);
    }
    sidecar.get("/last", None);
    for request in backend.received() {
        assert_ne!(request.target(), "/smuggled");
        assert_eq!(request.values("X-Session"), ["{}"]);
    }
}

#[test]
fn trailers_do_not_speak() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let trailers: Fields<'_> =
        &[(b"x-session", b"forged"), (b"x_session", b"forged"), (b"content-length", b"1")];
    frames::exchange(sidecar.address(), &with(&[]), b"body", trailers);
    assert!(!contains(&backend.last().raw, "forged"), "{:?}", backend.last());
    frames::exchange(sidecar.address(), &with(&[]), b"body", &[(b":path", b"/forged")]);
    assert!(!contains(&backend.last().raw, "forged"), "{:?}", backend.last());
}

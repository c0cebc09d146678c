//! What is logged, and what is never logged.

use serde_json::Value;

use crate::support::{
    Answer, Backend, Builder, Protocol, Request, SECRET, SetCookie, Sidecar, contains, eventually,
    mint, token,
};

#[test]
fn every_request_has_one_access_line() {
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend)
        .with("[[routes]]\npath = \"/off/\"\nsession = \"off\"")
        .with("[[routes]]\npath = \"/admin/\"\nrequire = true")
        .start();
    let save = ("X-Session-Save", "{}");
    let valid = mint("{}");
    let expired = mint(r#"{"exp":1}"#);
    let merge = ("X-Session-Merge", "{}");
    let expected = [
        (Request::get("/a?b=c"), Answer::ok(&[]), 200, Some("absent"), None),
        (
            Request::new("POST", "/%61%20b/").session(&valid),
            Answer::new(404, &[save], ""),
            404,
            Some("valid"),
            Some("saved"),
        ),
        (
            Request::get("/").session(&expired),
            Answer::ok(&[merge]),
            200,
            Some("expired"),
            Some("merged"),
        ),
        (
            Request::get("/").session("x"),
            Answer::ok(&[("X-Session-Delete", "1")]),
            200,
            Some("malformed"),
            Some("deleted"),
        ),
        (
            Request::get("/").session(&valid),
            Answer::ok(&[("X-Session-Save", "x")]),
            502,
            Some("valid"),
            Some("rejected"),
        ),
        (Request::get("/off/a").session(&valid), Answer::ok(&[save]), 200, None, None),
        (Request::get("/admin/"), Answer::ok(&[]), 401, Some("absent"), None),
        (Request::new("TRACE", "/"), Answer::ok(&[]), 405, None, None),
        (Request::get("/"), Answer::raw("nonsense\r\n\r\n").close(), 502, Some("absent"), None),
    ];
    for (number, (request, answer, status, outcome, action)) in expected.iter().enumerate() {
        backend.will(answer.clone());
        assert_eq!(sidecar.send(request).status(), *status);
        let lines = sidecar.access_lines(number + 1);
        let line = &lines[number];
        assert_eq!(lines.len(), number + 1, "{lines:?}");
        let path = request.target.split('?').next().unwrap();
        assert_eq!(line["method"], request.method.as_str(), "{line}");
        assert_eq!(line["path"], path, "{line}");
        assert_eq!(line["status"], *status, "{line}");
        assert_eq!(line["outcome"].as_str().unwrap_or("none"), outcome.unwrap_or("none"), "{line}");
        assert_eq!(line["action"].as_str().unwrap_or("none"), action.unwrap_or("none"), "{line}");
        assert!(line["duration_ms"].is_number(), "{line}");
    }
    let lines = sidecar.access_lines(expected.len());
    assert!(lines[0]["backend_ms"].is_number(), "{}", lines[0]);
}

#[test]
fn client_is_who_the_trusted_proxies_name_and_peer_who_connected() {
    let backend = Backend::plain();
    let request = Request::get("/").with("X-Forwarded-For", "6.6.6.6, 192.0.2.7, 10.0.0.9");
    for (trusted, client) in [("[]", "127.0.0.1"), ("[\"127.0.0.1\", \"10.0.0.0/8\"]", "192.0.2.7")]
    {
        let top = format!("trusted_proxies = {trusted}");
        let sidecar = Sidecar::before(&backend).top(&top).start();
        for (number, protocol) in Protocol::ALL.into_iter().enumerate() {
            sidecar.send_over(protocol, &request);
            let line = &sidecar.access_lines(number + 1)[number];
            assert_eq!((&line["client"], &line["peer"]), (&client.into(), &"127.0.0.1".into()));
        }
    }
}

/// Characters that a terminal or log viewer would interpret.
#[test]
fn unprintable_characters_of_a_path_are_escaped() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    sidecar.send(&Request::get("/\u{9b}2J\u{2028}\u{202e}"));
    let line = &sidecar.access_lines(1)[0];
    assert_eq!(line["path"], "/%C2%9B2J%E2%80%A8%E2%80%AE");
}

#[test]
fn requests_on_one_connection_have_a_line_each() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let mut client = sidecar.connect();
    for number in 0..3 {
        client.exchange(&Request::get(&format!("/{number}")));
    }
    sidecar.send_over(Protocol::H2c, &Request::get("/3"));
    sidecar.send_over(Protocol::Http10, &Request::get("/4"));
    let lines = sidecar.access_lines(5);
    let mut paths: Vec<_> = lines.iter().map(|line| line["path"].as_str().unwrap()).collect();
    paths.sort_unstable();
    assert_eq!(paths, ["/0", "/1", "/2", "/3", "/4"]);
}

#[test]
fn access_lines_can_be_turned_off() {
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend).log("access = false").start();
    sidecar.get("/", None);
    sidecar.counts(r#"cloakroom_requests_total{method="GET",status="200"}"#, 1.0);
    assert!(!sidecar.log().contains("cloakroom::access"), "{}", sidecar.log());
}

#[test]
fn no_cookie_token_secret_or_dict_is_logged_at_any_level() {
    for level in ["info", "debug", "trace"] {
        let backend = Backend::plain();
        let sidecar = Sidecar::before(&backend)
            .log(&format!("level = \"{level}\""))
            .with("[timeouts]\nbackend_read = \"300ms\"")
            .start();
        let good = mint(r#"{"classified":1}"#);
        let expired = mint(r#"{"classified":2,"exp":1}"#);
        let bad = token::mint_with("{\"alg\":\"classified\"}", "{}");
        let mut secrets = vec![SECRET.to_owned(), "classified".into(), "eyJ".into()];
        let answers = [
            Answer::ok(&[
                ("X-Session-Save", r#"{"classified":3}"#),
                ("Set-Cookie", "session=classified"),
                ("Set-Cookie", "a=classified"),
            ]),
            Answer::ok(&[("X-Session-Merge", r#"{"classified":4}"#)]),
            Answer::ok(&[("X-Session-Delete", "classified")]),
            Answer::ok(&[("X-Session-Save", "classified")]),
            Answer::ok(&[
                ("X-Session-Save", r#"{"classified":1}"#),
                ("X-Session-Max-Age", "classified"),
            ]),
            Answer::raw("HTTP/1.1 classified\r\n\r\n").close(),
            Answer::raw(
                "HTTP/1.1 200 OK\r\nX-Session-Save: {\"classified\":5}\r\nclassified\r\n\r\n",
            )
            .close(),
            Answer::raw("HTTP/1.1 200 OK\r\nX-Session-Save: {\"classified\":5}\r\n").close(),
            Answer::raw("HTTP/1.1 200 OK\r\nX-Session-Save: {\"classified\":5}\r\n").hang(),
            Answer::raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nclassified").close(),
        ];
        let mut sent = 0;
        for answer in answers {
            backend.will(answer);
            for cookie in [&good, &expired, &bad] {
                for protocol in [Protocol::Http11, Protocol::H2c] {
                    let request = Request::get("/?token=classified")
                        .session(cookie)
                        .with("Cookie", "other=classified")
                        .with("X-Session", r#"{"classified":6}"#)
                        .with("Authorization", "Bearer classified");
                    let quiet =
                        std::panic::AssertUnwindSafe(|| sidecar.send_over(protocol, &request));
                    // An incomplete answer does not count.
                    if let Ok(response) = std::panic::catch_unwind(quiet)
                        && let Some(cookie) = SetCookie::of(&response)
                        && !cookie.value.is_empty()
                    {
                        secrets.push(cookie.value);
                    }
                    sent += 1;
                }
            }
        }
        for line in [
            "GET / HTTP/1.1\r\nHost: a\r\nCookie: classified\r\nbroken classified\r\n\r\n",
            "classified\r\n\r\n",
            "GET / HTTP/1.1\r\nCookie: session=classified\r\n\r\n",
        ] {
            let mut client = sidecar.connect();
            client.send(line);
            client.rest();
        }
        sidecar.access_lines(sent);
        let log = sidecar.log();
        for secret in &secrets {
            let line = log.lines().find(|line| contains(line.as_bytes(), secret));
            assert!(line.is_none(), "{secret} at level {level}: {line:?}");
        }
    }
}

#[test]
fn start_says_where_it_listens_what_it_fronts_and_which_key_signs() {
    let backend = Backend::plain();
    let keys = format!("[[keys]]\nid = \"key-of-today\"\nsecret = \"{SECRET}\"");
    let sidecar = Sidecar::before(&backend).keys(&keys).start();
    sidecar.wait_for_log("cloakroom is up", 0);
    let log = sidecar.log();
    for said in [sidecar.addresses()[0].as_str(), backend.url(), "key-of-today"] {
        assert!(log.contains(said), "{said}: {log}");
    }
}

#[test]
fn start_warns_of_what_is_unsafe() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    std::fs::write(&path, SECRET).unwrap();
    let mode = |mode| std::os::unix::fs::PermissionsExt::from_mode(mode);
    std::fs::set_permissions(&path, mode(0o644)).unwrap();
    let file = format!("[[keys]]\nsecret_file = \"{}\"", path.display());
    let weak = "[[keys]]\nsecret = \"weak\"\nallow_weak_secret = true";
    for (keys, listen, warned) in [
        (file.as_str(), "127.0.0.1:0", path.to_str().unwrap()),
        (weak, "127.0.0.1:0", "weak"),
        ("", "0.0.0.0:0", "secure"),
    ] {
        let mut builder = Builder::new("http://127.0.0.1:1").listen(&[listen.into()]);
        if !keys.is_empty() {
            builder = builder.keys(keys);
        }
        let sidecar = builder.start();
        let warnings: Vec<String> = warnings(&sidecar).iter().map(Value::to_string).collect();
        assert!(warnings.iter().any(|warning| warning.contains(warned)), "{warned}: {warnings:?}");
    }
    std::fs::set_permissions(&path, mode(0o600)).unwrap();
    let sidecar = Builder::new("http://127.0.0.1:1").keys(&file).start();
    assert_eq!(warnings(&sidecar), [Value::Null; 0]);
}

fn warnings(sidecar: &Sidecar) -> Vec<Value> {
    let lines = sidecar.log();
    let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let is_warning = |line: &Value| {
        line["level"].as_str().is_some_and(|level| level.eq_ignore_ascii_case("warn"))
    };
    lines.filter(is_warning).collect()
}

#[test]
fn reader_of_the_log_that_stalls_holds_no_request_up() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let stalled = sidecar.stall_log();
    // Much more than the pipe and the buffer can hold.
    let target = format!("/{}", "x".repeat(6000));
    let mut client = sidecar.connect();
    for _ in 0..1000 {
        assert_eq!(client.exchange(&Request::get(&target)).status(), 200);
    }
    assert!(sidecar.count("cloakroom_log_lines_dropped_total") > 0.0);
    drop(stalled);
    let line = sidecar.wait_for_log("log lines were dropped: the log was not read fast enough", 0);
    assert!(line["lines"].as_u64() > Some(0), "{line}");
    // New lines are written again.
    sidecar.get("/after", None);
    let after = |line: &Value| line["path"] == "/after";
    eventually("the line of the last request", || {
        sidecar.access_lines(1).iter().any(after).then_some(())
    });
}

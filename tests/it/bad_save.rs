//! Saves that fail.

use crate::support::{
    Answer, Backend, Issued, Message, Protocol, Request, SetCookie, Sidecar, contains, mint, nested,
};

/// Part of every invalid save; must not appear anywhere.
const DATA: &str = "classified";

/// The fields of an invalid answer.
type Fields = Vec<(&'static str, String)>;

fn saves() -> Vec<Fields> {
    let too_large = format!(r#"{{"classified":"{}"}}"#, "x".repeat(4096));
    let values = [
        DATA,
        "",
        "[\"classified\"]",
        "\"classified\"",
        "1",
        "null",
        "true",
        "{\"classified\"",
        "{\"classified\":1}x",
        "{\"classified\":1}{}",
        "{\"classified\":1,}",
        "{'classified':1}",
        "{\"classified\":NaN}",
        "{\"classified\":Infinity}",
        "{\"classified\":01}",
        "{\"classified\":\"\t\"}",
        "{\"classified\":\"\\x\"}",
        "{\"classified\":1,\"classified\":2}",
        "{\"a\":\"classified\",\"\\u0061\":2}",
        "\u{feff}{\"classified\":1}",
        "{\"classified\":1,\"exp\":\"99999999999\"}",
        "{\"classified\":1,\"exp\":null}",
        "{\"classified\":1,\"exp\":1e400}",
        "{\"classified\":1,\"exp\":1}",
        "{\"classified\":1,\"nbf\":99999999999}",
        "{\"classified\":1,\"nbf\":\"0\"}",
        "{\"classified\":1,\"aud\":\"app\"}",
        "{\"classified\":1,\"sub\":7}",
        "{\"classified\":1,\"jti\":7}",
        "{\"classified\":1,\"iat\":\"now\"}",
        "{\"classified\":1,\"iat\":99999999999}",
        "%7B%22classified%22%3A1%7D",
        "eyJjbGFzc2lmaWVkIjoxfQ",
    ];
    let mut saves: Vec<Fields> =
        values.iter().map(|value| vec![("X-Session-Save", (*value).to_owned())]).collect();
    saves.push(vec![("X-Session-Save", too_large)]);
    saves.push(vec![("X-Session-Save", nested(129))]);
    saves.push(vec![
        ("X-Session-Save", "{}".into()),
        ("X-Session-Save", r#"{"classified":1}"#.into()),
    ]);
    for merge in [
        "",
        DATA,
        "[]",
        "null",
        "\"classified\"",
        "{\"classified\":1,\"classified\":2}",
        "{\"exp\":1}",
        "{\"aud\":\"app\"}",
    ] {
        saves.push(vec![("X-Session-Merge", merge.into())]);
    }
    saves.push(vec![("X-Session-Merge", "{}".into()), ("X-Session-Merge", "{\"a\":1}".into())]);
    saves.push(vec![("X-Session-Save", "{}".into()), ("X-Session-Merge", DATA.into())]);
    saves.push(vec![("X-Session-Save", DATA.into()), ("X-Session-Merge", "{}".into())]);
    for max_age in ["", "-1", "1.5", "1e3", "+5", "0x5", "soon", "5 5", "5,5", "٣"] {
        let max_age = ("X-Session-Max-Age", max_age.to_owned());
        saves.push(vec![("X-Session-Save", r#"{"classified":1}"#.into()), max_age]);
    }
    saves.push(["1", "0"].map(|renew| ("X-Session-Renew", renew.to_owned())).to_vec());
    let twice = ["5", "6"].map(|max_age| ("X-Session-Max-Age", max_age.to_owned()));
    saves.push([("X-Session-Save", "{}".to_owned())].into_iter().chain(twice).collect());
    saves
}

fn answer(fields: &Fields, body: &str) -> Answer {
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    Answer::new(200, &fields, body)
}

fn assert_says_so(response: &Message, what: &str) {
    assert_eq!(response.status(), 502, "{what}: {response:?}");
    let content_type = response.value("Content-Type").unwrap_or_default();
    assert!(content_type.starts_with("text/plain"), "{what}: {content_type:?}");
    assert_eq!(response.values("Set-Cookie"), [""; 0], "{what}");
    let names = response.all_names();
    assert!(!names.iter().any(|name| name.starts_with("x-session")), "{what}: {names:?}");
    let text = response.text();
    assert!(text.contains("session") && text.contains("saved"), "{what}: {text:?}");
    assert!(text.len() < 200 && !text.contains(DATA) && !text.contains("body"), "{what}: {text:?}");
}

#[test]
fn client_is_told_and_the_old_session_stays() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let token = mint(r#"{"n":1}"#);
    let saves = saves();
    for fields in &saves {
        let what = format!("{fields:.60?}");
        backend.will(answer(fields, "body"));
        let response = sidecar.get("/", Some(&token));
        assert_says_so(&response, &what);

        backend.will(Answer::ok(&[]));
        assert_eq!(sidecar.get("/", Some(&token)).status(), 200, "{what}");
        assert_eq!(backend.last().values("X-Session"), [r#"{"n":1}"#], "{what}");
    }
    let rejected = r#"cloakroom_session_writes_total{action="rejected"}"#;
    sidecar.counts(rejected, saves.len() as f64);
    sidecar.counts(r#"cloakroom_session_writes_total{action="saved"}"#, 0.0);
}

#[test]
fn log_says_what_and_how_many_bytes_but_never_the_data() {
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend).log("level = \"debug\"").start();
    let saves = saves();
    for (number, fields) in saves.iter().enumerate() {
        backend.will(answer(fields, "body"));
        sidecar.get("/", Some(&mint("{}")));
        let line = sidecar.wait_for_log("the session could not be saved", number);
        let reason = line["reason"].as_str().unwrap_or_default();
        assert!(!reason.is_empty() && line["bytes"].is_u64(), "{line}");
    }
    sidecar.access_lines(saves.len());
    assert!(!contains(sidecar.log().as_bytes(), DATA));
    assert!(!contains(sidecar.log().as_bytes(), "eyJ"));
}

#[test]
fn broken_bytes_are_broken() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for value in [
        &b"{\"a\":\"\xff\"}"[..],
        b"{\"a\":\"\xc3\"}",
        b"{\"a\":\"\xed\xa0\x80\"}",
        b"\xff",
        b"{\"\xc0\xaf\":1}",
    ] {
        let mut raw = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Session-Save: ".to_vec();
        raw.extend_from_slice(value);
        raw.extend_from_slice(b"\r\n\r\nbody");
        backend.will(Answer::raw(raw));
        assert_says_so(&sidecar.get("/", None), &format!("{value:?}"));
    }
}

#[test]
fn status_and_protocol_do_not_matter() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for status in [200, 204, 302, 304, 404, 500] {
        for protocol in Protocol::ALL {
            backend.will(Answer::new(status, &[("X-Session-Save", DATA)], ""));
            let response = sidecar.send_over(protocol, &Request::get("/"));
            assert_says_so(&response, &format!("{status} over {protocol:?}"));
        }
    }
    backend.will(Answer::raw("HTTP/1.1 200 OK\r\nX-Session-Save: x\r\nContent-Length: 4\r\n\r\n"));
    let response = sidecar.send(&Request::new("HEAD", "/"));
    assert_eq!((response.status(), response.values("Set-Cookie").len()), (502, 0));
}

#[test]
fn broken_base64url_is_broken() {
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend).with("[headers]\nencoding = \"base64url\"").start();
    for value in [r#"{"n":1}"#, "eyJuIjoxfR", "eyJu IjoxfQ", "eyJuIjox!Q", "W10", "_w"] {
        backend.will(Answer::ok(&[("X-Session-Save", value)]));
        assert_says_so(&sidecar.get("/", None), value);
    }
}

#[test]
fn keys_of_the_lifetime_are_not_the_apps_where_the_sidecar_manages_it() {
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend).with("[session]\nttl = \"1h\"").start();
    for save in
        [r#"{"exp":99999999999}"#, r#"{"iat":1}"#, r#"{"cr":{}}"#, r#"{"\u0065xp":99999999999}"#]
    {
        backend.will(Answer::ok(&[("X-Session-Save", save)]));
        assert_says_so(&sidecar.get("/", None), save);
    }
}

#[test]
fn size_counts_the_name_and_the_whole_token() {
    let backend = Backend::new(Answer::ok(&[("X-Session-Save", r#"{"n":2}"#)]));
    let size = "session=".len() + mint(r#"{"n":2}"#).len();
    for (limit, status) in [(size, 200), (size - 1, 502)] {
        let config = format!("[session]\nmax_cookie_bytes = {limit}");
        let sidecar = Sidecar::before(&backend).with(&config).start();
        assert_eq!(sidecar.get("/", None).status(), status);
    }
}

#[test]
fn merge_can_make_a_dict_too_large() {
    let big = format!(r#"{{"a":"{}"}}"#, "x".repeat(2000));
    let merge = big.replace("\"a\"", "\"b\"");
    let backend = Backend::new(Answer::ok(&[("X-Session-Merge", merge.as_str())]));
    let sidecar = Sidecar::start(&backend);
    assert_says_so(&sidecar.get("/", Some(&mint(&big))), "too large");
    assert_eq!(sidecar.get("/", None).status(), 200);
}

/// 1,450 of these fit in a cookie; the header with them is twice as long.
fn wide() -> String {
    format!(r#"{{"a":"{}"}}"#, "é".repeat(1450))
}

#[test]
fn what_no_server_takes_as_a_header_is_not_saved_and_log_out_still_works() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let token = mint(r#"{"n":1}"#);
    let cookie = "session=".len() + mint(wide()).len();
    assert!(cookie < 4096, "{cookie}");
    let half = format!(r#"{{"a":"{}"}}"#, "é".repeat(725));
    let save = [("X-Session-Save", wide())];
    let merge = [("X-Session-Merge", wide())];
    let both = [("X-Session-Save", half.clone()), ("X-Session-Merge", half.replace('a', "b"))];
    for (number, fields) in [&save[..], &merge, &both].into_iter().enumerate() {
        backend.will(answer(&fields.to_vec(), "body"));
        assert_says_so(&sidecar.get("/", Some(&token)), "too long for the header");
        let line = sidecar.wait_for_log("the session could not be saved", number);
        let reason = line["reason"].as_str().unwrap_or_default();
        assert!(reason.ends_with("session.max_bytes = 8192"), "{reason}");
        assert!(line["bytes"].as_u64().is_some_and(|bytes| bytes > 8192), "{line}");
        backend.will(Answer::ok(&[]));
        assert_eq!(sidecar.get("/", Some(&token)).status(), 200);
        assert_eq!(backend.last().values("X-Session"), [r#"{"n":1}"#]);
    }
    backend.will(Answer::ok(&[("X-Session-Delete", "1")]));
    assert!(SetCookie::of(&sidecar.get("/", Some(&token))).unwrap().deletes());
}

#[test]
fn length_in_the_header_is_what_counts() {
    let encoded = |encoding| format!("[headers]\nencoding = \"{encoding}\"\n[session]\n");
    let dict = r#"{"é":"x𝄞"}"#;
    for (encoding, save, bytes) in [
        ("json", dict, r#"{"\u00e9":"x\ud834\udd1e"}"#.len()),
        ("base64url", "eyLDqSI6InjwnYSeIn0", 19),
    ] {
        for (limit, status) in [(bytes, 200), (bytes - 1, 502)] {
            let backend = Backend::new(Answer::ok(&[("X-Session-Save", save)]));
            let config = format!("{}max_bytes = {limit}", encoded(encoding));
            let sidecar = Sidecar::before(&backend).with(&config).start();
            let answer = sidecar.get("/", None);
            assert_eq!(answer.status(), status, "{encoding}, {limit}");
            if status == 200 {
                sidecar.get("/", Some(&SetCookie::token(&answer)));
                assert_eq!(backend.last().value("X-Session").unwrap_or_default().len(), bytes);
            }
        }
    }
}

#[test]
fn session_that_is_too_long_already_is_refreshed_all_the_same() {
    let backend = Backend::plain();
    let config = "[session]\nttl = \"1h\"\nrefresh_after = \"1m\"\nmax_bytes = 6";
    let sidecar = Sidecar::before(&backend).with(config).start();
    let answer = sidecar.get("/", Some(&Issued::ago(100).token(r#"{"n":1}"#)));
    assert_eq!(answer.status(), 200);
    Issued::of(&SetCookie::token(&answer));
}

#[test]
fn ignore_lets_the_answer_pass_and_the_cookie_be() {
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend).with("[session]\non_bad_save = \"ignore\"").start();
    let saves = saves();
    for fields in &saves {
        backend.will(answer(fields, "the body"));
        let response = sidecar.get("/", Some(&mint(r#"{"n":1}"#)));
        assert_eq!(
            (response.status(), response.text().as_str()),
            (200, "the body"),
            "{fields:.60?}"
        );
        assert_eq!(SetCookie::of(&response), None, "{fields:.60?}");
        let names = response.all_names();
        assert!(!names.iter().any(|name| name.starts_with("x-session")), "{names:?}");
    }
    let rejected = r#"cloakroom_session_writes_total{action="rejected"}"#;
    sidecar.counts(rejected, saves.len() as f64);
    sidecar.wait_for_log("the session could not be saved", saves.len() - 1);
    assert!(!contains(sidecar.log().as_bytes(), DATA));
}

#[test]
fn broken_save_is_nobodys_business_where_sessions_are_off() {
    let backend = Backend::new(Answer::ok(&[("X-Session-Save", DATA)]));
    let sidecar =
        Sidecar::before(&backend).with("[[routes]]\npath = \"/off/\"\nsession = \"off\"").start();
    let response = sidecar.get("/off/", None);
    assert_eq!((response.status(), response.text().as_str()), (200, "ok"));
    sidecar.counts(r#"cloakroom_session_writes_total{action="rejected"}"#, 0.0);
}

#[test]
fn broken_save_of_an_informational_answer_is_ignored() {
    let hints = "HTTP/1.1 103 Early Hints\r\nX-Session-Save: classified\r\n\r\n";
    let backend = Backend::new(Answer::raw(hints).and(Answer::ok(&[])));
    let sidecar = Sidecar::start(&backend);
    assert_eq!(sidecar.get("/", None).status(), 200);
    sidecar.counts(r#"cloakroom_session_writes_total{action="rejected"}"#, 0.0);
}

#[test]
fn broken_save_stops_a_switch_of_protocols() {
    let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Session-Save: classified\r\n\r\n";
    let backend = Backend::new(Answer::raw(switch).echo());
    let sidecar = Sidecar::start(&backend);
    let request = Request::get("/")
        .with("Upgrade", "websocket")
        .with("Connection", "Upgrade")
        .with("Sec-WebSocket-Version", "13")
        .with("Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA==");
    assert_says_so(&sidecar.send(&request), "101");
}

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use super::*;
use log::Log as _;
use log::kv::ToValue;
use serde_json::json;

const NOW: Timestamp = Timestamp::from_millis(1_767_322_205_007);

const LINE: AccessLine<'_> = AccessLine {
    method: "GET",
    target: b"/basket?token=secret",
    status: 200,
    protocol: "HTTP/1.1",
    duration: Duration::from_micros(12_345),
    app: None,
    backend: Some(Duration::from_millis(10)),
    outcome: Some("valid"),
    action: Some("saved"),
    bytes: 512,
    client: Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 7))),
    peer: Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 2))),
    user: None,
    request_id: "a-1",
    trace_id: None,
};

fn logger(level: LevelFilter, access: bool) -> Logger {
    Logger { text: None, level, access, writer: None }
}

/// The line for a message with an argument.
fn line_of(target: &str, text: &str) -> String {
    json(
        &Record::builder()
            .target(target)
            .level(Level::Error)
            .line(Some(1351))
            .args(format_args!("Fail to proxy: {text}"))
            .build(),
        NOW,
    )
}

fn parsed(line: &str) -> serde_json::Value {
    assert!(line.ends_with("}\n"), "{line}");
    serde_json::from_str(line).unwrap()
}

#[test]
fn the_access_line_has_its_fields_with_their_types() {
    let line = LINE.with_record(|record| json(record, NOW));
    assert_eq!(
        parsed(&line),
        json!({
            "time": "2026-01-02T02:50:05.007Z", "level": "info", "target": "cloakroom::access",
            "message": "request", "method": "GET", "path": "/basket", "status": 200,
            "protocol": "HTTP/1.1", "duration_ms": 12.345, "backend_ms": 10.0,
            "outcome": "valid", "action": "saved", "bytes": 512, "client": "192.0.2.7",
            "peer": "10.0.0.2", "request_id": "a-1",
        })
    );
}

#[test]
fn the_access_line_as_text_reads_in_the_same_order() {
    let line = LINE.with_record(|record| text(record, NOW, Colour::Off));
    assert_eq!(
        line,
        "2026-01-02T02:50:05.007Z INFO  request method=GET path=/basket status=200 \
         protocol=HTTP/1.1 duration_ms=12.345 backend_ms=10 outcome=valid action=saved \
         bytes=512 client=192.0.2.7 peer=10.0.0.2 request_id=a-1\n"
    );
}

#[test]
fn what_there_is_not_is_left_out() {
    let line =
        AccessLine { backend: None, outcome: None, action: None, client: None, peer: None, ..LINE };
    let line = parsed(&line.with_record(|record| json(record, NOW)));
    for absent in ["backend_ms", "outcome", "action"] {
        assert_eq!(line.get(absent), None, "{absent}");
    }
    assert_eq!((&line["client"], &line["peer"]), (&json!("unix"), &json!("unix")));
}

#[test]
fn only_the_path_of_a_target_is_logged() {
    let table: &[(&[u8], &str)] = &[
        (b"/a/b", "/a/b"),
        (b"/a?b?c", "/a"),
        (b"?b", ""),
        (b"*", "*"),
        (b"http://user:password@host/a?b", "/a"),
        (b"/caf\xc3\xa9/%41", "/caf\u{e9}/%41"),
        (b"/a\x1b[2J\r\n\x7f\xff\xc2\x85", "/a%1B[2J%0D%0A%7F%FF%C2%85"),
        ("/\u{9b}\u{2028}\u{202e}".as_bytes(), "/%C2%9B%E2%80%A8%E2%80%AE"),
    ];
    for (target, expected) in table {
        let line = AccessLine { target, ..LINE };
        let line = parsed(&line.with_record(|record| json(record, NOW)));
        assert_eq!(line["path"], *expected, "{}", target.escape_ascii());
    }
}

#[test]
fn fields_keep_their_json_types() {
    let error = std::io::Error::other("no \"luck\"\n");
    let list = ["a\u{1b}"];
    let fields: Vec<(&str, Value<'_>)> = vec![
        ("null", Value::null()),
        ("yes", true.to_value()),
        ("int", (-7_i32).to_value()),
        ("big", u128::MAX.to_value()),
        ("float", 1.5.to_value()),
        ("nan", f64::NAN.to_value()),
        ("text", "a\"b\n".to_value()),
        ("char", 'x'.to_value()),
        ("error", Value::from_dyn_error(&error)),
        ("debug", Value::from_debug(&list)),
        ("time", "taken".to_value()),
    ];
    let record = Record::builder()
        .target("cloakroom::server")
        .level(Level::Warn)
        .args(format_args!("two\nlines"))
        .key_values(&fields)
        .build();
    let line = json(&record, NOW);
    assert!(line.contains(&format!("\"big\":{},", u128::MAX)), "{line}");
    let line = parsed(&line);
    assert_eq!(line["message"], "two\nlines");
    assert_eq!(line["level"], "warn");
    assert_eq!(line["null"], json!(null));
    assert_eq!(line["yes"], json!(true));
    assert_eq!(line["int"], json!(-7));
    assert_eq!(line["float"], json!(1.5));
    assert_eq!(line["nan"], json!(null));
    assert_eq!(line["text"], "a\"b\n");
    assert_eq!(line["char"], "x");
    assert_eq!(line["error"], "no \"luck\"\n");
    assert_eq!(line["debug"], "[\"a\\u{1b}\"]");
    assert_eq!(line["time_"], "taken");
}

#[test]
fn text_stays_on_one_line() {
    let fields = [("key", "a b"), ("empty", ""), ("forged", "x\n2026 INFO y=\"1\"")];
    let record = Record::builder()
        .target("cloakroom::server")
        .level(Level::Warn)
        .args(format_args!("a\r\nb\u{1b}[2J"))
        .key_values(&fields)
        .build();
    assert_eq!(
        text(&record, NOW, Colour::Off),
        "2026-01-02T02:50:05.007Z WARN  a\\r\\nb\\u{1b}[2J key=\"a b\" empty=\"\" \
         forged=\"x\\n2026 INFO y=\\\"1\\\"\"\n"
    );
}

/// Every character that a terminal or log viewer would interpret, at every place.
#[test]
fn what_is_unprintable_is_escaped_in_both_formats() {
    for character in ['\u{7f}', '\u{85}', '\u{9b}', '\u{2028}', '\u{202e}', '\u{2067}', '\u{feff}']
    {
        let value = format!("a{character}b");
        let spaced = format!("a {character}b");
        let fields = [("bare", &*value), ("quoted", &*spaced), (&*value, "key")];
        let odd = |line: &str| line.trim_end().contains(crate::printable::is_unprintable);
        let message = format_args!("{value}");
        let record = Record::builder()
            .target("cloakroom::server")
            .level(Level::Warn)
            .args(message)
            .key_values(&fields)
            .build();
        let line = json(&record, NOW);
        assert!(!odd(&line), "{}", line.escape_debug());
        let line = parsed(&line);
        assert_eq!(line["message"], value);
        assert_eq!((&line["bare"], &line["quoted"]), (&json!(value), &json!(spaced)));
        assert_eq!(line[&value], "key");
        let line = text(&record, NOW, Colour::Off);
        assert!(!odd(&line), "{}", line.escape_debug());
    }
}

#[test]
fn only_the_level_is_coloured() {
    let record =
        Record::builder().target("cloakroom").level(Level::Error).args(format_args!("no")).build();
    assert_eq!(
        text(&record, NOW, Colour::On),
        "2026-01-02T02:50:05.007Z \u{1b}[31mERROR\u{1b}[0m no\n"
    );
}

#[test]
fn other_crates_never_pass_below_warn() {
    let enabled = |level, target: &str, at| {
        let metadata = Metadata::builder().target(target).level(at).build();
        logger(level, true).enabled(&metadata)
    };
    use LevelFilter as Filter;
    let table = [
        (Filter::Trace, "cloakroom::proxy", Level::Trace, true),
        (Filter::Info, "cloakroom", Level::Debug, false),
        (Filter::Trace, "pingora_core::apps", Level::Info, false),
        (Filter::Trace, "h2::codec", Level::Trace, false),
        (Filter::Trace, "cloakroom_other", Level::Info, false),
        (Filter::Info, "pingora_core::listeners", Level::Warn, true),
        (Filter::Info, "pingora_proxy", Level::Error, false),
        (Filter::Debug, "pingora_proxy", Level::Warn, true),
        (Filter::Error, "pingora_proxy", Level::Warn, false),
        (Filter::Off, "pingora_proxy", Level::Error, false),
        (Filter::Off, "cloakroom", Level::Error, false),
    ];
    for (level, target, at, expected) in table {
        assert_eq!(enabled(level, target, at), expected, "{level} {target} {at}");
    }
}

#[test]
fn access_lines_have_a_switch_of_their_own() {
    let metadata = Metadata::builder().target(ACCESS).level(Level::Info).build();
    assert!(logger(LevelFilter::Error, true).enabled(&metadata));
    assert!(!logger(LevelFilter::Trace, false).enabled(&metadata));
}

#[test]
fn what_may_quote_a_request_is_withheld() {
    let head = "buf: GET / HTTP/1.1\\r\\nCookie: session=eyJ";
    for target in ["pingora_proxy", "pingora_core::protocols::http::v1::server", "h2"] {
        let line = line_of(target, head);
        assert!(!line.contains("eyJ") && !line.contains("GET"), "{line}");
        let line = parsed(&line);
        assert_eq!(line["target"], target);
        assert_eq!(line["level"], "error");
        assert!(line["message"].as_str().unwrap().contains("line 1351"));
    }
    for target in ["cloakroom::proxy", "pingora_core::services::listening", "rustls::conn"] {
        assert!(line_of(target, "no such file").contains("Fail to proxy: no such file"));
    }
    for target in ["rustls_other", "pingora_core::server_other"] {
        assert!(!line_of(target, head).contains("eyJ"));
    }
    let literal = Record::builder()
        .target("pingora_proxy")
        .args(format_args!("Upstream body is already finished"))
        .build();
    assert!(json(&literal, NOW).contains("Upstream body is already finished"));
}

#[test]
fn the_fields_of_other_crates_are_withheld_as_well() {
    let fields = [("header", "session=eyJ")];
    let record = Record::builder()
        .target("pingora_proxy")
        .args(format_args!("x"))
        .key_values(&fields)
        .build();
    assert!(!json(&record, NOW).contains("eyJ"));
    assert!(!text(&record, NOW, Colour::Off).contains("eyJ"));
}

//! Fields of the access line for the user and the trace of a request.

use serde_json::Value;

use crate::support::{Backend, Protocol, Request, Sidecar, mint};

const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const OTHER: &str = "00f067aa0ba902b7";

#[test]
fn the_user_stands_in_the_log_where_that_is_asked_for() {
    let backend = Backend::plain();
    let token = mint("{\"user\":{\"id\":\"ada\\u202e\u{e9}\"}}");
    let subject = "[session]\nsubject = \"user.id\"";
    let sidecar = Sidecar::before(&backend).with(subject).log("user = true").start();
    sidecar.get("/", Some(&token));
    sidecar.get("/", None);
    let lines = sidecar.access_lines(2);
    assert_eq!(lines[0]["user"], "ada%E2%80%AE\u{e9}");
    assert_eq!(lines[1].get("user"), None);
    let silent = Sidecar::before(&backend).with(subject).start();
    silent.get("/", Some(&token));
    assert_eq!(silent.access_lines(1)[0].get("user"), None);
}

#[test]
fn a_traceparent_is_passed_on_and_its_trace_logged() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let sent = format!("00-{ID}-{OTHER}-00");
    let request = Request::get("/").with("Traceparent", &sent).with("tracestate", "a=b");
    for (number, protocol) in [Protocol::Http11, Protocol::H2c].into_iter().enumerate() {
        sidecar.send_over(protocol, &request);
        assert_eq!(backend.last().value("traceparent").as_deref(), Some(&*sent));
        assert_eq!(backend.last().value("tracestate").as_deref(), Some("a=b"));
        assert_eq!(sidecar.access_lines(number + 1)[number]["trace_id"], ID);
    }
    // By default the sidecar starts no trace.
    sidecar.get("/", None);
    assert_eq!(backend.last().value("traceparent"), None);
    assert_eq!(sidecar.access_lines(3)[2].get("trace_id"), None);
}

#[test]
fn a_request_without_a_valid_traceparent_begins_a_trace_where_that_is_asked_for() {
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend).log("trace = true").start();
    for (number, sent) in [None, Some("nonsense"), Some("")].into_iter().enumerate() {
        let mut request = Request::get("/").with("tracestate", "a=b");
        if let Some(sent) = sent {
            request = request.with("traceparent", sent);
        }
        sidecar.send(&request);
        let seen = backend.last().value("traceparent").unwrap();
        assert!(seen.len() == 55 && seen.starts_with("00-") && seen.ends_with("-01"), "{seen}");
        assert_eq!(backend.last().value("tracestate"), None);
        let logged = &sidecar.access_lines(number + 1)[number]["trace_id"];
        assert_eq!(*logged, Value::from(&seen[3..35]));
    }
    let sent = format!("00-{ID}-{OTHER}-00");
    sidecar.send(&Request::get("/").with("traceparent", &sent));
    assert_eq!(backend.last().value("traceparent").as_deref(), Some(&*sent));
}

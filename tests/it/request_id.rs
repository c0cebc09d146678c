//! `X-Request-Id`, and the sidecar's answers if the backend fails.

use serde_json::Value;

use crate::support::{Answer, Backend, Builder, Message, Protocol, Request, Sidecar};

fn id_at(backend: &Backend) -> String {
    backend.last().value("X-Request-Id").expect("a request id")
}

#[test]
fn each_request_has_one_at_the_backend_and_in_the_log() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let mut ids = Vec::new();
    for protocol in Protocol::ALL {
        sidecar.send_over(protocol, &Request::get("/"));
        ids.push(id_at(&backend));
    }
    let logged: Vec<String> = sidecar
        .access_lines(3)
        .iter()
        .map(|line| line["request_id"].as_str().expect("an id").to_owned())
        .collect();
    assert_eq!(ids, logged);
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3, "{ids:?}");
}

#[test]
fn clients_own_is_kept_where_it_is_a_word() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    sidecar.send(&Request::get("/").with("x-request-id", "req_1.2-3"));
    assert_eq!(id_at(&backend), "req_1.2-3");
    for odd in ["a b", "\"", "<script>", "", "x\u{7f}", &"x".repeat(129)] {
        sidecar.send(&Request::get("/").with("X-Request-Id", odd));
        assert_ne!(id_at(&backend), odd);
    }
    sidecar.send(&Request::get("/").with("X-Request-Id", "a").with("X_Request.Id", "b"));
    assert_eq!(id_at(&backend), "a");
    assert!(!backend.last().all_names().contains(&"x_request.id".into()));
    sidecar.send(&Request::get("/").with("X-Request-Id", "a").with("X-Request-Id", "b"));
    assert!(!["a", "b"].contains(&id_at(&backend).as_str()));
}

/// The answer to a request whose backend is unreachable.
fn unreachable(sidecar: &Sidecar, accept: &str) -> Message {
    let request = Request::get("/").with("X-Request-Id", "id-7");
    sidecar.send(&if accept.is_empty() { request } else { request.with("Accept", accept) })
}

#[test]
fn failures_name_the_request_in_a_sentence_or_in_json() {
    let sidecar = Builder::new("http://127.0.0.1:1").start();
    for accept in ["", "*/*", "text/html,application/json"] {
        let response = unreachable(&sidecar, accept);
        assert_eq!(response.status(), 502);
        assert_eq!(response.value("X-Request-Id").as_deref(), Some("id-7"));
        assert!(response.value("Content-Type").unwrap().starts_with("text/plain"));
        let text = response.text();
        assert!(text.starts_with("502 ") && text.contains("id-7"), "{text}");
    }
    for (accept, media_type) in [
        ("application/json", "application/json"),
        ("application/problem+json, application/json", "application/problem+json"),
    ] {
        let response = unreachable(&sidecar, accept);
        assert_eq!(response.value("Content-Type").as_deref(), Some(media_type));
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(body["status"], 502);
        assert_eq!(body["title"], "Bad Gateway");
        assert_eq!(body["request_id"], "id-7");
    }
    let failed = sidecar.wait_for_log("the backend failed", 0);
    assert_eq!(failed["request_id"], "id-7");
}

#[test]
fn refused_heads_and_saves_have_one_too() {
    let backend = Backend::new(Answer::ok(&[("X-Session-Save", "broken")]));
    let sidecar = Sidecar::start(&backend);
    let mut client = sidecar.connect();
    client.send("GET / HTTP/1.1\nHost: a\r\n\r\n");
    let refused = client.receive("GET");
    let id = refused.value("X-Request-Id").expect("an id");
    assert!(refused.text().contains(&id), "{refused:?}");
    assert_eq!(sidecar.access_lines(1)[0]["request_id"], id.as_str());
    let response = sidecar.send(&Request::get("/").with("X-Request-Id", "id-8"));
    assert_eq!(response.status(), 502);
    assert!(response.text().contains("could not be saved"), "{response:?}");
    assert_eq!(sidecar.wait_for_log("the session could not be saved", 0)["request_id"], "id-8");
}

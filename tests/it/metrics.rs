//! `/metrics`, `/healthz`, `/readyz`.

use crate::support::{
    Answer, Backend, Builder, Client, Protocol, Request, SECRET, SetCookie, Sidecar, eventually,
    mint,
};

const FAMILIES: &[(&str, &str)] = &[
    ("cloakroom_requests_total", "counter"),
    ("cloakroom_request_duration_seconds", "histogram"),
    ("cloakroom_backend_duration_seconds", "histogram"),
    ("cloakroom_session_checks_total", "counter"),
    ("cloakroom_session_writes_total", "counter"),
    ("cloakroom_session_cookie_bytes", "histogram"),
    ("cloakroom_key_uses_total", "counter"),
    ("cloakroom_spoofed_headers_total", "counter"),
    ("cloakroom_odd_headers_removed_total", "counter"),
    ("cloakroom_claim_headers_skipped_total", "counter"),
    ("cloakroom_backend_errors_total", "counter"),
    ("cloakroom_session_conflicts_total", "counter"),
    ("cloakroom_store_duration_seconds", "histogram"),
    ("cloakroom_store_errors_total", "counter"),
    ("cloakroom_store_up", "gauge"),
    ("cloakroom_store_evicts", "gauge"),
    ("cloakroom_store_unreplicated_total", "counter"),
    ("cloakroom_revocations", "gauge"),
    ("cloakroom_revocations_age_seconds", "gauge"),
    ("cloakroom_connections_active", "gauge"),
    ("cloakroom_requests_in_flight", "gauge"),
    ("cloakroom_config_reloads_total", "counter"),
    ("cloakroom_config_last_reload_success_timestamp_seconds", "gauge"),
    ("cloakroom_build_info", "gauge"),
    ("process_resident_memory_bytes", "gauge"),
    ("process_start_time_seconds", "gauge"),
];

/// A label of a family with its values.
const LABELS: &[(&str, &str, &[&str])] = &[
    (
        "cloakroom_session_checks_total",
        "outcome",
        &[
            "valid",
            "absent",
            "expired",
            "not_yet_valid",
            "bad_signature",
            "malformed",
            "unknown_key",
            "wrong_claim",
            "too_large",
        ],
    ),
    (
        "cloakroom_session_writes_total",
        "action",
        &["saved", "merged", "deleted", "refreshed", "refresh_skipped", "rejected"],
    ),
    (
        "cloakroom_session_conflicts_total",
        "result",
        &["rebased", "merged", "overwritten", "refused", "ended"],
    ),
    (
        "cloakroom_store_errors_total",
        "kind",
        &["timeout", "connect", "protocol", "full", "readonly", "open_circuit"],
    ),
    (
        "cloakroom_store_duration_seconds_count",
        "op",
        &["load", "save", "delete", "touch", "revoke", "list"],
    ),
    ("cloakroom_backend_errors_total", "kind", &["connect", "timeout", "reset", "protocol"]),
    ("cloakroom_config_reloads_total", "outcome", &["success", "failure"]),
];

#[test]
fn every_family_is_there_from_the_start() {
    let sidecar = Sidecar::start(&Backend::plain());
    let metrics = sidecar.metrics();
    for (family, kind) in FAMILIES {
        assert_eq!(metrics.type_of(family).as_deref(), Some(*kind), "{family}");
    }
    let response = sidecar.admin("/metrics");
    let content_type = response.value("Content-Type").unwrap_or_default();
    assert!(content_type.starts_with("text/plain; version=0.0.4"), "{content_type}");
}

#[test]
fn every_label_value_is_there_from_the_start() {
    let keys = format!(
        "[[keys]]\nid = \"a\"\nsecret = \"{SECRET}\"\n\n[[keys]]\nsecret = \"another {SECRET}\"\n"
    );
    let sidecar = Sidecar::before(&Backend::plain()).keys(&keys).start();
    let metrics = sidecar.metrics();
    for (family, label, values) in LABELS {
        for value in *values {
            let series = format!("{family}{{{label}=\"{value}\"}}");
            assert_eq!(metrics.get(&series), Some(0.0), "{series}");
        }
    }
    for key in ["a", "2"] {
        for used in ["sign", "verify"] {
            let series = format!("cloakroom_key_uses_total{{key=\"{key}\",use=\"{used}\"}}");
            assert_eq!(metrics.get(&series), Some(0.0), "{series}");
        }
    }
    for method in
        ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH", "other"]
    {
        let series = format!("cloakroom_requests_total{{method=\"{method}\",status=\"200\"}}");
        assert_eq!(metrics.get(&series), Some(0.0), "{series}");
    }
    for histogram in [
        "cloakroom_request_duration_seconds",
        "cloakroom_backend_duration_seconds",
        "cloakroom_session_cookie_bytes",
    ] {
        assert_eq!(metrics.get(&format!("{histogram}_count")), Some(0.0), "{histogram}");
    }
    for series in [
        "cloakroom_spoofed_headers_total",
        "cloakroom_odd_headers_removed_total",
        "cloakroom_claim_headers_skipped_total",
        "cloakroom_connections_active",
        "cloakroom_requests_in_flight",
    ] {
        assert_eq!(metrics.get(series), Some(0.0), "{series}");
    }
    assert_eq!(metrics.sum("cloakroom_build_info"), 1.0);
    assert!(metrics.text.contains(&format!("version=\"{}\"", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn requests_are_counted_by_method_and_status() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND", "get"];
    for method in methods {
        backend.will(Answer::new(204, &[], ""));
        sidecar.send(&Request::new(method, "/"));
        let label = if method == "PROPFIND" || method == "get" { "other" } else { method };
        let expected = if method == "get" { 2.0 } else { 1.0 };
        sidecar.counts(
            &format!("cloakroom_requests_total{{method=\"{label}\",status=\"204\"}}"),
            expected,
        );
    }
    backend.will(Answer::new(599, &[], ""));
    sidecar.get("/", None);
    sidecar.counts(r#"cloakroom_requests_total{method="GET",status="599"}"#, 1.0);
    let all = (methods.len() + 1) as f64;
    sidecar.counts("cloakroom_request_duration_seconds_count", all);
    sidecar.counts("cloakroom_backend_duration_seconds_count", all);
}

#[test]
fn checks_are_one_for_each_request() {
    let sidecar = Sidecar::start(&Backend::plain());
    let valid = mint("{}");
    sidecar
        .send(&Request::get("/").with("Cookie", format!("session=x; session={valid}; session=y")));
    sidecar.get("/", Some(&valid));
    sidecar.get("/", None);
    sidecar.counts(r#"cloakroom_session_checks_total{outcome="absent"}"#, 1.0);
    sidecar.counts(r#"cloakroom_session_checks_total{outcome="valid"}"#, 2.0);
    assert_eq!(sidecar.metrics().sum("cloakroom_session_checks_total"), 3.0);
}

#[test]
fn cookies_are_measured() {
    let backend = Backend::new(Answer::ok(&[("X-Session-Save", r#"{"n":1}"#)]));
    let sidecar = Sidecar::start(&backend);
    let token = SetCookie::token(&sidecar.get("/", None));
    sidecar.counts("cloakroom_session_cookie_bytes_count", 1.0);
    let size = "session=".len() + token.len();
    sidecar.counts("cloakroom_session_cookie_bytes_sum", size as f64);
    backend.will(Answer::ok(&[("X-Session-Delete", "1")]));
    sidecar.get("/", None);
    sidecar.counts(r#"cloakroom_session_writes_total{action="deleted"}"#, 1.0);
    sidecar.counts("cloakroom_session_cookie_bytes_count", 1.0);
}

#[test]
fn keys_are_counted_by_use() {
    let backend = Backend::new(Answer::ok(&[("X-Session-Save", "{}")]));
    let sidecar = Sidecar::start(&backend);
    sidecar.get("/", None);
    sidecar.get("/", Some(&mint("{}")));
    sidecar.get("/", Some(&mint(r#"{"exp":1}"#)));
    sidecar.counts(r#"cloakroom_key_uses_total{key="1",use="sign"}"#, 3.0);
    assert!(
        sidecar.metrics().get(r#"cloakroom_key_uses_total{key="1",use="verify"}"#) >= Some(1.0)
    );
}

#[test]
fn gauges_follow_what_is_open() {
    let gate = crate::support::Gate::default();
    let backend = Backend::new(Answer::default().hold(&gate).and(Answer::ok(&[])));
    let sidecar = Sidecar::start(&backend);
    let mut client = sidecar.connect();
    client.send(Request::get("/").bytes(Protocol::Http11));
    let idle = Client::connect(sidecar.address());
    sidecar.counts("cloakroom_requests_in_flight", 1.0);
    sidecar.counts("cloakroom_connections_active", 2.0);
    gate.open();
    client.receive("GET");
    sidecar.counts("cloakroom_requests_in_flight", 0.0);
    drop((client, idle));
    sidecar.counts("cloakroom_connections_active", 0.0);
}

#[test]
fn health_is_the_process_and_readiness_the_backend() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("app.sock");
    let sidecar = Builder::new(&format!("unix:{}", socket.display())).start();
    assert_eq!(sidecar.admin("/healthz").status(), 200);
    assert_eq!(sidecar.admin("/readyz").status(), 503);
    let _backend = Backend::unix(&socket, Answer::ok(&[]));
    eventually("readiness", || (sidecar.admin("/readyz").status() == 200).then_some(()));
    std::fs::remove_file(&socket).unwrap();
    eventually("the end of readiness", || (sidecar.admin("/readyz").status() == 503).then_some(()));
    assert_eq!(sidecar.admin("/healthz").status(), 200);
}

#[test]
fn admin_pages_are_on_their_own_listener_only() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(sidecar.get(path, None).text(), "ok", "{path} is the backend's");
        assert_eq!(backend.last().target(), path);
    }
    assert_eq!(sidecar.admin("/nowhere").status(), 404);
    assert_eq!(sidecar.admin("/metrics/x").status(), 404);
}

#[test]
fn nothing_of_a_request_becomes_a_label() {
    let sidecar = Sidecar::start(&Backend::plain());
    let token = crate::support::token::mint_with(r#"{"alg":"HS256","kid":"classified"}"#, "{}");
    sidecar.send(&Request::new("CLASSIFIED", "/classified").session(&token));
    sidecar.counts(r#"cloakroom_requests_total{method="other",status="200"}"#, 1.0);
    assert!(!sidecar.metrics().text.to_ascii_lowercase().contains("classified"));
}

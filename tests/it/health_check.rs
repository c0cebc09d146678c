//! `[health_check]`: the backend's answer decides about readiness.

use crate::support::{Answer, Backend, Builder, Sidecar, eventually};

const CHECK: &str = "[health_check]\npath = \"/well?\"\ninterval = \"20ms\"\ntimeout = \"200ms\"";

fn becomes(sidecar: &Sidecar, status: u16) {
    eventually(&format!("readiness {status}"), || {
        (sidecar.admin("/readyz").status() == status).then_some(())
    });
}

#[test]
fn readiness_follows_what_the_backend_answers() {
    let backend = Backend::new(Answer::new(204, &[], ""));
    let sidecar = Sidecar::before(&backend).with(CHECK).start();
    becomes(&sidecar, 200);
    let asked = backend.last();
    assert_eq!(asked.target(), "/well?");
    assert!(asked.value("X-Session").is_none(), "it is nobody's request");
    let healthy = format!("cloakroom_backend_healthy{{backend=\"{}\"}}", backend.url());
    for bad in [
        Answer::new(503, &[], "no"),
        Answer::default().hang(),
        Answer::raw("nonsense\r\n\r\n").close(),
        Answer::default().reset(),
    ] {
        backend.will(bad);
        becomes(&sidecar, 503);
        assert_eq!(sidecar.count(&healthy), 0.0);
        backend.will(Answer::new(302, &[("Location", "/login")], ""));
        becomes(&sidecar, 200);
        assert_eq!(sidecar.count(&healthy), 1.0);
    }
    sidecar.wait_for_log("the backend is not healthy", 3);
    sidecar.wait_for_log("the backend is healthy", 4);
    // They do not count as requests of clients.
    assert_eq!(
        sidecar.metrics().get(r#"cloakroom_requests_total{method="GET",status="204"}"#),
        Some(0.0)
    );
}

#[test]
fn one_failure_is_none_where_two_are_asked_for() {
    let backend = Backend::plain();
    let answers = std::sync::atomic::AtomicUsize::new(0);
    let flaky = Backend::by(move |_| {
        let number = answers.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        if number % 2 == 1 { Answer::new(500, &[], "") } else { Answer::ok(&[]) }
    });
    let sidecar = Sidecar::before(&flaky).with(&format!("{CHECK}\nfailures = 2")).start();
    becomes(&sidecar, 200);
    flaky.wait_for(10);
    assert_eq!(sidecar.admin("/readyz").status(), 200);
    assert!(!sidecar.log().contains("not healthy"), "{}", sidecar.log());
    assert!(backend.received().is_empty());
}

#[test]
fn backend_that_was_never_there_is_not_ready() {
    let sidecar = Builder::new("http://127.0.0.1:1").with(CHECK).start();
    sidecar.wait_for_log("the backend is not healthy", 0);
    becomes(&sidecar, 503);
}

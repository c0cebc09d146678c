//! Two apps behind one sidecar, by route: they share the session and nothing else.

use crate::support::{
    Answer, Backend, Builder, Certificate, Message, Protocol, Request, SetCookie, Sidecar, Volume,
    Way, eventually, mint,
};

const RELOADED: &str = r#"cloakroom_config_reloads_total{outcome="success"}"#;

/// Paths below `/new/` go to the second app.
fn before(old: &Backend, new: &str) -> Builder {
    Sidecar::before(old).with(&format!("[[routes]]\npath = \"/new/\"\nbackend = \"{new}\""))
}

fn post(target: &str) -> Request {
    Request::new("POST", target).session(&mint(r#"{"n":1}"#)).body("pay")
}

fn healthy(backend: &str) -> String {
    format!("cloakroom_backend_healthy{{backend=\"{backend}\"}}")
}

/// An address on which nothing listens.
fn nowhere() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn each_app_gets_its_own_requests_with_one_session() {
    let (old, new) = (Backend::plain(), Backend::plain());
    let sidecar = before(&old, new.url()).start();
    for protocol in Protocol::ALL {
        for (target, app, other) in [
            ("/", &old, &new),
            ("/new", &new, &old),
            ("/new/x?y", &new, &old),
            ("/newer", &old, &new),
            ("/x/../new/y", &new, &old),
            ("/new/../x", &old, &new),
            ("/%6eew/x", &new, &old),
        ] {
            let arrived = other.received().len();
            let request = Request::get(target).session(&mint(r#"{"n":1}"#));
            assert_eq!(sidecar.send_over(protocol, &request).status(), 200, "{target}");
            let received = app.last();
            assert_eq!(received.target(), target, "{protocol:?}");
            assert_eq!(received.values("X-Session"), [r#"{"n":1}"#], "{target}");
            assert_eq!(other.received().len(), arrived, "{target} {protocol:?}");
        }
    }
    // One app reads what the other has saved.
    new.will(Answer::ok(&[("X-Session-Save", r#"{"by":"new"}"#)]));
    let response = sidecar.get("/new/login", None);
    let cookie = SetCookie::of(&response).expect("a cookie");
    sidecar.get("/", Some(&cookie.value));
    assert_eq!(old.last().values("X-Session"), [r#"{"by":"new"}"#]);
}

#[test]
fn each_app_faults_alone_and_a_post_is_never_sent_to_the_other() {
    let (old, new) = (Backend::plain(), Backend::plain());
    let sidecar = before(&old, new.url()).start();
    // The pool has connections to both.
    assert_eq!(sidecar.send(&post("/new/x")).status(), 200);
    assert_eq!(sidecar.send(&post("/x")).status(), 200);
    let faults = [
        (Answer::default().reset(), 502),
        (Answer::default().close(), 502),
        (Answer::raw("nonsense\r\n\r\n").close(), 502),
    ];
    for (ill, target, well, other) in [(&new, "/new/x", &old, "/x"), (&old, "/x", &new, "/new/x")] {
        for (fault, status) in &faults {
            ill.will(fault.clone());
            for protocol in Protocol::ALL {
                let (before, others) = (ill.received().len(), well.received().len());
                assert_eq!(sidecar.send_over(protocol, &post(target)).status(), *status);
                assert_eq!(well.received().len(), others, "{target} {protocol:?}");
                assert_eq!(ill.received().len(), before + 1, "{target} {protocol:?}: once");
                assert_eq!(sidecar.send_over(protocol, &post(other)).status(), 200);
            }
        }
        ill.will(Answer::ok(&[]));
        assert_eq!(sidecar.send(&post(target)).status(), 200);
    }
    let line = sidecar.wait_for_log("the backend failed", 0);
    assert_eq!(line["backend"], new.url());
}

#[test]
fn app_that_is_not_there_is_no_matter_to_the_other() {
    let old = Backend::plain();
    let gone = nowhere();
    let sidecar = before(&old, &gone).start();
    for protocol in Protocol::ALL {
        assert_eq!(sidecar.send_over(protocol, &post("/new/x")).status(), 502);
        assert!(old.received().iter().all(|request| request.target() == "/x"));
        assert_eq!(sidecar.send_over(protocol, &post("/x")).status(), 200);
    }
    assert_eq!(sidecar.wait_for_log("the backend failed", 0)["backend"], gone);
    let ready = sidecar.admin("/readyz");
    assert_eq!(ready.status(), 503);
    assert_eq!(ready.text(), format!("the backend cannot be reached: {gone}\n"));
    let lines = sidecar.access_lines(6);
    let of = |path: &str| lines.iter().find(|line| line["path"] == path).expect("a line").clone();
    assert_eq!(of("/x")["backend"], old.url());
    assert!(of("/new/x")["backend"].is_null(), "it was handed to nobody");
}

#[test]
fn health_is_that_of_each_app() {
    const CHECK: &str =
        "[health_check]\npath = \"/well\"\ninterval = \"20ms\"\ntimeout = \"200ms\"";
    let (old, new) = (Backend::plain(), Backend::plain());
    let sidecar = before(&old, new.url()).with(CHECK).start();
    let ready = |text: &str| {
        eventually(text, || {
            let ready: Message = sidecar.admin("/readyz");
            (ready.text() == text).then_some(ready.status())
        })
    };
    assert_eq!(ready("ready\n"), 200);
    for (ill, well) in [(&new, &old), (&old, &new)] {
        ill.will(Answer::new(500, &[], ""));
        assert_eq!(ready(&format!("the backend is not healthy: {}\n", ill.url())), 503);
        assert_eq!(sidecar.count(&healthy(ill.url())), 0.0);
        assert_eq!(sidecar.count(&healthy(well.url())), 1.0);
        ill.will(Answer::default().hang());
        well.will(Answer::ok(&[]));
        let asked = well.received().len();
        well.wait_for(asked + 3);
        ill.will(Answer::ok(&[]));
        assert_eq!(ready("ready\n"), 200);
    }
    new.will(Answer::new(500, &[], ""));
    old.will(Answer::new(500, &[], ""));
    ready(&format!("the backend is not healthy: {}, {}\n", old.url(), new.url()));
    let line = sidecar.wait_for_log("the backend is not healthy", 0);
    assert_eq!(line["backend"], new.url());
}

#[test]
fn apps_come_and_go_with_a_reload() {
    let (old, new) = (Backend::plain(), Backend::plain());
    let without = Sidecar::before(&old);
    let with = before(&old, new.url());
    let mut volume = Volume::of(Way::Rename, "cloakroom.toml", &without.text());
    let sidecar = without.file(volume.path("cloakroom.toml")).start();
    sidecar.get("/new/x", None);
    assert_eq!(old.last().target(), "/new/x");
    assert_eq!(sidecar.metrics().get(&healthy(new.url())), None);

    volume.put(&[("cloakroom.toml", &with.text())]);
    sidecar.counts(RELOADED, 1.0);
    sidecar.get("/new/y", None);
    assert_eq!(new.last().target(), "/new/y");
    assert_eq!(old.received().len(), 1);
    assert_eq!(sidecar.count(&healthy(new.url())), 1.0);

    volume.put(&[("cloakroom.toml", &Sidecar::before(&old).text())]);
    sidecar.counts(RELOADED, 2.0);
    sidecar.get("/new/z", None);
    assert_eq!(old.last().target(), "/new/z");
    assert_eq!(sidecar.metrics().get(&healthy(new.url())), None);
    assert_eq!(sidecar.count(&healthy(old.url())), 1.0);
}

#[test]
fn certificate_of_a_routes_backend_is_verified() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::new(folder.path(), "app.test");
    let (old, new) = (Backend::plain(), Backend::tls(&certificate, Answer::ok(&[])));
    let tls = |name: &str| {
        format!("[backend_tls]\nca_file = {:?}\nserver_name = \"{name}\"", certificate.cert)
    };
    let sidecar = before(&old, new.url()).with(&tls("app.test")).start();
    assert_eq!(sidecar.send(&post("/new/x")).status(), 200);
    assert_eq!(sidecar.send(&post("/x")).status(), 200);
    let sidecar = before(&old, new.url()).with(&tls("other.test")).start();
    assert_eq!(sidecar.send(&post("/new/x")).status(), 502);
    assert_eq!(sidecar.send(&post("/x")).status(), 200);
    assert_eq!((old.received().len(), new.received().len()), (2, 1));
}

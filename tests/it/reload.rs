//! A changed configuration is applied without losing a request; a faulty one changes nothing.
//! [`crate::reload_files`] tests the ways in which files change.

use std::thread;

use jsonwebtoken::Algorithm;

use crate::support::h2c::Connection;
use crate::support::{
    Answer, Backend, Builder, Gate, Message, Protocol, Request, SECRET, SetCookie, Sidecar, Volume,
    Way, eventually, mint, token,
};

const SUCCESS: &str = r#"cloakroom_config_reloads_total{outcome="success"}"#;
const FAILURE: &str = r#"cloakroom_config_reloads_total{outcome="failure"}"#;
const WHEN: &str = "cloakroom_config_last_reload_success_timestamp_seconds";
const FILE: &str = "cloakroom.toml";
const SAVE: &str = r#"{"n":2}"#;
const NEW_SECRET: &str = "another secret of the tests, which is long enough";
const NEW_HEADER: &str = r#"{"typ":"JWT","alg":"HS256","kid":"new"}"#;

fn saving() -> Backend {
    Backend::new(Answer::ok(&[("X-Session-Save", SAVE)]))
}

/// A configuration with this cookie name.
fn named(backend: &Backend, cookie: &str) -> Builder {
    Sidecar::before(backend).with(&format!("[cookie]\nname = \"{cookie}\""))
}

/// A sidecar, and the file it reads.
fn start(builder: Builder) -> (Sidecar, Volume) {
    let volume = Volume::of(Way::Rename, FILE, &builder.text());
    (builder.file(volume.path(FILE)).start(), volume)
}

/// The names of the cookies set by an answer.
fn sets(response: &Message) -> Vec<String> {
    let fields = response.values("Set-Cookie");
    fields.iter().map(|field| field.split('=').next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn sighup_reloads_at_once() {
    let backend = saving();
    let (sidecar, mut volume) = start(named(&backend, "one"));
    assert_eq!(sets(&sidecar.get("/", None)), ["one"]);
    let begun = sidecar.count(WHEN);
    assert!(begun > 0.0, "{begun}");
    sidecar.signal("HUP");
    sidecar.counts(SUCCESS, 1.0);
    assert_eq!(sidecar.wait_for_log("reloaded", 0)["why"], "SIGHUP");
    volume.put(&[(FILE, &named(&backend, "two").text())]);
    sidecar.signal("HUP");
    // By the signal or by the file check, whichever comes first, or both.
    eventually("the new name", || (sets(&sidecar.get("/", None)) == ["two"]).then_some(()));
    assert!(sidecar.count(WHEN) >= begun);
    assert_eq!(sidecar.count(FAILURE), 0.0);
}

#[test]
fn a_connection_that_is_open_has_the_new_state_at_its_next_request() {
    let backend = saving();
    let (sidecar, mut volume) = start(named(&backend, "one"));
    let mut client = sidecar.connect();
    assert_eq!(sets(&client.exchange(&Request::get("/"))), ["one"]);
    let connection = crate::support::h2c::Connection::open(sidecar.address());
    let over_h2 = || connection.receive(connection.send(&Request::get("/")));
    assert_eq!(sets(&over_h2()), ["one"]);
    volume.put(&[(FILE, &named(&backend, "two").text())]);
    sidecar.counts(SUCCESS, 1.0);
    assert_eq!(sets(&client.exchange(&Request::get("/"))), ["two"]);
    assert_eq!(sets(&over_h2()), ["two"]);
}

#[test]
fn request_under_way_keeps_the_state_it_began_with() {
    for protocol in Protocol::ALL {
        let gate = Gate::default();
        let answer = Answer::ok(&[("X-Session-Save", SAVE), ("X-Other-Save", r#"{"n":3}"#)]);
        let backend = {
            let gate = gate.clone();
            Backend::by(move |request| match request.target() {
                "/slow" => Answer::default().hold(&gate).and(answer.clone()),
                _ => answer.clone(),
            })
        };
        let (sidecar, mut volume) = start(named(&backend, "one"));
        let new = named(&backend, "two").keys(&format!(
            "[[keys]]\nid = \"new\"\nsecret = \"{NEW_SECRET}\"\n\n[[keys]]\nid = \"old\"\nsecret = \"{SECRET}\""
        ));
        let new = new.with("[headers]\nsession = \"X-Other\"");
        thread::scope(|scope| {
            let slow = scope.spawn(|| sidecar.send_over(protocol, &Request::get("/slow")));
            backend.wait_for(1);
            volume.put(&[(FILE, &new.text())]);
            sidecar.counts(SUCCESS, 1.0);
            assert_eq!(sets(&sidecar.get("/", None)), ["two"]);
            gate.open();
            let answer = slow.join().expect("an answer");
            assert_eq!(answer.status(), 200);
            // Signed by the key that is current at the end.
            let signed = SetCookie::named("one", &answer).unwrap().value;
            assert_eq!(token::payload_as(&signed, NEW_HEADER, NEW_SECRET, Algorithm::HS256), SAVE);
            assert_eq!(sets(&answer), ["one"]);
        });
        assert_eq!(backend.received()[0].values("X-Session"), ["{}"]);
        assert_eq!(backend.last().values("X-Other"), ["{}"]);
    }
}

#[test]
fn faulty_configuration_leaves_the_old_state_in_force_until_it_is_fixed() {
    let backend = saving();
    let (sidecar, mut volume) = start(named(&backend, "one"));
    let unknown = named(&backend, "two").with("[sesion]\nttl = \"1h\"").text();
    let secret = named(&backend, "two").keys("[[keys]]\nsecret = \"much too short\"").text();
    let no_key = named(&backend, "two").keys("").text();
    let missing = named(&backend, "two").keys("[[keys]]\nsecret_file = \"/no/such/key\"").text();
    let faults = [
        ("this is no TOML", "cloakroom.toml:1"),
        ("", "listen"),
        (&unknown, "sesion"),
        (&secret, "secret"),
        (&no_key, "keys"),
        (&missing, "/no/such/key"),
    ];
    let mut failures = 0.0;
    for (text, named) in faults {
        volume.put(&[(FILE, text)]);
        failures += 1.0;
        sidecar.counts(FAILURE, failures);
        // The log arrives through a pipe, later than the count.
        eventually(&format!("an error that names {named}"), || {
            errors(&sidecar).iter().any(|error| error.contains(named)).then_some(())
        });
        assert!(!sidecar.log().contains("much too short"));
        assert_eq!(sets(&sidecar.get("/", None)), ["one"], "{text}");
        assert_eq!(sidecar.admin("/readyz").status(), 200, "{text}");
    }
    volume.remove(FILE);
    sidecar.counts(FAILURE, failures + 1.0);
    assert_eq!(sets(&sidecar.get("/", None)), ["one"], "without any configuration");
    assert_eq!(sidecar.admin("/readyz").status(), 200);
    sidecar.signal("HUP");
    sidecar.counts(FAILURE, failures + 2.0);
    assert_eq!(sidecar.count(SUCCESS), 0.0);

    volume.put(&[(FILE, &named(&backend, "two").text())]);
    sidecar.counts(SUCCESS, 1.0);
    assert_eq!(sets(&sidecar.get("/", None)), ["two"]);
    assert_eq!(sidecar.count(FAILURE), failures + 2.0);
}

/// The error messages in the log.
fn errors(sidecar: &Sidecar) -> Vec<String> {
    let log = sidecar.log();
    let lines = log.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let errors = lines.filter(|line| line["level"] == "error");
    errors.map(|line| line["message"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn what_cannot_change_in_place_is_named_and_the_rest_changes() {
    let backend = saving();
    let (sidecar, mut volume) = start(named(&backend, "one").top("workers = 2"));
    let text = named(&backend, "two")
        .top("workers = 3")
        .listen(&["127.0.0.1:1".into()])
        .log("level = \"debug\"")
        .text()
        .replace("[admin]\nlisten = \"127.0.0.1:0\"", "[admin]\nlisten = \"127.0.0.1:2\"");
    volume.put(&[(FILE, &text)]);
    sidecar.wait_for_log("reloaded", 0);
    let log = sidecar.log();
    for key in ["listen", "admin.listen", "workers", "log"] {
        let line = format!(r#""key":"{key}""#);
        let lines: Vec<_> = log.lines().filter(|text| text.contains(&line)).collect();
        assert_eq!(lines.len(), 1, "{key}: {log}");
        assert!(lines[0].contains("next start"), "{}", lines[0]);
    }
    assert_eq!(sets(&sidecar.get("/", None)), ["two"]);
    // Logged once: neither a reload without such a change nor one that reverts it logs it.
    volume.put(&[(FILE, &named(&backend, "three").top("workers = 2").text())]);
    sidecar.wait_for_log("reloaded", 1);
    assert_eq!(sets(&sidecar.get("/", None)), ["three"]);
    assert_eq!(sidecar.log().matches("next start").count(), 4);
}

#[test]
fn admin_that_is_taken_out_stays_until_the_next_start() {
    let backend = saving();
    let (sidecar, mut volume) = start(named(&backend, "one"));
    let text = named(&backend, "two").text().replace("[admin]\nlisten = \"127.0.0.1:0\"", "");
    volume.put(&[(FILE, &text)]);
    sidecar.wait_for_log("reloaded", 0);
    assert!(sidecar.log().contains(r#""key":"admin.listen""#), "{}", sidecar.log());
}

#[test]
fn backend_can_be_changed_under_load_of_the_old_one() {
    let gate = Gate::default();
    let old = Backend::new(Answer::default().hold(&gate).and(Answer::new(200, &[], "old")));
    let new = Backend::new(Answer::new(200, &[], "new"));
    let (sidecar, mut volume) = start(Sidecar::before(&old));
    thread::scope(|scope| {
        let slow = scope.spawn(|| sidecar.get("/", Some(&mint("{}"))));
        old.wait_for(1);
        volume.put(&[(FILE, &Sidecar::before(&new).text())]);
        sidecar.counts(SUCCESS, 1.0);
        for _ in 0..5 {
            assert_eq!(sidecar.get("/", None).text(), "new");
        }
        gate.open();
        assert_eq!(slow.join().expect("an answer").text(), "old");
    });
    assert_eq!(sidecar.get("/", None).text(), "new");
    assert_eq!((old.received().len(), new.received().len()), (1, 6));
    assert_eq!(sidecar.admin("/readyz").status(), 200);
}

#[test]
fn command_line_holds_over_a_reloaded_file() {
    let backend = saving();
    let builder = named(&backend, "one").argument("--backend").argument(backend.url());
    let text = |cookie| named(&backend, cookie).text().replace(backend.url(), "http://127.0.0.1:1");
    let mut volume = Volume::of(Way::Rename, FILE, &text("one"));
    let sidecar = builder.file(volume.path(FILE)).start();
    assert_eq!(sets(&sidecar.get("/", None)), ["one"]);
    volume.put(&[(FILE, &text("two"))]);
    sidecar.counts(SUCCESS, 1.0);
    assert_eq!(sets(&sidecar.get("/", None)), ["two"]);
}

#[test]
fn sighup_right_after_the_start_ends_nothing() {
    let backend = saving();
    for _ in 0..5 {
        let sidecar = named(&backend, "one").start();
        sidecar.signal("HUP");
        sidecar.counts(SUCCESS, 1.0);
    }
}

#[test]
fn sighups_in_a_row_lose_no_request() {
    let backend = saving();
    let (sidecar, _volume) = start(named(&backend, "one"));
    let mut client = sidecar.connect();
    client.exchange(&Request::get("/"));
    for _ in 0..20 {
        sidecar.signal("HUP");
        for _ in 0..5 {
            assert_eq!(sets(&client.exchange(&Request::get("/"))), ["one"]);
        }
    }
    assert_eq!(sidecar.count(FAILURE), 0.0);
    let reloads = sidecar.count(SUCCESS);
    sidecar.signal("HUP");
    eventually("the last one", || (sidecar.count(SUCCESS) > reloads).then_some(()));
}

/// While refreshes are off, writes must be remembered nevertheless.
#[test]
fn write_begun_before_there_were_refreshes_is_not_undone_by_one() {
    let (write, read) = (Gate::default(), Gate::default());
    let backend = {
        let (write, read) = (write.clone(), read.clone());
        Backend::by(move |request| match request.target() {
            "/delete" => {
                Answer::default().hold(&write).and(Answer::ok(&[("X-Session-Delete", "1")]))
            }
            _ => Answer::default().hold(&read).and(Answer::ok(&[])),
        })
    };
    let builder = || Sidecar::before(&backend);
    let rolling = builder().with("[session]\nttl = \"1h\"\nrefresh_after = \"1m\"");
    let (sidecar, mut volume) = start(builder());
    let request = |path| Request::get(path).session(&mint(SAVE));
    thread::scope(|scope| {
        let deletes = scope.spawn(|| sidecar.send(&request("/delete")));
        backend.wait_for(1);
        volume.put(&[(FILE, &rolling.text())]);
        sidecar.counts(SUCCESS, 1.0);
        let reads = scope.spawn(|| sidecar.send(&request("/")));
        backend.wait_for(2);
        write.open();
        assert!(SetCookie::of(&deletes.join().expect("an answer")).unwrap().deletes());
        read.open();
        assert_eq!(SetCookie::of(&reads.join().expect("an answer")), None);
    });
}

/// What of a request is held open until a reload is done.
#[derive(Clone, Copy, Debug)]
enum Held {
    Answer,
    /// Its body: how it ends, its first part and the rest.
    Body(&'static str, &'static str, &'static str),
    /// Its body over HTTP/2.
    Http2,
}

impl Held {
    const ALL: [Self; 4] = [
        Self::Answer,
        Self::Body("Content-Length: 3", "x", "yz"),
        Self::Body("Transfer-Encoding: chunked", "1\r\nx\r\n", "2\r\nyz\r\n0\r\n\r\n"),
        Self::Http2,
    ];

    /// Sends the request, which goes on behind the gate.
    fn send(self, sidecar: &Sidecar, session: &str, gate: &Gate) -> Message {
        match self {
            Self::Answer => sidecar.get("/slow", Some(session)),
            Self::Body(framing, first, rest) => {
                let mut client = sidecar.connect();
                client.send(format!(
                    "POST /slow HTTP/1.1\r\nHost: app.test\r\nCookie: session={session}\r\n\
                     {framing}\r\n\r\n{first}"
                ));
                gate.pass();
                client.send(rest);
                client.receive("POST")
            }
            Self::Http2 => {
                let connection = Connection::open(sidecar.address());
                let request = Request::new("POST", "/slow").session(session).body("xyz");
                let stream = connection.send_in_halves(&request, || gate.pass());
                connection.receive(stream)
            }
        }
    }
}

/// A request that is held open until `after` has been applied: the answer with the app's merge, and
/// the number of rejected saves.
fn merged_across_a_reload(
    held: Held,
    before: &Builder,
    files: &[(&str, &str)],
    after: &Builder,
) -> (Message, f64) {
    let mut volume = Volume::of(Way::Rename, FILE, &before.text());
    let gate = Gate::default();
    let backend = {
        let gate = gate.clone();
        Backend::by(move |request| match request.target() {
            "/slow" => Answer::default()
                .hold(&gate)
                .and(Answer::ok(&[("X-Session-Merge", r#"{"more":1}"#)])),
            _ => Answer::ok(&[("X-Session-Save", SAVE)]),
        })
    };
    let at = |builder: &Builder| {
        builder
            .text()
            .replace("http://app.invalid:1", backend.url())
            .replace("REVOKED", &volume.name("revoked"))
    };
    let (old, new) = (at(before), at(after));
    volume.put(&[(FILE, &old), ("revoked", "")]);
    let sidecar = Builder::new(backend.url()).file(volume.path(FILE)).start();
    let session = SetCookie::token(&sidecar.get("/", None));
    let answer = thread::scope(|scope| {
        let (sidecar, session, gate) = (&sidecar, session.as_str(), &gate);
        let slow = scope.spawn(move || held.send(sidecar, session, gate));
        // Checked when its head has come.
        sidecar.counts(r#"cloakroom_session_checks_total{outcome="valid"}"#, 1.0);
        let id = serde_json::from_str::<serde_json::Value>(&token::payload(session)).unwrap();
        let id = id["cr"]["id"].as_str().unwrap_or_default().to_owned();
        let files: Vec<(&str, String)> =
            files.iter().map(|(name, text)| (*name, text.replace("ID", &id))).collect();
        let mut put: Vec<(&str, &str)> =
            files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        put.push((FILE, &new));
        volume.put(&put);
        sidecar.signal("HUP");
        sidecar.wait_for_log("reloaded", 0);
        gate.open();
        slow.join().expect("an answer")
    });
    let rejected = sidecar.count(r#"cloakroom_session_writes_total{action="rejected"}"#);
    let refused = sidecar.count(r#"cloakroom_session_writes_total{action="conflict"}"#);
    let ended = sidecar.count(r#"cloakroom_session_conflicts_total{result="ended"}"#);
    assert_eq!(ended, rejected + refused);
    (answer, rejected)
}

#[test]
fn a_request_that_is_held_open_does_not_outlive_its_session() {
    let app = || Builder::new("http://app.invalid:1");
    let managed = || app().with("[session]\nttl = \"1h\"\nrevoked_file = \"REVOKED\"");
    let other = &format!("[[keys]]\nid = \"new\"\nsecret = \"{NEW_SECRET}\"\n");
    for (name, files, after) in [
        ("not_before", &[][..], managed().with("not_before = 2999-01-01T00:00:00Z")),
        ("revoked_file", &[("revoked", "ID\n")][..], managed().with("leeway = \"1s\"")),
        ("a retired key", &[][..], managed().keys(other)),
    ] {
        for held in Held::ALL {
            let (answer, rejected) = merged_across_a_reload(held, &managed(), files, &after);
            assert_eq!(answer.status(), 200, "{name}, {held:?}: the app's answer passes");
            assert!(SetCookie::of(&answer).is_none(), "{name}, {held:?}: a token was issued");
            assert_eq!(rejected, 1.0, "{name}, {held:?}");
        }
    }
    let strict = || managed().with("on_conflict = \"fail\"");
    let after = strict().with("not_before = 2999-01-01T00:00:00Z");
    let (answer, rejected) = merged_across_a_reload(Held::Answer, &strict(), &[], &after);
    assert_eq!((answer.status(), SetCookie::of(&answer), rejected), (409, None, 0.0));
    // A key that moves to the second place still verifies; the first one signs.
    let both = format!("{other}\n[[keys]]\nsecret = \"{SECRET}\"");
    for held in Held::ALL {
        let after = managed().keys(&both);
        let (answer, rejected) = merged_across_a_reload(held, &managed(), &[], &after);
        let token = SetCookie::of(&answer).expect("a session that is still good is written").value;
        let payload = token::payload_as(&token, NEW_HEADER, NEW_SECRET, Algorithm::HS256);
        assert!(payload.contains(r#""more":1"#), "{held:?}: {payload}");
        assert_eq!(rejected, 0.0);
    }
}

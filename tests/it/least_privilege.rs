//! `[[routes]] keys`: an app that can read and write only a part of the dict.

use std::os::unix::fs::PermissionsExt as _;
use std::thread;

use crate::support::{
    Answer, Backend, Builder, Gate, Message, PATIENT, Request, SetCookie, Sidecar, mint, token,
};

const ROUTES: &str = r#"
[headers.claims]
"X-Remote-User" = "user.name"
"X-Cart" = "cart.id"

[[routes]]
path = "/blog/"
keys = ["user", "lang"]
"#;

const DICT: &str =
    r#"{"cart":{"id":7},"user":{"name":"ann"},"l\u0061ng":"de","secret":"swordfish"}"#;
const SEEN: &str = r#"{"user":{"name":"ann"},"l\u0061ng":"de"}"#;

fn sidecar(backend: &Backend) -> Sidecar {
    Builder::new(backend.url()).with(ROUTES).start()
}

fn saved(answer: &Message) -> String {
    token::payload(&SetCookie::token(answer))
}

#[test]
fn the_app_is_shown_the_keys_of_its_route_and_no_others() {
    let backend = Backend::plain();
    let sidecar =
        Builder::new(backend.url()).with("[session]\nforward_cookie = true").with(ROUTES).start();
    sidecar.get("/blog/x", Some(&mint(DICT)));
    let seen = backend.last();
    assert_eq!(seen.values("X-Session"), [SEEN]);
    assert_eq!(seen.values("X-Remote-User"), ["ann"]);
    // It is neither in a claims header nor in the cookie.
    assert_eq!(seen.values("X-Cart"), [""; 0]);
    assert_eq!(seen.values("Cookie"), [""; 0]);
    sidecar.get("/shop", Some(&mint(DICT)));
    assert_eq!(backend.last().values("X-Session"), [DICT]);
    assert_eq!(backend.last().values("Cookie").len(), 1);
    // Each reading of a path counts.
    sidecar.get("/shop/../blog/", Some(&mint(DICT)));
    assert_eq!(backend.last().values("X-Session"), [SEEN]);
    sidecar.get("/blog/", None);
    assert_eq!(backend.last().values("X-Session"), ["{}"]);
}

#[test]
fn a_save_or_merge_replaces_these_keys_and_leaves_the_others() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend);
    let hidden = r#""cart":{"id":7},"secret":"swordfish""#;
    for (field, sent, left) in
        [("X-Session-Save", r#"{"lang":"fr"}"#, r#","lang":"fr""#), ("X-Session-Save", "{}", "")]
    {
        backend.will(Answer::ok(&[(field, sent)]));
        let answer = sidecar.get("/blog/", Some(&mint(DICT)));
        assert_eq!(saved(&answer), format!("{{{hidden}{left}}}"), "{field} {sent}");
    }
    backend.will(Answer::ok(&[("X-Session-Merge", r#"{"lang":null,"user":{"age":8}}"#)]));
    assert_eq!(
        saved(&sidecar.get("/blog/", Some(&mint(DICT)))),
        r#"{"cart":{"id":7},"user":{"name":"ann","age":8},"secret":"swordfish"}"#
    );
}

#[test]
fn a_save_or_merge_of_another_key_is_broken() {
    let backend = Backend::plain();
    let sidecar = sidecar(&backend);
    for (number, (field, sent)) in [
        ("X-Session-Save", r#"{"user":1,"cart":{"id":7}}"#),
        ("X-Session-Save", r#"{"admin":true}"#),
        ("X-Session-Merge", r#"{"cart":null}"#),
        ("X-Session-Merge", r#"{"\u0073ecret":null}"#),
    ]
    .into_iter()
    .enumerate()
    {
        backend.will(Answer::ok(&[(field, sent)]));
        let answer = sidecar.get("/blog/", Some(&mint(DICT)));
        assert_eq!((answer.status(), SetCookie::of(&answer)), (502, None), "{field} {sent}");
        let line = sidecar.wait_for_log("the session could not be saved", number);
        let reason = line["reason"].as_str().unwrap();
        assert!(reason.ends_with("header has a key that is not in the route's keys"), "{line}");
    }
    assert!(!sidecar.log().contains("swordfish"));
}

#[test]
fn a_delete_ends_the_whole_session() {
    let backend = Backend::new(Answer::ok(&[("X-Session-Delete", "1")]));
    let sidecar = sidecar(&backend);
    let answer = sidecar.get("/blog/", Some(&mint(DICT)));
    assert!(SetCookie::of(&answer).unwrap().deletes());
}

/// An app that keeps requests of `/blog/held` until the gate opens.
fn app(gate: &Gate) -> Backend {
    let gate = gate.clone();
    Backend::by(move |request| {
        let names = request.all_names();
        let say = |name: &String| {
            let said = name.to_ascii_lowercase().strip_prefix("say-")?.to_owned();
            Some((said, request.value(name)?))
        };
        let said: Vec<(String, String)> = names.iter().filter_map(say).collect();
        let fields: Vec<(&str, &str)> =
            said.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        let answer = Answer::new(200, &fields, &request.value("X-Session").unwrap_or_default());
        match request.target().ends_with("/held") {
            true => Answer::raw("").hold(&gate).and(answer),
            false => answer,
        }
    })
}

fn say(target: &str, field: &str, value: &str) -> Request {
    Request::get(target).with(&format!("Say-X-Session-{field}"), value)
}

#[test]
fn in_a_store_what_others_wrote_meanwhile_stays_whether_it_is_seen_or_not() {
    for (on_conflict, result, lang) in
        [("rebase", "rebased", "fr"), ("overwrite", "overwritten", "de")]
    {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
        let gate = Gate::default();
        let backend = app(&gate);
        let tables = format!(
            "[store]\nurl = \"file:{}/sessions.db\"\n{PATIENT}[session]\nttl = \"1h\"\non_conflict = \
             \"{on_conflict}\"\n{ROUTES}",
            folder.path().display()
        );
        let sidecar = Builder::new(backend.url()).with(&tables).start();
        let ask = |request: Request| sidecar.connect().exchange(&request);
        let ticket = SetCookie::token(&ask(say("/", "Save", r#"{"lang":"de","cart":1,"x":1}"#)));
        assert_eq!(ask(Request::get("/blog/").session(&ticket)).text(), r#"{"lang":"de"}"#);
        thread::scope(|scope| {
            let held = scope.spawn(|| {
                let save = r#"{"user":"ann","lang":"de"}"#;
                ask(say("/blog/held", "Save", save).session(&ticket))
            });
            backend.wait_for(3);
            let other = r#"{"lang":"fr","cart":2}"#;
            assert_eq!(ask(say("/", "Save", other).session(&ticket)).status(), 200);
            gate.open();
            assert_eq!(held.join().unwrap().status(), 200);
        });
        let whole: serde_json::Value =
            serde_json::from_str(&ask(Request::get("/").session(&ticket)).text()).unwrap();
        let expected = serde_json::json!({"cart": 2, "user": "ann", "lang": lang});
        assert_eq!(whole, expected, "{on_conflict}");
        sidecar.counts(&format!("cloakroom_session_conflicts_total{{result=\"{result}\"}}"), 1.0);
    }
}

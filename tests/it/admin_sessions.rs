//! `/sessions` of the admin listener: lists and ends the sessions in the store.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use crate::support::home::{in_a_cluster, in_each_home};
use crate::support::{
    Answer, Backend, Builder, Home, Message, Request, SetCookie, Sidecar, eventually,
};

const TOKEN: &str = "an-operators-token-of-36-characters!";

/// An app that saves the dict in the request's `Say-Save`.
fn app() -> Backend {
    Backend::by(|request| {
        let saved = request.value("Say-Save");
        let fields: Vec<(&str, &str)> =
            saved.iter().map(|dict| ("X-Session-Save", dict.as_str())).collect();
        Answer::new(200, &fields, &request.value("X-Session").unwrap_or_default())
    })
}

/// A store, and a token file next to it.
struct Desk<'a>(&'a Home<'a>);

impl<'a> Desk<'a> {
    fn new(home: &'a Home<'a>) -> Self {
        let desk = Self(home);
        desk.put(TOKEN);
        desk
    }

    fn path(&self, name: &str) -> String {
        self.0.folder().join(name).to_str().unwrap().to_owned()
    }

    fn put(&self, token: &str) {
        let (new, path) = (self.path("token.new"), self.path("token"));
        std::fs::write(&new, format!("{token}\n")).unwrap();
        std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600)).unwrap();
        std::fs::rename(new, path).unwrap();
    }

    fn with_token(&self, backend: &Backend) -> Builder {
        Sidecar::before(backend).admin(&format!("token_file = {:?}", self.path("token")))
    }

    fn with_store(&self, backend: &Backend) -> Sidecar {
        self.0.start(self.with_token(backend).with(&self.0.tables()))
    }
}

fn as_operator(sidecar: &Sidecar, method: &str, target: &str) -> Message {
    let request = Request::new(method, target).with("Authorization", format!("Bearer {TOKEN}"));
    sidecar.ask_admin(&request)
}

fn json_of(answer: &Message) -> Value {
    assert_eq!(answer.value("Content-Type").as_deref(), Some("application/json"));
    serde_json::from_str(&answer.text()).unwrap()
}

fn log_in(sidecar: &Sidecar, dict: &str) -> String {
    SetCookie::token(&sidecar.connect().exchange(&Request::get("/").with("Say-Save", dict)))
}

fn seen(sidecar: &Sidecar, ticket: &str) -> String {
    sidecar.get("/", Some(ticket)).text()
}

/// The sessions of a user, as listed.
fn listed(sidecar: &Sidecar, subject: &str) -> Vec<Value> {
    let answer = as_operator(sidecar, "GET", &format!("/sessions?subject={subject}"));
    assert_eq!(answer.status(), 200);
    json_of(&answer)["sessions"].as_array().unwrap().clone()
}

fn an_operator_sees_the_sessions_of_a_user_and_never_a_dict(home: &Home) {
    let (desk, backend) = (Desk::new(home), app());
    let sidecar = desk.with_store(&backend);
    for dict in [r#"{"user":"Zoë +","n":"swordfish"}"#, r#"{"user":"Zoë +"}"#, r#"{"user":"bob"}"#]
    {
        log_in(&sidecar, dict);
    }
    let sessions = listed(&sidecar, "Zo%C3%AB%20%2B");
    assert_eq!(sessions.len(), 2);
    for session in &sessions {
        let mut members: Vec<&String> = session.as_object().unwrap().keys().collect();
        members.sort();
        assert_eq!(members, ["bytes", "expires", "id", "seen", "start"]);
        for moment in ["start", "seen", "expires"] {
            let text = session[moment].as_str().unwrap();
            assert!(text.len() == 20 && text.ends_with('Z'), "{text}");
        }
        assert!(session["bytes"].as_u64().unwrap() > 0);
        let id = session["id"].as_str().unwrap();
        assert_eq!(json_of(&as_operator(&sidecar, "GET", &format!("/sessions/{id}"))), *session);
    }
    assert_eq!(listed(&sidecar, "nobody"), [] as [Value; 0]);
}

fn a_session_ends_or_those_of_a_user_or_all(home: &Home) {
    let (desk, backend) = (Desk::new(home), app());
    let sidecar = desk.with_store(&backend);
    let ada: Vec<String> =
        (0..3).map(|n| log_in(&sidecar, &format!(r#"{{"user":7,"n":{n}}}"#))).collect();
    let (bob, eve) = (log_in(&sidecar, r#"{"user":"bob"}"#), log_in(&sidecar, r#"{"n":1}"#));
    let is_over = |ticket: &String| seen(&sidecar, ticket) == "{}";

    let sessions = listed(&sidecar, "7");
    let one = format!("/sessions/{}", sessions[0]["id"].as_str().unwrap());
    let assert_ended = |answer: &Message, n: u64| {
        let answer = json_of(answer);
        assert_eq!(answer["ended"], json!(n), "{answer}");
        let is_replicated = answer["replicated"].as_bool().unwrap();
        if is_replicated != home.outlives_its_server() {
            // On a busy machine a replica takes longer than is waited for. That is counted.
            assert!(!is_replicated, "{answer}");
            eventually("the end is counted", || {
                (sidecar.count("cloakroom_store_unreplicated_total") > 0.0).then_some(())
            });
        }
    };
    assert_ended(&as_operator(&sidecar, "DELETE", &one), 1);
    assert_eq!(ada.iter().filter(|ticket| is_over(ticket)).count(), 1);
    assert_eq!(as_operator(&sidecar, "GET", &one).status(), 404);
    assert_ended(&as_operator(&sidecar, "DELETE", &one), 0);

    assert_ended(&as_operator(&sidecar, "DELETE", "/sessions?subject=7"), 2);
    assert!(ada.iter().all(is_over));
    assert!(!is_over(&bob));

    let all = Request::new("DELETE", "/sessions")
        .with("Authorization", format!("bearer {TOKEN}"))
        .body(r#"{"all":true}"#);
    assert_ended(&sidecar.ask_admin(&all), 2);
    assert!(is_over(&bob) && is_over(&eve));
    let line = sidecar.wait_for_log("sessions were ended over the admin listener", 3);
    assert_eq!((&line["sessions"], &line["ended"]), (&json!("all"), &json!(2)));
    assert!(!sidecar.log().contains(TOKEN));
}

fn nothing_ends_that_was_not_named(home: &Home) {
    let (desk, backend) = (Desk::new(home), app());
    let sidecar = desk.with_store(&backend);
    let ticket = log_in(&sidecar, r#"{"user":"ada"}"#);
    for (method, target, body, status) in [
        ("DELETE", "/sessions", "", 400),
        ("DELETE", "/sessions", r#"{"all":false}"#, 400),
        ("DELETE", "/sessions", r#"{"all":true,"subject":"bob"}"#, 400),
        ("DELETE", "/sessions", "[true]", 400),
        ("DELETE", "/sessions", r#"{"all":false,"all":true}"#, 400),
        ("DELETE", "/sessions?subject=bob", r#"{"all":true}"#, 400),
        ("DELETE", "/sessions?subject=", "", 400),
        ("DELETE", "/sessions?subject=bob&subject=ada", "", 400),
        ("DELETE", "/sessions?subject=a+b", "", 400),
        ("DELETE", "/sessions?user=ada", "", 400),
        ("DELETE", "/sessions/", "", 404),
        ("DELETE", "/sessions/x", "", 404),
        ("DELETE", "/sessions/x", r#"{"all":true}"#, 400),
        ("DELETE", "/sessions/AAAAAAAAAAAAAAAAAAAAAA/x", "", 404),
        ("GET", "/sessions", r#"{"all":true}"#, 400),
        ("POST", "/sessions", r#"{"all":true}"#, 405),
        ("DELETE", "/tokens/x", "", 404),
    ] {
        let mut request =
            Request::new(method, target).with("Authorization", format!("Bearer {TOKEN}"));
        if !body.is_empty() {
            request = request.body(body);
        }
        let answer = sidecar.ask_admin(&request);
        assert_eq!(answer.status(), status, "{method} {target} {body}");
        assert!(json_of(&answer)["error"].is_string());
    }
    let long = Request::new("DELETE", "/sessions")
        .with("Authorization", format!("Bearer {TOKEN}"))
        .body(" ".repeat(2000));
    assert_eq!(sidecar.ask_admin(&long).status(), 413);
    assert_eq!(seen(&sidecar, &ticket), r#"{"user":"ada"}"#);
}

#[test]
fn without_the_token_nothing_can_be_told_apart() {
    let home = Home::file();
    let (desk, backend) = (Desk::new(&home), app());
    let sidecar = desk.with_store(&backend);
    let ticket = log_in(&sidecar, r#"{"user":"ada"}"#);
    let id = listed(&sidecar, "ada")[0]["id"].as_str().unwrap().to_owned();
    let shown = [
        None,
        Some(String::new()),
        Some("Bearer".into()),
        Some("Bearer ".into()),
        Some(format!("Bearer {}", &TOKEN[..TOKEN.len() - 1])),
        Some(format!("Bearer {TOKEN}x")),
        Some(format!("Basic {TOKEN}")),
        Some(TOKEN.to_owned()),
    ];
    let mut bodies = std::collections::BTreeSet::new();
    for authorization in shown {
        for (method, target) in [
            ("GET", "/sessions?subject=ada".to_owned()),
            ("GET", format!("/sessions/{id}")),
            ("DELETE", format!("/sessions/{id}")),
            ("GET", "/sessions/x".into()),
            ("PUT", "/sessions".into()),
            ("POST", "/tokens/explain".into()),
            ("GET", "/tokens/x".into()),
        ] {
            let mut request = Request::new(method, &target);
            if let Some(authorization) = &authorization {
                request = request.with("Authorization", authorization);
            }
            let answer = sidecar.ask_admin(&request);
            assert_eq!(answer.status(), 401, "{method} {target} {authorization:?}");
            assert_eq!(answer.value("WWW-Authenticate").as_deref(), Some("Bearer"));
            bodies.insert(answer.text());
        }
    }
    assert_eq!(bodies.len(), 1, "{bodies:?}");
    let twice = Request::get("/sessions?subject=ada")
        .with("Authorization", format!("Bearer {TOKEN}"))
        .with("Authorization", "Bearer x");
    assert_eq!(sidecar.ask_admin(&twice).status(), 401);
    assert_eq!(seen(&sidecar, &ticket), r#"{"user":"ada"}"#);
    // The other paths need no token.
    assert_eq!(sidecar.admin("/healthz").status(), 200);
}

#[test]
fn without_a_token_file_these_paths_are_not_there() {
    let home = Home::file();
    let (desk, backend) = (Desk::new(&home), app());
    let without = Sidecar::before(&backend).with(&home.tables()).start();
    let nowhere = without.admin("/nowhere");
    for target in ["/sessions?subject=ada", "/sessions/x", "/tokens/explain"] {
        let answer = as_operator(&without, "GET", target);
        assert_eq!((answer.status(), answer.text()), (404, nowhere.text()), "{target}");
    }
    // Without a store there are no sessions to list.
    let sidecar = desk.with_token(&backend).start();
    let answer = as_operator(&sidecar, "GET", "/sessions?subject=ada");
    assert_eq!(answer.status(), 404);
    assert!(json_of(&answer)["error"].as_str().unwrap().contains("no [store]"));
}

#[test]
fn another_token_in_the_file_is_taken_without_a_restart() {
    let home = Home::file();
    let (desk, backend) = (Desk::new(&home), app());
    let sidecar = desk.with_store(&backend);
    assert_eq!(listed(&sidecar, "ada"), [] as [Value; 0]);
    desk.put("too-short");
    sidecar.wait_for_log("the configuration is faulty: the previous one stays in force", 0);
    assert!(!sidecar.log().contains("too-short"));
    assert_eq!(listed(&sidecar, "ada"), [] as [Value; 0]);
    desk.put(&TOKEN.replace("36", "37"));
    eventually("the new token", || {
        (as_operator(&sidecar, "GET", "/sessions?subject=ada").status() == 401).then_some(())
    });
}

fn a_store_that_is_away_is_said_to_be(home: &Home) {
    let (desk, backend) = (Desk::new(home), app());
    let sidecar = desk.with_store(&backend);
    log_in(&sidecar, r#"{"user":"ada"}"#);
    home.go_away();
    eventually("an outage", || {
        let answer = as_operator(&sidecar, "DELETE", "/sessions?subject=ada");
        (answer.status() == 503).then(|| {
            assert_eq!(answer.value("Retry-After").as_deref(), Some("1"));
            assert!(json_of(&answer)["error"].as_str().unwrap().contains("store"));
        })
    });
}

#[test]
fn a_token_that_is_no_secret_is_refused_at_the_start() {
    let home = Home::file();
    let (desk, backend) = (Desk::new(&home), app());
    for (token, reason) in [("short", "has 5 bytes"), ("", "is empty")] {
        desk.put(token);
        let (code, said) = desk.with_token(&backend).fail();
        assert_eq!(code, Some(2), "{said}");
        assert!(said.contains("admin.token_file") && said.contains(reason), "{said}");
    }
    std::fs::remove_file(desk.path("token")).unwrap();
    let (code, said) = desk.with_token(&backend).fail();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("does not exist"), "{said}");
}

in_each_home! {
    an_operator_sees_the_sessions_of_a_user_and_never_a_dict
    a_session_ends_or_those_of_a_user_or_all
    nothing_ends_that_was_not_named
    a_store_that_is_away_is_said_to_be
}

in_a_cluster! {
    an_operator_sees_the_sessions_of_a_user_and_never_a_dict
    a_session_ends_or_those_of_a_user_or_all
}

//! `[store]` with `holds = "revocations"`: sessions stay in cookies, and log-outs apply everywhere
//! at once.

use std::path::Path;
use std::process::{Command, Output};

use crate::support::home::{in_a_cluster, in_each_home};
use crate::support::{Backend, Home, Message, SetCookie, Sidecar, eventually, say};

/// A log that several sidecars share.
struct Shared<'a>(&'a Home<'a>);

impl Shared<'_> {
    fn tables(&self) -> String {
        let store = self.0.store();
        format!("{store}holds = \"revocations\"\n[session]\nsubject = \"user\"\n")
    }

    fn sidecar(&self, backend: &Backend) -> Sidecar {
        self.0.start(Sidecar::before(backend).with(&self.tables()))
    }

    /// `cloakroom session`, as run by an operator next to the sidecars.
    fn command(&self, arguments: &[&str]) -> Output {
        let config = self.0.folder().join("cloakroom.toml");
        let keys = "keys = [{ secret_env = \"UNUSED\" }]\n";
        std::fs::write(&config, format!("{keys}{}", self.tables())).unwrap();
        Command::new(env!("CARGO_BIN_EXE_cloakroom"))
            .arg("session")
            .args(arguments)
            .arg("--config")
            .arg(Path::new(&config))
            .output()
            .unwrap()
    }
}

fn log_in(sidecar: &Sidecar, dict: &str) -> String {
    SetCookie::token(&sidecar.send(&say("Save", dict)))
}

fn dict_of(answer: &Message) -> String {
    answer.text()
}

fn is_good(sidecar: &Sidecar, token: &str) -> bool {
    dict_of(&sidecar.get("/", Some(token))) != "{}"
}

fn ends(sidecar: &Sidecar, token: &str) {
    eventually("the end of a session", || (!is_good(sidecar, token)).then_some(()));
}

fn id_of(token: &str) -> String {
    crate::support::issued::Issued::of(token).id
}

fn a_log_out_ends_every_copy_of_the_cookie_at_every_sidecar(home: &Home) {
    let (shared, backend) = (Shared(home), Backend::saying());
    let (one, other) = (shared.sidecar(&backend), shared.sidecar(&backend));
    let token = log_in(&one, r#"{"user":7}"#);
    let unconcerned = log_in(&one, r#"{"user":7}"#);
    assert!(is_good(&other, &token));
    let answer = one.send(&say("Delete", "1").session(&token));
    assert!(SetCookie::of(&answer).unwrap().deletes());
    ends(&one, &token);
    ends(&other, &token);
    assert!(is_good(&other, &unconcerned));
    one.counts("cloakroom_revocations", 1.0);
    other.counts("cloakroom_revocations", 1.0);
    // A sidecar that starts later knows them before its first request.
    let late = shared.sidecar(&backend);
    assert_eq!(late.admin("/readyz").status(), 200);
    assert!(!is_good(&late, &token));
    assert_eq!(late.count("cloakroom_revocations"), 1.0);
    assert_eq!(late.count("cloakroom_session_checks_total{outcome=\"revoked\"}"), 1.0);
}

/// Other sidecars may take a second.
fn what_is_answered_as_ended_is_so_at_this_sidecar_at_once(home: &Home) {
    let (shared, backend) = (Shared(home), Backend::saying());
    let sidecar = shared.sidecar(&backend);
    for round in 0..20 {
        for what in ["1", "all", "others"] {
            let dict = format!("{{\"user\":\"{what}{round}\"}}");
            let [here, there] = [(); 2].map(|()| log_in(&sidecar, &dict));
            let answer = sidecar.send(&say("Delete", what).session(&here));
            assert_eq!(answer.status(), 200);
            let is_good = [here, there].map(|token| is_good(&sidecar, &token));
            assert_eq!(is_good, [what == "others", what == "1"], "{what}, round {round}");
        }
    }
}

fn all_sessions_of_a_user_end_and_a_new_one_is_good_at_once(home: &Home) {
    let (shared, backend) = (Shared(home), Backend::saying());
    let (one, other) = (shared.sidecar(&backend), shared.sidecar(&backend));
    // A number and its text are the same user.
    let [here, there] = [r#"{"user":7}"#, r#"{"user":"7"}"#].map(|dict| log_in(&one, dict));
    let nobody = log_in(&one, r#"{"cart":1}"#);
    one.send(&say("Delete", "all").session(&here));
    ends(&other, &there);
    ends(&other, &here);
    assert!(is_good(&other, &nobody));
    let again = log_in(&one, r#"{"user":7}"#);
    assert!(is_good(&other, &again));
}

fn others_leaves_the_session_that_asks_and_its_save_is_carried_out(home: &Home) {
    let (shared, backend) = (Shared(home), Backend::saying());
    let (one, other) = (shared.sidecar(&backend), shared.sidecar(&backend));
    let [here, there] = [(); 2].map(|()| log_in(&one, r#"{"user":7}"#));
    let request = say("Delete", "others").with("Say-X-Session-Save", r#"{"user":7,"n":1}"#);
    let saved = SetCookie::token(&one.send(&request.session(&here)));
    ends(&other, &there);
    assert!(is_good(&other, &here));
    assert!(is_good(&other, &saved));
}

fn an_operator_ends_sessions_from_the_command_line(home: &Home) {
    let (shared, backend) = (Shared(home), Backend::saying());
    let sidecar = shared.sidecar(&backend);
    let [one, two, three] = [7, 8, 9].map(|user| log_in(&sidecar, &format!("{{\"user\":{user}}}")));
    let output = shared.command(&["revoke", &id_of(&one)]);
    assert!(output.status.success(), "{output:?}");
    ends(&sidecar, &one);
    assert!(shared.command(&["revoke", "--subject", "8"]).status.success());
    ends(&sidecar, &two);
    assert!(is_good(&sidecar, &three));
    assert!(shared.command(&["revoke", "--all"]).status.success());
    ends(&sidecar, &three);
    let output = shared.command(&["list", "--subject", "7"]);
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("there is no list of them"), "{stderr}");
}

fn a_log_that_is_away_keeps_what_is_known_and_claims_no_log_out(home: &Home) {
    let (shared, backend) = (Shared(home), Backend::saying());
    let sidecar = shared.sidecar(&backend);
    let [ended, good] = [(); 2].map(|()| log_in(&sidecar, r#"{"user":7}"#));
    sidecar.send(&say("Delete", "1").session(&ended));
    ends(&sidecar, &ended);
    home.go_away();
    sidecar
        .wait_for_log("the revocations in the store cannot be read: known ones stay in force", 0);
    assert!(!is_good(&sidecar, &ended));
    let answer = sidecar.send(&say("Delete", "1").session(&good));
    assert_eq!(answer.status(), 503);
    assert!(SetCookie::of(&answer).is_none());
    assert!(is_good(&sidecar, &good));
    let saved = sidecar.send(&say("Save", r#"{"user":7,"n":1}"#).session(&good));
    assert_eq!(saved.status(), 200);
    eventually("an age", || {
        (sidecar.count("cloakroom_revocations_age_seconds") >= 1.0).then_some(())
    });
    assert_eq!(sidecar.admin("/readyz").status(), 200);
}

in_each_home! {
    a_log_out_ends_every_copy_of_the_cookie_at_every_sidecar
    what_is_answered_as_ended_is_so_at_this_sidecar_at_once
    all_sessions_of_a_user_end_and_a_new_one_is_good_at_once
    others_leaves_the_session_that_asks_and_its_save_is_carried_out
    an_operator_ends_sessions_from_the_command_line
    a_log_that_is_away_keeps_what_is_known_and_claims_no_log_out
}

in_a_cluster! {
    a_log_out_ends_every_copy_of_the_cookie_at_every_sidecar
    what_is_answered_as_ended_is_so_at_this_sidecar_at_once
    what_is_answered_as_ended_is_so_at_this_sidecar_at_once
    all_sessions_of_a_user_end_and_a_new_one_is_good_at_once
    others_leaves_the_session_that_asks_and_its_save_is_carried_out
    an_operator_ends_sessions_from_the_command_line
}

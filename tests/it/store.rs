//! `[store]`, of each kind: sessions that do not fit in a cookie, and that end when told to.

use std::thread;

use crate::support::home::{in_a_cluster, in_each_home};
use crate::support::token::unbase64;
use crate::support::{Answer, Backend, Gate, Home, Message, Request, SetCookie, Sidecar, mint};

/// An app that sends the fields in the request's `Say-` fields; for `/held` only after the gate is
/// open.
fn app(gate: &Gate) -> Backend {
    let gate = gate.clone();
    Backend::by(move |request| {
        let answer = Answer::said_by(request);
        match request.target().starts_with("/held") {
            true => Answer::raw("").hold(&gate).and(answer),
            false => answer,
        }
    })
}

fn sidecar(home: &Home, backend: &Backend, session: &str) -> Sidecar {
    home.start(Sidecar::before(backend).with(&format!("{}{session}", home.tables())))
}

fn say(name: &str, value: &str) -> Request {
    Request::get("/").with(&format!("Say-X-Session-{name}"), value)
}

fn ask(sidecar: &Sidecar, request: Request) -> Message {
    sidecar.connect().exchange(&request)
}

fn part(ticket: &str, index: usize) -> String {
    String::from_utf8(unbase64(ticket.split('.').nth(index).unwrap())).unwrap()
}

/// Saves a dict without a session, and returns the ticket.
fn log_in(sidecar: &Sidecar, dict: &str) -> String {
    SetCookie::token(&ask(sidecar, say("Save", dict)))
}

fn seen(sidecar: &Sidecar, ticket: &str) -> String {
    ask(sidecar, Request::get("/").session(ticket)).text()
}

fn a_session_larger_than_any_cookie_comes_back_and_its_cookie_stays_small(home: &Home) {
    let backend = app(&Gate::default());
    let sidecar = sidecar(home, &backend, "max_bytes = 100000\n");
    let dict = format!(r#"{{"basket":"{}"}}"#, "x".repeat(7_000));
    let ticket = log_in(&sidecar, &dict);
    assert!(ticket.len() < 400, "{}", ticket.len());
    assert_eq!(part(&ticket, 0), r#"{"typ":"JWT","alg":"HS256","crit":["cr"],"cr":1}"#);
    assert_eq!(seen(&sidecar, &ticket), dict);
    sidecar.counts(r#"cloakroom_session_writes_total{action="saved"}"#, 1.0);
    sidecar.counts(r#"cloakroom_session_checks_total{outcome="valid"}"#, 1.0);
}

fn no_dict_is_in_the_store_nor_in_the_cookie(home: &Home) {
    let backend = app(&Gate::default());
    let sidecar = sidecar(home, &backend, "");
    let ticket = log_in(&sidecar, r#"{"user":"ada-lovelace","secret":"swordfish"}"#);
    drop(sidecar);
    let mut bytes = part(&ticket, 1).into_bytes();
    bytes.extend(home.bytes());
    let text = String::from_utf8_lossy(&bytes);
    assert!(!text.contains("swordfish") && !text.contains("ada-lovelace"));
}

fn a_log_out_ends_every_copy_of_the_cookie_at_every_sidecar(home: &Home) {
    let backend = app(&Gate::default());
    let sidecars = [sidecar(home, &backend, ""), sidecar(home, &backend, "")];
    let ticket = log_in(&sidecars[0], r#"{"n":1}"#);
    assert_eq!(seen(&sidecars[1], &ticket), r#"{"n":1}"#);
    let answer = ask(&sidecars[1], say("Delete", "1").session(&ticket));
    assert!(SetCookie::of(&answer).unwrap().deletes());
    for sidecar in &sidecars {
        assert_eq!(seen(sidecar, &ticket), "{}");
        sidecar.counts(r#"cloakroom_session_checks_total{outcome="gone"}"#, 1.0);
    }
}

fn of_two_saves_at_once_each_keeps_what_it_changed(home: &Home) {
    let gate = Gate::default();
    let backend = app(&gate);
    let sidecars = [sidecar(home, &backend, ""), sidecar(home, &backend, "")];
    let ticket = log_in(&sidecars[0], r#"{"a":1,"b":1}"#);
    thread::scope(|scope| {
        let held = scope.spawn(|| {
            let request = Request::get("/held")
                .with("Say-X-Session-Save", r#"{"a":2,"b":1}"#)
                .session(&ticket);
            ask(&sidecars[0], request)
        });
        backend.wait_for(2);
        let other = ask(&sidecars[1], say("Save", r#"{"a":1,"b":2}"#).session(&ticket));
        assert_eq!(other.status(), 200);
        gate.open();
        assert_eq!(held.join().unwrap().status(), 200);
    });
    assert_eq!(seen(&sidecars[1], &ticket), r#"{"a":2,"b":2}"#);
    sidecars[0].counts(r#"cloakroom_session_conflicts_total{result="rebased"}"#, 1.0);
}

fn a_save_over_another_is_refused_where_that_is_configured(home: &Home) {
    let gate = Gate::default();
    let backend = app(&gate);
    let sidecar = sidecar(home, &backend, "on_conflict = \"fail\"\n");
    let ticket = log_in(&sidecar, r#"{"n":1}"#);
    thread::scope(|scope| {
        let held = scope.spawn(|| {
            let request = Request::get("/held").with("Say-X-Session-Save", r#"{"n":2}"#);
            ask(&sidecar, request.session(&ticket))
        });
        backend.wait_for(2);
        ask(&sidecar, say("Save", r#"{"n":3}"#).session(&ticket));
        gate.open();
        let answer = held.join().unwrap();
        assert_eq!((answer.status(), SetCookie::of(&answer)), (409, None));
    });
    assert_eq!(seen(&sidecar, &ticket), r#"{"n":3}"#);
    sidecar.counts(r#"cloakroom_session_conflicts_total{result="refused"}"#, 1.0);
    sidecar.counts(r#"cloakroom_session_writes_total{action="conflict"}"#, 1.0);
}

fn a_save_does_not_revive_a_session_that_was_ended_meanwhile(home: &Home) {
    let gate = Gate::default();
    let backend = app(&gate);
    let sidecar = sidecar(home, &backend, "");
    let ticket = log_in(&sidecar, r#"{"n":1}"#);
    thread::scope(|scope| {
        let held = scope.spawn(|| {
            let request = Request::get("/held").with("Say-X-Session-Merge", r#"{"n":2}"#);
            ask(&sidecar, request.session(&ticket))
        });
        backend.wait_for(2);
        ask(&sidecar, say("Delete", "1").session(&ticket));
        gate.open();
        let answer = held.join().unwrap();
        assert_eq!((answer.status(), SetCookie::of(&answer)), (200, None));
    });
    assert_eq!(seen(&sidecar, &ticket), "{}");
    sidecar.counts(r#"cloakroom_session_conflicts_total{result="ended"}"#, 1.0);
}

fn a_log_in_gets_another_session_and_the_old_one_is_read_only(home: &Home) {
    let backend = app(&Gate::default());
    let sidecar = sidecar(home, &backend, "");
    let before = log_in(&sidecar, r#"{"basket":1}"#);
    let answer = ask(&sidecar, say("Merge", r#"{"user":"ada"}"#).session(&before));
    let after = SetCookie::token(&answer);
    let id = |ticket: &str| part(ticket, 1).split("\"id\":\"").nth(1).unwrap()[..22].to_owned();
    assert_ne!(id(&before), id(&after));
    assert_eq!(seen(&sidecar, &after), r#"{"basket":1,"user":"ada"}"#);
    // For some seconds the old ticket can be read, with the old content, but not written.
    assert_eq!(seen(&sidecar, &before), r#"{"basket":1}"#);
    let answer = ask(&sidecar, say("Merge", r#"{"basket":2}"#).session(&before));
    assert_eq!((answer.status(), SetCookie::of(&answer)), (200, None));
    assert_eq!(seen(&sidecar, &after), r#"{"basket":1,"user":"ada"}"#);
    // A log-out ends the old one too.
    ask(&sidecar, say("Delete", "1").session(&after));
    assert_eq!(seen(&sidecar, &before), "{}");
    sidecar.counts(r#"cloakroom_session_writes_total{action="renewed"}"#, 1.0);
}

fn renew_gives_a_session_another_id(home: &Home) {
    let backend = app(&Gate::default());
    let sidecar = sidecar(home, &backend, "");
    let before = log_in(&sidecar, r#"{"n":1}"#);
    let after = SetCookie::token(&ask(&sidecar, say("Renew", "1").session(&before)));
    assert_ne!(before, after);
    assert_eq!(seen(&sidecar, &after), r#"{"n":1}"#);
}

fn every_session_of_a_user_ends_at_once_or_every_other(home: &Home) {
    let backend = app(&Gate::default());
    let sidecar = sidecar(home, &backend, "");
    let ada: Vec<String> =
        (0..3).map(|n| log_in(&sidecar, &format!(r#"{{"user":7,"n":{n}}}"#))).collect();
    let bob = log_in(&sidecar, r#"{"user":"8"}"#);
    let changed = say("Save", r#"{"user":"7","n":9}"#).with("Say-X-Session-Delete", "others");
    assert_eq!(ask(&sidecar, changed.session(&ada[0])).status(), 200);
    let all_seen = || -> Vec<String> { ada.iter().map(|one| seen(&sidecar, one)).collect() };
    assert_eq!(all_seen(), [r#"{"user":"7","n":9}"#, "{}", "{}"]);
    let other = log_in(&sidecar, r#"{"user":7}"#);
    let answer = ask(&sidecar, say("Delete", "all").session(&ada[0]));
    assert!(SetCookie::of(&answer).unwrap().deletes());
    assert_eq!(all_seen(), ["{}", "{}", "{}"]);
    assert_eq!(seen(&sidecar, &other), "{}");
    assert_eq!(seen(&sidecar, &bob), r#"{"user":"8"}"#);
}

fn a_session_in_a_cookie_is_good_and_moves_in_when_it_is_saved(home: &Home) {
    let backend = app(&Gate::default());
    let sidecar = sidecar(home, &backend, "");
    let cookie = mint(r#"{"n":1}"#);
    assert_eq!(seen(&sidecar, &cookie), r#"{"n":1}"#);
    let ticket = SetCookie::token(&ask(&sidecar, say("Merge", r#"{"m":2}"#).session(&cookie)));
    assert!(part(&ticket, 0).contains(r#""crit":["cr"]"#));
    assert_eq!(seen(&sidecar, &ticket), r#"{"n":1,"m":2}"#);
    // Without a store, its tickets are not accepted.
    drop(sidecar);
    let without = Sidecar::before(&backend).with("[session]\nttl = \"1h\"").start();
    assert_eq!(seen(&without, &ticket), "{}");
    without.counts(r#"cloakroom_session_checks_total{outcome="unknown_store"}"#, 1.0);
}

fn a_store_that_is_away_is_no_log_out(home: &Home) {
    let backend = app(&Gate::default());
    let sidecar = sidecar(home, &backend, "");
    let required = format!(
        "{}[[routes]]\npath = \"/private\"\nrequire = true\n",
        home.tables().replace("[session]", "on_outage = \"pass\"\n[session]")
    );
    let passing =
        Sidecar::before(&backend).with(&required).with("[headers]\nstatus = \"X-Session-Status\"");
    let passing = home.start(passing);
    let ticket = log_in(&sidecar, r#"{"n":1}"#);
    assert_eq!(seen(&passing, &ticket), r#"{"n":1}"#);
    home.go_away();
    crate::support::eventually("an outage", || {
        let answer = ask(&sidecar, Request::get("/").session(&ticket));
        (answer.status() == 503).then(|| {
            assert_eq!(answer.value("Retry-After").as_deref(), Some("1"));
            assert_eq!(SetCookie::of(&answer), None);
        })
    });
    crate::support::eventually("an outage there, too", || {
        (seen(&passing, &ticket) == "{}").then_some(())
    });
    assert_eq!(backend.last().value("X-Session-Status").as_deref(), Some("unavailable"));
    for field in ["Save", "Merge"] {
        let answer = ask(&passing, say(field, r#"{"n":2}"#).session(&ticket));
        assert_eq!((answer.status(), SetCookie::of(&answer)), (503, None), "{field}");
    }
    let answer = ask(&passing, say("Delete", "1").session(&ticket));
    assert_eq!((answer.status(), SetCookie::of(&answer)), (503, None));
    let answer = ask(&passing, Request::get("/private").session(&ticket));
    assert_eq!(answer.status(), 503);
    // Visitors without a session are not affected.
    assert_eq!(ask(&sidecar, Request::get("/")).status(), 200);
    home.come_back();
    crate::support::eventually("the store again", || {
        (seen(&sidecar, &ticket) == r#"{"n":1}"#).then_some(())
    });
}

fn an_empty_dict_without_a_session_sets_and_stores_nothing(home: &Home) {
    let backend = app(&Gate::default());
    let sidecar = sidecar(home, &backend, "");
    let answer = ask(&sidecar, say("Save", "{}"));
    assert_eq!((answer.status(), SetCookie::of(&answer)), (200, None));
}

fn of_many_merges_at_two_sidecars_each_that_was_answered_is_there_and_has_a_revision(home: &Home) {
    const MERGES: usize = 15;
    let backend = app(&Gate::default());
    let sidecars = [sidecar(home, &backend, ""), sidecar(home, &backend, "")];
    let ticket = log_in(&sidecars[0], r#"{"n":1}"#);
    let merged: Vec<String> = thread::scope(|scope| {
        let clients = (0..4).map(|client| {
            let (sidecar, ticket) = (&sidecars[client % 2], &ticket);
            scope.spawn(move || {
                let keys = (0..MERGES).map(|number| format!(r#""{client}-{number}":1"#));
                let merge = |member: &String| {
                    let merge = say("Merge", &format!("{{{member}}}")).session(ticket);
                    match ask(sidecar, merge).status() {
                        200 => true,
                        // Five times in a row another request was faster: a conflict is reported.
                        409 => false,
                        status => panic!("{status}"),
                    }
                };
                keys.filter(merge).collect::<Vec<_>>()
            })
        });
        let clients: Vec<_> = clients.collect();
        clients.into_iter().flat_map(|client| client.join().unwrap()).collect()
    });
    let dict = seen(&sidecars[0], &ticket);
    let missing: Vec<_> = merged.iter().filter(|member| !dict.contains(*member)).collect();
    assert!(missing.is_empty(), "{missing:?} of {dict}");
    assert!(merged.len() > MERGES, "{merged:?}");
    assert_eq!(home.revision(), 1 + merged.len() as i64, "of {}", merged.len());
}

in_each_home! {
    a_session_larger_than_any_cookie_comes_back_and_its_cookie_stays_small
    no_dict_is_in_the_store_nor_in_the_cookie
    a_log_out_ends_every_copy_of_the_cookie_at_every_sidecar
    of_two_saves_at_once_each_keeps_what_it_changed
    a_save_over_another_is_refused_where_that_is_configured
    a_save_does_not_revive_a_session_that_was_ended_meanwhile
    a_log_in_gets_another_session_and_the_old_one_is_read_only
    renew_gives_a_session_another_id
    every_session_of_a_user_ends_at_once_or_every_other
    a_session_in_a_cookie_is_good_and_moves_in_when_it_is_saved
    a_store_that_is_away_is_no_log_out
    an_empty_dict_without_a_session_sets_and_stores_nothing
    of_many_merges_at_two_sidecars_each_that_was_answered_is_there_and_has_a_revision
}

in_a_cluster! {
    a_session_larger_than_any_cookie_comes_back_and_its_cookie_stays_small
    a_log_out_ends_every_copy_of_the_cookie_at_every_sidecar
    of_two_saves_at_once_each_keeps_what_it_changed
    a_save_over_another_is_refused_where_that_is_configured
    a_save_does_not_revive_a_session_that_was_ended_meanwhile
    a_log_in_gets_another_session_and_the_old_one_is_read_only
    renew_gives_a_session_another_id
    every_session_of_a_user_ends_at_once_or_every_other
    a_session_in_a_cookie_is_good_and_moves_in_when_it_is_saved
    an_empty_dict_without_a_session_sets_and_stores_nothing
    of_many_merges_at_two_sidecars_each_that_was_answered_is_there_and_has_a_revision
}

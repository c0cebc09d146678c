//! Random schedules of requests at two sidecars that share a store: the real core, a real file or
//! server, and a model of the documented behaviour.
//!
//! Each request proceeds in steps: it loads its session, the app answers, the answer is written and
//! retried, the cookie reaches the browser or is lost. A schedule says whose turn it is.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::test_runner::{Config, TestRunner};

use super::super::operation::Applied;
use super::homes::{HomeKind, in_each_home};
use super::*;
use crate::keys::{Algorithm, Key, KeyRing};
use crate::session::cookie::{self, CookieAttributes, CookieName, CookieParts};
use crate::session::dict::Dict;
use crate::session::directive::Directive;
use crate::session::stored::{self, Plan, Randomness, Retry, Settled, Write};
use crate::session::{CookieAction, Holds, Issuer, OnConflict, Opened, Outcome, Policy, open};
use crate::store::record::SessionKey;
use model::{Content, Members, Model};
use turns::{New, Turn, turns};

mod app;
mod model;
mod turns;

/// The number of schedules for each setting of `session.on_conflict`.
const SCHEDULES: u32 = 80;

/// A slower request is given up; less than the time for which an old id leads to the new one.
const PATIENCE: Duration = Duration::from_secs(40);

/// How often each case has occurred.
#[derive(Debug, Default)]
struct Seen(BTreeMap<&'static str, u32>);

impl Seen {
    fn note(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }
}

/// The stage of a request.
enum Stage {
    Load,
    Answer,
    Apply(Write),
    Then(Change, Write),
}

struct Request {
    number: usize,
    new: New,
    begun: Timestamp,
    opened: Opened,
    stage: Stage,
    /// The loaded dict.
    base: Members,
    /// The part that the app got.
    shown: Members,
    content: Content,
}

/// Two sidecars, three browsers and a clock.
struct World<'a> {
    sidecars: &'a [Store; 2],
    keys: &'a KeyRing,
    policy: &'a Policy,
    now: Timestamp,
    browsers: [Option<String>; 3],
    /// Every issued ticket, since somebody may have a copy.
    tickets: Vec<String>,
    under_way: Vec<Request>,
    model: Model,
    /// Two users for this schedule only.
    users: [String; 2],
    count: usize,
    seen: &'a RefCell<Seen>,
}

fn fresh() -> Result<Randomness, crate::session::directive::Broken> {
    let (mut id, mut key, mut nonce, mut seal) = ([0; 16], [0; 32], [0; 12], [0; 12]);
    for bytes in [id.as_mut_slice(), &mut key, &mut nonce, &mut seal] {
        getrandom::fill(bytes).unwrap();
    }
    let (id, key) = (SessionId::from_bytes(id), SessionKey::from_bytes(key));
    Ok(Randomness { id, key, nonce, seal })
}

fn members_of(dict: &Dict) -> Members {
    dict.members().map(|(key, value)| (key.trim_matches('"').into(), value.into())).collect()
}

impl World<'_> {
    fn issuer(&self) -> Issuer<'_> {
        Issuer { keys: self.keys, policy: self.policy, now: self.now }
    }

    fn open(&self, ticket: Option<&str>) -> Opened {
        let field = ticket.map(|ticket| format!("session={ticket}")).unwrap_or_default();
        let found = cookie::find(|| std::iter::once(field.as_bytes()), self.policy.names(), false);
        open(&found, self.keys, self.policy, self.now)
    }

    fn play(&mut self, turns: &[Turn]) {
        for turn in turns {
            self.now = self.now.plus(Duration::from_millis(turn.millis));
            let now = self.now;
            self.under_way.retain(|request| now.since(request.begun) < PATIENCE);
            match turn.whose % (self.under_way.len() + 1) {
                new if new == self.under_way.len() => self.begin(turn.new),
                index => {
                    let request = self.under_way.remove(index);
                    if let Some(request) = self.go_on(request) {
                        self.under_way.insert(index, request);
                    }
                }
            }
        }
        for sidecar in self.sidecars {
            for ticket in &self.tickets {
                self.look(sidecar, self.open(Some(ticket)));
            }
        }
    }

    fn begin(&mut self, new: New) {
        let opened = self.open(self.browsers[new.browser].as_deref());
        self.count += 1;
        self.under_way.push(Request {
            number: self.count,
            new,
            begun: self.now,
            opened,
            stage: Stage::Load,
            base: Members::new(),
            shown: Members::new(),
            content: Content::Same,
        });
    }

    /// Opens a ticket and compares the result with the model.
    fn look(&self, sidecar: &Store, mut opened: Opened) -> Opened {
        let Some(id) = opened.awaits().cloned() else { return opened };
        let loaded = wait(sidecar.load(id.clone(), self.now)).result.unwrap();
        let expected = self.model.load(&id, self.now);
        if self.model.is_over(&id) {
            assert_eq!(loaded, Loaded::Gone, "a session came back that had been logged out");
        }
        match (&loaded, expected) {
            (Loaded::Gone, None) => {}
            (Loaded::Found(row), Some((kept, false)))
            | (Loaded::Replaced(row), Some((kept, true))) => {
                assert_eq!(row.rev, kept.rev);
            }
            other => panic!("{other:?}"),
        }
        if matches!(loaded, Loaded::Replaced(_)) {
            self.seen.borrow_mut().note("read under its old id");
        }
        opened.complete(loaded).unwrap();
        if let Some((kept, _)) = expected {
            assert_eq!(members_of(opened.token().unwrap().dict()), kept.members);
        } else {
            assert_eq!(opened.outcome(), Outcome::Gone);
        }
        opened
    }

    /// One step. None if the request is finished.
    fn go_on(&mut self, mut request: Request) -> Option<Request> {
        let sidecar = &self.sidecars[request.new.sidecar];
        match request.stage {
            Stage::Load => {
                request.opened = self.look(sidecar, request.opened);
                let (dict, view) = (request.opened.token().map(|it| it.dict()), request.new.view());
                request.base = dict.map(members_of).unwrap_or_default();
                let shown = dict.map(|dict| view.as_ref().map_or(dict.clone(), |it| it.of(dict)));
                request.shown = shown.as_ref().map(members_of).unwrap_or_default();
                let mut seen = request.base.clone();
                seen.retain(|key, _| !request.new.is_hidden(key));
                assert_eq!(request.shown, seen, "what its route hides is not sent");
                request.stage = Stage::Answer;
                Some(request)
            }
            Stage::Answer => {
                let still_good = request.opened.check_again(None, self.policy, self.now);
                let (directive, content) = self.wish(&request);
                request.content = content;
                let plan = match directive {
                    Directive::Keep if !request.opened.is_due(self.policy, self.now) => {
                        return None;
                    }
                    Directive::Keep | Directive::Save(_) if still_good.is_err() => return None,
                    Directive::Keep => {
                        self.seen.borrow_mut().note("refreshed");
                        stored::refresh(&request.opened, self.issuer(), &mut fresh).unwrap()
                    }
                    directive => {
                        stored::plan(&request.opened, directive, self.issuer(), &mut fresh).unwrap()
                    }
                };
                match plan {
                    Plan::Cookie(action) => {
                        self.deliver(request.new, action);
                        None
                    }
                    Plan::Write(write) => {
                        request.stage = Stage::Apply(*write);
                        Some(request)
                    }
                }
            }
            Stage::Apply(mut write) => {
                let applied = wait(sidecar.apply(write.change.clone(), self.now)).result.unwrap();
                let on_conflict = self.policy.on_conflict;
                let conflict = write.settled.is_some().then_some(on_conflict);
                let is_hidden = |key: &str| request.new.is_hidden(key);
                let dict = |head: &Members| {
                    request.content.onto(&request.shown, head, conflict, is_hidden)
                };
                let expected = self.model.apply(&write.change, self.now, &request.base, dict);
                assert_eq!(std::mem::discriminant(&applied), std::mem::discriminant(&expected));
                let retry = write.retry(&applied, &request.opened, self.issuer(), &mut fresh);
                match retry.unwrap() {
                    None => {}
                    Some(Retry::Again(again)) => {
                        let is_gone = applied == Applied::Gone;
                        self.seen.borrow_mut().note(match again.settled {
                            _ if is_gone => "logged in after the end",
                            Some(Settled::Rebased) if request.new.sees.is_some() => {
                                "rebased in part"
                            }
                            Some(Settled::Rebased) => "rebased",
                            Some(Settled::Merged) => "merged",
                            Some(Settled::Overwritten) if request.new.sees.is_some() => {
                                "overwritten in part"
                            }
                            Some(Settled::Overwritten) => "overwritten",
                            None => panic!("{again:?}"),
                        });
                        request.stage = Stage::Apply(*again);
                        return Some(request);
                    }
                    Some(Retry::Ended) => {
                        self.seen.borrow_mut().note("ended meanwhile");
                        return None;
                    }
                    Some(Retry::Refused) => {
                        self.seen.borrow_mut().note("refused");
                        return None;
                    }
                }
                if let Change::Renew { .. } = &write.change {
                    self.seen.borrow_mut().note("renewed");
                }
                match write.then.take() {
                    Some(then) => {
                        request.stage = Stage::Then(then, write);
                        Some(request)
                    }
                    None => {
                        self.deliver(request.new, write.into_action());
                        None
                    }
                }
            }
            Stage::Then(change, write) => {
                wait(sidecar.apply(change.clone(), self.now)).result.unwrap();
                self.model.apply(&change, self.now, &request.base, Members::clone);
                self.seen.borrow_mut().note("ended by user");
                self.deliver(request.new, write.into_action());
                None
            }
        }
    }

    fn deliver(&mut self, new: New, action: CookieAction) {
        let cookie = match action {
            CookieAction::Keep => return,
            CookieAction::Expire { .. } => None,
            CookieAction::Issue(issued) => {
                let value = issued.set_cookie.strip_prefix("session=").unwrap();
                let ticket = value.split(';').next().unwrap().to_owned();
                self.tickets.push(ticket.clone());
                Some(ticket)
            }
        };
        if !new.is_lost {
            self.browsers[new.browser] = cookie;
        }
    }
}

fn policy(on_conflict: OnConflict) -> Policy {
    let parts = CookieParts::named(CookieName::parse("session").unwrap());
    Policy {
        ttl: Some(Duration::from_secs(60)),
        refresh_after: Some(Duration::from_secs(5)),
        subject: Some(vec!["user".into()]),
        store: Some(Holds::Sessions),
        on_conflict,
        ..Policy::of(CookieAttributes::new(parts).unwrap())
    }
}

/// Runs schedules at two sidecars and returns the cases that occurred.
fn simulate(kind: &HomeKind, on_conflict: OnConflict) -> Seen {
    let (_home, sidecars) = kind.stores();
    let secret = b"0123456789abcdef0123456789abcdef";
    let keys = KeyRing::new(Key::hmac(None, Algorithm::Hs256, secret), Vec::new());
    let policy = policy(on_conflict);
    let (seen, schedule) = (RefCell::new(Seen::default()), RefCell::new(0));
    let config = Config { cases: SCHEDULES, failure_persistence: None, ..Config::default() };
    let played = TestRunner::new(config).run(&turns(), |turns| {
        let number = schedule.replace_with(|number| *number + 1);
        let mut world = World {
            sidecars: &sidecars,
            keys: &keys,
            policy: &policy,
            now: NOW,
            browsers: [const { None }; 3],
            tickets: Vec::new(),
            under_way: Vec::new(),
            model: Model::default(),
            users: ["ada", "bob"].map(|name| format!("\"{name}-{number}\"")),
            count: 0,
            seen: &seen,
        };
        world.play(&turns);
        Ok(())
    });
    if let Err(error) = played {
        panic!("{error}");
    }
    seen.into_inner()
}

fn assert_seen(seen: &Seen, what: &[&'static str]) {
    let missing: Vec<_> = what.iter().filter(|what| !seen.0.contains_key(*what)).collect();
    assert!(missing.is_empty(), "never: {missing:?}, but {seen:?}");
}

const ALWAYS: [&str; 7] = [
    "read under its old id",
    "refreshed",
    "merged",
    "renewed",
    "ended meanwhile",
    "ended by user",
    "logged in after the end",
];

fn rebase_loses_no_key_that_one_request_changed_and_no_log_out_is_undone(kind: &HomeKind) {
    let seen = simulate(kind, OnConflict::Rebase);
    assert_seen(&seen, &ALWAYS);
    assert_seen(&seen, &["rebased", "rebased in part"]);
}

fn what_is_refused_changes_nothing_and_no_log_out_is_undone(kind: &HomeKind) {
    let seen = simulate(kind, OnConflict::Fail);
    assert_seen(&seen, &ALWAYS);
    assert_seen(&seen, &["refused"]);
}

fn the_last_save_wins_and_no_log_out_is_undone(kind: &HomeKind) {
    let seen = simulate(kind, OnConflict::Overwrite);
    assert_seen(&seen, &ALWAYS);
    assert_seen(&seen, &["overwritten", "overwritten in part"]);
}

in_each_home! {
    rebase_loses_no_key_that_one_request_changed_and_no_log_out_is_undone
    what_is_refused_changes_nothing_and_no_log_out_is_undone
    the_last_save_wins_and_no_log_out_is_undone
}

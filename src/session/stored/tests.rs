#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop at the first surprise")]

use std::time::Duration;

use super::*;
use crate::keys::KeyRing;
use crate::session::cookie::{self, CookieAttributes, CookieName, CookieParts};
use crate::session::dict::Dict;
use crate::session::directive::Save;
use crate::session::lifetime::SessionId;
use crate::session::{Holds, Home, OnConflict, Outcome, VerifiedToken, open};
use crate::store::operation::{Applied, Loaded, Row};
use crate::store::record::{self, RecordError, SessionKey};
use crate::time::Timestamp;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const DAY: Duration = Duration::from_secs(86_400);

fn policy() -> Policy {
    let parts = CookieParts::named(CookieName::parse("session").unwrap());
    let policy = Policy::of(CookieAttributes::new(parts).unwrap());
    Policy {
        ttl: Some(DAY),
        refresh_after: Some(DAY / 2),
        subject: Some(vec!["user".into()]),
        store: Some(Holds::Sessions),
        ..policy
    }
}

fn ring() -> KeyRing {
    KeyRing::new(crate::keys::Key::hmac(None, crate::keys::Algorithm::Hs256, SECRET), Vec::new())
}

fn dict(json: &str) -> Dict {
    Dict::parse(json.as_bytes()).unwrap()
}

/// Ids, keys and nonces that count up.
struct Source(u8);

impl Source {
    fn draw(&mut self) -> Result<Randomness, Broken> {
        self.0 += 1;
        Ok(Randomness {
            id: SessionId::from_bytes([self.0; 16]),
            key: SessionKey::from_bytes([self.0; 32]),
            nonce: [self.0; 12],
            seal: [self.0; 12],
        })
    }
}

/// One policy and a source of ids that count up.
struct World {
    policy: Policy,
    keys: KeyRing,
    source: Source,
}

impl World {
    fn new(policy: Policy) -> Self {
        Self { policy, keys: ring(), source: Source(0) }
    }

    fn plan(&mut self, opened: &Opened, directive: Directive) -> Result<Plan, Broken> {
        let issuer = Issuer { keys: &self.keys, policy: &self.policy, now: NOW };
        let source = &mut self.source;
        super::plan(opened, directive, issuer, &mut || source.draw())
    }

    fn write(&mut self, opened: &Opened, directive: Directive) -> Write {
        match self.plan(opened, directive).unwrap() {
            Plan::Write(write) => *write,
            Plan::Cookie(action) => panic!("{action:?}"),
        }
    }

    fn retry(&mut self, write: &Write, opened: &Opened, applied: &Applied) -> Option<Retry> {
        let issuer = Issuer { keys: &self.keys, policy: &self.policy, now: NOW };
        let source = &mut self.source;
        write.retry(applied, opened, issuer, &mut || source.draw()).unwrap()
    }

    fn open(&self, cookie: &str) -> Opened {
        let field = format!("session={cookie}");
        let found = cookie::find(|| std::iter::once(field.as_bytes()), self.policy.names(), false);
        open(&found, &self.keys, &self.policy, NOW)
    }

    /// A session in the store as a later request finds it, and its row.
    fn stored(&mut self, json: &str) -> (Opened, Row) {
        let write = self.write(&self.open(""), save(json));
        let Change::Create { row, .. } = write.change.clone() else { panic!("{write:?}") };
        let mut opened = self.open(&ticket_of(write.into_action()));
        assert!(opened.awaits().is_some());
        opened.complete(Loaded::Found(row.clone())).unwrap();
        (opened, row)
    }

    /// The row after another request has written it.
    fn rewritten(&self, opened: &Opened, row: &Row, json: &str) -> Row {
        let (token, key, _) = opened.stored().unwrap();
        let rev = row.rev + 1;
        let data = record::seal(&dict(json), key, token.id(), rev, [200; 12]).unwrap();
        Row { rev, data, ..row.clone() }
    }
}

fn save(json: &str) -> Directive {
    Directive::Save(Save { dict: Some(dict(json)), ..Save::default() })
}

fn merge_of(json: &str) -> Directive {
    Directive::Save(Save { patch: Some(dict(json)), ..Save::default() })
}

fn renew() -> Directive {
    Directive::Save(Save { renew: true, ..Save::default() })
}

fn ticket_of(action: CookieAction) -> String {
    let CookieAction::Issue(issued) = action else { panic!("{action:?}") };
    let value = issued.set_cookie.strip_prefix("session=").unwrap();
    value.split(';').next().unwrap().to_owned()
}

/// The stored dict of a write, opened with the key in its cookie.
fn kept(world: &World, write: Write) -> String {
    let (Change::Create { row, .. } | Change::Save { row, .. } | Change::Renew { row, .. }) =
        write.change.clone()
    else {
        panic!("{write:?}")
    };
    let mut opened = world.open(&ticket_of(write.into_action()));
    opened.complete(Loaded::Found(row)).unwrap();
    opened.token().unwrap().dict().as_str().to_owned()
}

fn again(retry: Option<Retry>) -> Write {
    match retry {
        Some(Retry::Again(write)) => *write,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_dict_comes_back_with_its_ticket_only() {
    let mut world = World::new(policy());
    let (opened, row) = world.stored(r#"{"n":1}"#);
    assert_eq!(opened.outcome(), Outcome::Valid);
    assert_eq!(opened.token().unwrap().dict().as_str(), r#"{"n":1}"#);
    assert!(opened.awaits().is_none());
    let (other, _) = world.stored(r#"{"n":2}"#);
    let mut other = other.clone();
    if let Some(VerifiedToken { home: Home::Store { revision, .. }, .. }) = &mut other.token {
        *revision = None;
    }
    assert_eq!(other.complete(Loaded::Found(row)), Err(RecordError::NotAuthentic));
}

#[test]
fn what_the_store_has_no_more_is_gone_and_what_it_does_not_say_is_unknown() {
    let mut world = World::new(policy());
    let write = world.write(&world.open(""), save("{\"n\":1}"));
    let ticket = ticket_of(write.into_action());
    let mut gone = world.open(&ticket);
    gone.complete(Loaded::Gone).unwrap();
    assert_eq!((gone.outcome(), gone.token().is_none()), (Outcome::Gone, true));
    let mut unknown = world.open(&ticket);
    unknown.is_out_of_reach();
    assert_eq!((unknown.outcome(), unknown.token().is_none()), (Outcome::Unavailable, true));
    let without = World::new(Policy { store: None, ..policy() });
    assert_eq!(without.open(&ticket).outcome(), Outcome::UnknownStore);
}

#[test]
fn nothing_is_kept_of_an_empty_dict_that_nobody_had() {
    let mut world = World::new(policy());
    for directive in [save("{}"), merge_of(r#"{"a":null}"#), renew(), Directive::EndOthers] {
        let plan = world.plan(&world.open(""), directive).unwrap();
        assert!(matches!(plan, Plan::Cookie(CookieAction::Keep)), "{plan:?}");
    }
}

#[test]
fn a_save_expects_the_revision_that_its_request_got() {
    let mut world = World::new(policy());
    let (opened, row) = world.stored(r#"{"n":1}"#);
    let write = world.write(&opened, save(r#"{"n":2}"#));
    let Change::Save { id, expected, row: next } = &write.change else { panic!("{write:?}") };
    assert_eq!((id, *expected), (opened.token().unwrap().id(), row.rev));
    assert!(next.rev > row.rev && next.start == row.start);
    assert_eq!(kept(&world, write), r#"{"n":2}"#);
}

#[test]
fn a_conflict_is_settled_as_it_is_configured() {
    let (mine, theirs) = (r#"{"a":2,"b":1}"#, r#"{"a":1,"b":1,"c":3}"#);
    for (on_conflict, expected) in [
        (OnConflict::Rebase, Some((Settled::Rebased, r#"{"a":2,"b":1,"c":3}"#))),
        (OnConflict::Overwrite, Some((Settled::Overwritten, mine))),
        (OnConflict::Fail, None),
    ] {
        let mut world = World::new(Policy { on_conflict, ..policy() });
        let (opened, row) = world.stored(r#"{"a":1,"b":1}"#);
        let write = world.write(&opened, save(mine));
        let row = world.rewritten(&opened, &row, theirs);
        let retry = world.retry(&write, &opened, &Applied::Conflict(row.clone()));
        match expected {
            None => assert!(matches!(retry, Some(Retry::Refused)), "{retry:?}"),
            Some((settled, json)) => {
                let write = again(retry);
                assert_eq!(write.settled, Some(settled));
                assert!(
                    matches!(write.change, Change::Save { expected, .. } if expected == row.rev)
                );
                assert_eq!(kept(&world, write), json);
            }
        }
    }
}

#[test]
fn a_merge_is_applied_to_what_is_there_now_five_times_at_most() {
    let mut world = World::new(Policy { on_conflict: OnConflict::Fail, ..policy() });
    let (opened, mut row) = world.stored(r#"{"n":0}"#);
    let mut write = world.write(&opened, merge_of(r#"{"mine":1}"#));
    for number in 1..5 {
        row = world.rewritten(&opened, &row, &format!(r#"{{"n":{number}}}"#));
        write = again(world.retry(&write, &opened, &Applied::Conflict(row.clone())));
        assert_eq!(write.settled, Some(Settled::Merged));
    }
    let retry = world.retry(&write, &opened, &Applied::Conflict(row));
    assert!(matches!(retry, Some(Retry::Refused)), "{retry:?}");
    assert_eq!(kept(&world, write), r#"{"n":4,"mine":1}"#);
}

#[test]
fn a_session_that_ended_is_not_revived_but_a_log_in_makes_a_new_one() {
    let mut world = World::new(policy());
    let (opened, _) = world.stored(r#"{"n":1}"#);
    for directive in [save(r#"{"n":2}"#), merge_of(r#"{"n":2}"#), renew(), save("{}")] {
        let write = world.write(&opened, directive);
        let retry = world.retry(&write, &opened, &Applied::Gone);
        assert!(matches!(retry, Some(Retry::Ended)), "{retry:?}");
    }
    let write = world.write(&opened, save(r#"{"user":"ada"}"#));
    let write = again(world.retry(&write, &opened, &Applied::Gone));
    let Change::Create { id, row } = &write.change else { panic!("{write:?}") };
    assert_ne!(id, opened.token().unwrap().id());
    assert!(row.subject.is_some());
}

#[test]
fn another_user_and_a_renewal_get_another_id_and_key() {
    let mut world = World::new(policy());
    let (opened, row) = world.stored(r#"{"user":"ada","n":1}"#);
    let (token, key, _) = opened.stored().unwrap();
    for (directive, keeps_start) in [
        (save(r#"{"user":"bob"}"#), false),
        (merge_of(r#"{"user":null}"#), false),
        (save("{}"), false),
        (renew(), true),
    ] {
        let write = world.write(&opened, directive);
        let Change::Renew { old, expected, id, row: next } = &write.change else {
            panic!("{write:?}")
        };
        assert_eq!((old, *expected), (token.id(), row.rev));
        assert_ne!(id, token.id());
        assert!(record::open(next.data.clone(), key, id, next.rev).is_err());
        assert!(next.start == row.start || !keeps_start);
        let CookieAction::Issue(issued) = write.into_action() else { panic!("no cookie") };
        assert!(issued.renewed);
    }
    let write = world.write(&opened, save(r#"{"user":"ada","n":2}"#));
    assert!(matches!(write.change, Change::Save { .. }), "{write:?}");
}

#[test]
fn a_session_in_a_cookie_moves_in_when_it_is_saved_or_refreshed() {
    let mut world = World::new(policy());
    let cookie_policy = Policy { store: None, ..policy() };
    let before = Timestamp::from_secs(NOW.as_secs() - 50_000);
    let token = crate::session::encode(
        &dict(r#"{"user":"ada"}"#),
        Issuer::new(&world.keys, &cookie_policy, before),
        || SessionId::from_bytes([90; 16]),
    )
    .unwrap();
    let opened = world.open(&token);
    assert_eq!((opened.outcome(), opened.awaits()), (Outcome::Valid, None));
    let write = world.write(&opened, merge_of(r#"{"n":1}"#));
    let Change::Create { row, .. } = &write.change else { panic!("{write:?}") };
    assert_eq!(row.start, before);
    assert_eq!(kept(&world, write), r#"{"user":"ada","n":1}"#);
    assert!(opened.is_due(&world.policy, NOW));
    let issuer = Issuer { keys: &world.keys, policy: &world.policy, now: NOW };
    let source = &mut world.source;
    let plan = refresh(&opened, issuer, &mut || source.draw()).unwrap();
    assert!(matches!(plan, Plan::Write(write) if matches!(write.change, Change::Create { .. })));
}

#[test]
fn a_delete_ends_this_session_all_of_a_user_or_all_others() {
    let mut world = World::new(policy());
    let (opened, _) = world.stored(r#"{"user":7}"#);
    let id = opened.token().unwrap().id().clone();
    let subject = SubjectHash::of_text(b"7");
    let this = world.write(&opened, Directive::Delete { all: false, beside_a_save: false });
    assert_eq!((&this.change, &this.then), (&Change::Delete { id: id.clone() }, &None));
    let all = world.write(&opened, Directive::Delete { all: true, beside_a_save: false });
    assert_eq!(all.change, Change::Delete { id: id.clone() });
    assert_eq!(all.then, Some(Change::EndSubject { subject, except: None }));
    let others = world.write(&opened, Directive::EndOthers);
    assert_eq!(others.change, Change::EndSubject { subject, except: Some(id) });
    assert!(matches!(others.into_action(), CookieAction::Keep));
}

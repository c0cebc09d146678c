//! Sessions in a store, with a modified file or cookie: the first byte says which.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use cloakroom::keys::Algorithm;
use cloakroom::session::cookie::find;
use cloakroom::session::dict::Dict;
use cloakroom::session::directive::{Directive, Save};
use cloakroom::session::lifetime::SessionId;
use cloakroom::session::stored::{Plan, Randomness, plan};
use cloakroom::session::{self, CookieAction, Holds, Issuer, Opened, Outcome, Policy};
use cloakroom::store::operation::{Change, Loaded, Row};
use cloakroom::store::record::{self, SessionKey};

use crate::keys::{RING, SIGNING, sign};
use crate::policy::{NOW, TTL, policy};

/// The contents of the session.
const DICT: &str = r#"{"user":"ada","basket":{"hat":2},"n":1.10}"#;

/// The header of tickets signed by the first key.
const HEADER: &str = r#"{"typ":"JWT","alg":"HS256","crit":["cr"],"cr":1}"#;

/// Only records sealed for this session, revision and key can be opened, and a ticket is never read
/// as a session with a dict.
pub fn stored(data: &[u8]) {
    let [mode, bits, rest @ ..] = data else { return };
    // Without `require_exp` and similar settings, which tickets satisfy anyway.
    let policy = Policy {
        ttl: Some(TTL),
        subject: Some(vec!["user".into()]),
        store: Some(Holds::Sessions),
        ..policy(bits & 0b0001_1110)
    };
    match mode % 5 {
        0 => any_record(rest),
        1 => edited_record(rest, &policy),
        2 => edited_ticket(rest, &policy),
        3 => any_payload(rest, &policy),
        _ => any_header(rest, &policy),
    }
}

fn key(byte: u8) -> SessionKey {
    SessionKey::from_bytes([byte; 32])
}

/// Bytes that were not sealed.
fn any_record(bytes: &[u8]) {
    let opened = record::open(bytes.to_vec(), &key(1), &SessionId::from_bytes([1; 16]), 1);
    let error = opened.expect_err("nobody has sealed this").to_string();
    assert!(error.len() < 120 && !error.contains(char::is_control), "{error}");
}

/// Replaces, inserts or removes a few bytes.
fn edit(bytes: &mut Vec<u8>, edits: &[u8]) {
    for edit in edits.chunks_exact(4).take(8) {
        let [kind, high, low, byte] = *edit else { continue };
        let at = usize::from(u16::from_be_bytes([high, low])) % (bytes.len() + 1);
        match kind % 4 {
            0 if at < bytes.len() => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            2 if at < bytes.len() => drop(bytes.remove(at)),
            3 => bytes.truncate(at),
            _ => {}
        }
    }
}

/// A session in the store, with its ticket and row.
fn session(policy: &Policy) -> (String, Row) {
    let dict = Dict::parse(DICT.as_bytes()).expect("a dict");
    let directive = Directive::Save(Save { dict: Some(dict), ..Save::default() });
    let issuer = Issuer { keys: &RING, policy, now: NOW };
    let id = SessionId::from_bytes([2; 16]);
    let mut drawn = Some(Randomness { id, key: key(2), nonce: [3; 12], seal: [4; 12] });
    let opened = open("", policy);
    let planned = plan(&opened, directive, issuer, &mut || Ok(drawn.take().expect("drawn once")));
    let Ok(Plan::Write(write)) = planned else { panic!("{planned:?}") };
    let Change::Create { row, .. } = write.change.clone() else { panic!("{write:?}") };
    let CookieAction::Issue(issued) = write.into_action() else { panic!("no cookie") };
    let value = issued.set_cookie.strip_prefix("session=").expect("the cookie");
    (value.split(';').next().unwrap_or_default().to_owned(), row)
}

fn open(token: &str, policy: &Policy) -> Opened {
    let field = format!("session={token}");
    let found = find(|| std::iter::once(field.as_bytes()), policy.names(), false);
    session::open(&found, &RING, policy, NOW)
}

/// A record, or its revision, modified in the file.
fn edited_record(edits: &[u8], policy: &Policy) {
    let (ticket, row) = session(policy);
    let mut opened = open(&ticket, policy);
    assert!(opened.awaits().is_some(), "{:?}", opened.outcome());
    let mut edited = row.clone();
    edit(&mut edited.data, edits);
    if let [first, ..] = edits {
        edited.rev += u64::from(first % 3);
    }
    let is_as_it_was = (&edited.data, edited.rev) == (&row.data, row.rev);
    match opened.complete(Loaded::Found(edited)) {
        Ok(()) => {
            assert!(is_as_it_was, "an edited record opens");
            assert_eq!(opened.token().map(|token| token.dict().as_str()), Some(DICT));
        }
        Err(_) => {
            assert!(!is_as_it_was, "a sound record does not open");
            assert!(opened.token().is_none_or(|token| token.dict().is_empty()));
        }
    }
}

/// A ticket modified in the browser.
fn edited_ticket(edits: &[u8], policy: &Policy) {
    let (ticket, _) = session(policy);
    let mut edited = ticket.clone().into_bytes();
    edit(&mut edited, edits);
    let verdict = session::open_token(&edited, &RING, policy, NOW);
    assert_eq!(verdict.is_ok(), edited == ticket.as_bytes(), "{verdict:?}");
}

/// Any payload, signed as a ticket.
fn any_payload(payload: &[u8], policy: &Policy) {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let message = format!("{}.{}", encode(HEADER.as_bytes()), encode(payload));
    let token = format!("{message}.{}", sign(&message, SIGNING, Algorithm::Hs256));
    is_no_session(&token, policy);
}

/// A ticket's payload with any header: without `crit` it would be a session with a key in its dict.
fn any_header(header: &[u8], policy: &Policy) {
    let (ticket, _) = session(policy);
    let payload = ticket.split('.').nth(1).unwrap_or_default();
    let message = format!("{}.{payload}", URL_SAFE_NO_PAD.encode(header));
    let token = format!("{message}.{}", sign(&message, SIGNING, Algorithm::Hs256));
    let verdict = session::open_token(token.as_bytes(), &RING, policy, NOW);
    if let Ok(verified) = verdict {
        let header = serde_json::from_slice::<serde_json::Value>(header);
        let is_ticket = header.is_ok_and(|header| header.get("crit").is_some());
        assert_eq!(verified.is_ticket(), is_ticket);
        assert!(verified.dict().is_empty(), "a key in a dict: {}", verified.dict().as_str());
    }
}

/// Whether it verifies or not, it must have no dict before the store is asked, nor without a store.
fn is_no_session(token: &str, policy: &Policy) {
    if let Ok(verified) = session::open_token(token.as_bytes(), &RING, policy, NOW) {
        assert!(verified.is_ticket() && verified.managed().is_some());
        assert!(verified.dict().is_empty());
    }
    let mut opened = open(token, policy);
    if opened.awaits().is_some() {
        opened.complete(Loaded::Gone).expect("gone is an answer");
        assert_eq!(opened.outcome(), Outcome::Gone);
    }
    assert!(opened.token().is_none(), "a session without a store");
    let without = Policy { store: None, ..policy.clone() };
    assert!(open(token, &without).token().is_none(), "a session without a store");
}

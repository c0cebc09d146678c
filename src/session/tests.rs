#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests may panic")]

use std::time::Duration;

use super::cookie::{CookieAttributes, CookieName, CookieParts};
use super::directive::{Directive, Save};
use super::revocation::Revocations;
use super::*;
use crate::keys::{Algorithm, Key};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

fn policy() -> Policy {
    let parts = CookieParts::named(CookieName::parse("session").unwrap());
    Policy::of(CookieAttributes::new(parts).unwrap())
}

fn ring() -> KeyRing {
    KeyRing::new(Key::hmac(None, Algorithm::Hs256, SECRET), vec![])
}

fn id(byte: u8) -> SessionId {
    SessionId::from_bytes([byte; 16])
}

/// A token with the given header and payload, signed with our secret (HS256).
fn forge(header: &str, payload: &[u8]) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
    let signature = Key::hmac(None, Algorithm::Hs256, SECRET).sign(message.as_bytes()).unwrap();
    format!("{message}.{signature}")
}

fn token(payload: &str) -> String {
    forge(r#"{"typ":"JWT","alg":"HS256"}"#, payload.as_bytes())
}

fn open_with(policy: &Policy, token: &str) -> Result<String, &'static str> {
    open_token(token.as_bytes(), &ring(), policy, NOW)
        .map(|token| token.dict().as_str().to_owned())
        .map_err(|rejection| Outcome::Rejected(rejection).label())
}

fn open_cookie(policy: &Policy, token: &str, now: Timestamp) -> Opened {
    let field = format!("session={token}");
    let found = cookie::find(|| std::iter::once(field.as_bytes()), policy.names(), false);
    open(&found, &ring(), policy, now)
}

fn save(json: &str) -> Directive {
    save_for(json, None)
}

fn save_for(json: &str, max_age: Option<u64>) -> Directive {
    Directive::Save(Save {
        dict: Some(Dict::parse(json.as_bytes()).unwrap()),
        patch: None,
        max_age,
        ..Save::default()
    })
}

fn issued(opened: &Opened, directive: Directive, policy: &Policy, now: Timestamp) -> Issued {
    match close(opened, directive, Issuer::new(&ring(), policy, now), || id(1)).unwrap() {
        CookieAction::Issue(issued) => issued,
        other => panic!("{other:?}"),
    }
}

fn token_of(issued: &Issued) -> String {
    issued.set_cookie.split(['=', ';']).nth(1).unwrap().to_owned()
}

fn payload_of(issued: &Issued) -> String {
    let token = token_of(issued);
    let payload = token.split('.').nth(1).unwrap();
    String::from_utf8(URL_SAFE_NO_PAD.decode(payload).unwrap()).unwrap()
}

fn nobody() -> Opened {
    Opened {
        token: None,
        outcome: Outcome::Absent,
        old_names: OldNames::default(),
        transport: Transport::Clear,
    }
}

mod closing;
mod lifetime;
mod opening;
mod sealed;

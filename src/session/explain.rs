//! Describes a token and exactly why it is not accepted: for `cloakroom token decode --explain` and
//! `POST /tokens/explain`.

use std::fmt::Write as _;
use std::time::Duration;

use super::dict::Dict;
use super::lifetime::{Managed, SessionId};
use super::{Outcome, Policy};
use crate::keys::KeyRing;
use crate::printable::push_json_escaped;
use crate::session;
use crate::time::Timestamp;

mod reason;

use reason::{Parts, part, payload, reason};

/// The description of a token, one fact per line, and whether the token is accepted.
#[must_use]
pub fn explain(token: &[u8], keys: &KeyRing, policy: &Policy, now: Timestamp) -> (String, bool) {
    let mut text = String::new();
    let mut line = |name: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{name:<11}");
        // The token must not write escape sequences to the reader's terminal. Unusual text is shown
        // as JSON.
        push_json_escaped(&mut text, value);
        text.push('\n');
    };
    let bytes = policy.cookie.bytes_with(token);
    line("cookie", &format!("{bytes} bytes of {} allowed", policy.max_cookie_bytes));
    let parts = Parts::of(token);
    let read = session::payload_of(token, keys);
    let header = parts.as_ref().map(|parts| part(parts.header()));
    let payload = payload(parts.as_ref(), &read);
    let is_sealed = matches!(parts, Some(Parts::Sealed { .. }));
    if let Some(Ok(header)) = &header {
        line("header", header.as_str());
    }
    if let Ok((_, key)) = read {
        let algorithm =
            keys.iter().find(|(index, _)| *index == key).map(|(_, key)| key.algorithm());
        let algorithm = algorithm.map_or("", |algorithm| algorithm.name());
        let (name, done) = if is_sealed { ("seal", "opened") } else { ("signature", "verified") };
        line(name, &format!("{done} by key {} ({algorithm})", keys.label(key)));
    }
    if let Some(Ok(payload)) = &payload {
        line("payload", &without_key(header.as_ref(), payload));
        for (claim, name) in [("iat", "issued"), ("nbf", "not before"), ("exp", "expires")] {
            if let Some(value) = payload.get(&[claim]) {
                line(name, &moment(value, now));
            }
        }
        if let Some(managed) = payload.get(&["cr"]).and_then(Managed::parse) {
            let start = at(managed.start, now);
            line("session", &format!("{}, begun {start}", managed.id.as_str()));
        }
    }
    match session::open_token(token, keys, policy, now) {
        Ok(opened) => {
            if opened.managed().is_none() {
                let mark = if is_sealed { "seal" } else { "signature" };
                line("session", &format!("{}, by its {mark}", opened.id().as_str()));
            }
            match opened.is_ticket() {
                true => {
                    line("dict", "in the store: `cloakroom session show` says whether it still is")
                }
                false => line("dict", opened.dict().as_str()),
            }
            line("verdict", "valid");
            (text, true)
        }
        Err(rejection) => {
            let label = Outcome::Rejected(rejection).label();
            let reason = reason(rejection, parts, header, payload, keys, policy);
            line("verdict", &format!("{label}: {reason}"));
            (text, false)
        }
    }
}

/// A payload without the session's key: explanations are passed on, and the key together with the
/// store would reveal the session.
fn without_key<E>(header: Option<&Result<Dict, E>>, payload: &Dict) -> String {
    let is_ticket = matches!(header, Some(Ok(header)) if header.get(&["crit"]).is_some());
    match payload.get(&["cr", "key"]) {
        Some(key) if is_ticket && key.len() > 40 => {
            payload.as_str().replace(key, "\"(not shown)\"")
        }
        _ => payload.as_str().to_owned(),
    }
}

/// Facts about a token for programs. They never contain a key: of a ticket's payload, which has the
/// session's key, only the id and the times are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Whether the token is accepted and, if not, why.
    pub outcome: Outcome,
    /// The reason in words; None if the token is accepted.
    pub reason: Option<String>,
    /// The length of its cookie: name, `=` and value.
    pub cookie_bytes: usize,
    /// `alg` in its header, as JSON.
    pub alg: Option<String>,
    /// `kid` in its header, as JSON.
    pub kid: Option<String>,
    /// The key that verified it: its id, or its number in the configuration.
    pub key: Option<String>,
    /// `iat`
    pub issued: Option<Timestamp>,
    /// `nbf`
    pub not_before: Option<Timestamp>,
    /// `exp`
    pub expires: Option<Timestamp>,
    /// The session that it belongs to.
    pub session: Option<SessionId>,
    /// When the session was first saved.
    pub start: Option<Timestamp>,
    /// Whether the dict is in the store.
    pub is_ticket: bool,
    /// The dict, if the token is accepted and contains it.
    pub dict: Option<Dict>,
}

/// The facts about a token.
#[must_use]
pub fn facts(token: &[u8], keys: &KeyRing, policy: &Policy, now: Timestamp) -> Facts {
    let parts = Parts::of(token);
    let read = session::payload_of(token, keys);
    let header = parts.as_ref().map(|parts| part(parts.header()));
    let payload = payload(parts.as_ref(), &read);
    let named = |name| Some(header.as_ref()?.as_ref().ok()?.get(&[name])?.to_owned());
    let said = |claim| payload.as_ref()?.as_ref().ok()?.get(&[claim]);
    let time = |claim| said(claim).and_then(numeric_date);
    let managed = said("cr").and_then(Managed::parse);
    let key = read.ok().map(|(_, key)| keys.label(key));
    let mut facts = Facts {
        outcome: Outcome::Valid,
        reason: None,
        cookie_bytes: policy.cookie.bytes_with(token),
        alg: named("alg"),
        kid: named("kid"),
        key,
        issued: time("iat"),
        not_before: time("nbf"),
        expires: time("exp"),
        start: managed.as_ref().map(|managed| managed.start),
        session: managed.map(|managed| managed.id),
        is_ticket: false,
        dict: None,
    };
    match session::open_token(token, keys, policy, now) {
        Ok(opened) => {
            facts.session = Some(opened.id().clone());
            facts.is_ticket = opened.is_ticket();
            facts.dict = (!opened.is_ticket()).then(|| opened.dict().clone());
        }
        Err(rejection) => {
            facts.outcome = Outcome::Rejected(rejection);
            facts.reason = Some(reason(rejection, parts, header, payload, keys, policy));
        }
    }
    facts
}

/// A NumericDate in words.
fn moment(json: &str, now: Timestamp) -> String {
    match numeric_date(json) {
        Some(moment) => at(moment, now),
        None => format!("{json}, which is not a valid time"),
    }
}

/// A NumericDate as a time, to the second; None outside the years 1970 to 9999.
fn numeric_date(json: &str) -> Option<Timestamp> {
    let seconds = json.parse::<f64>().ok()?;
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "within the range that is checked"
    )]
    (0.0..=253_402_300_799.0).contains(&seconds).then(|| Timestamp::from_secs(seconds as u64))
}

fn at(moment: Timestamp, now: Timestamp) -> String {
    let written = moment.to_rfc3339();
    let (whole, behind) =
        if moment <= now { (now.since(moment), " ago") } else { (moment.since(now), "") };
    let before = if behind.is_empty() { "in " } else { "" };
    let whole = Duration::from_secs(whole.as_secs());
    format!("{written}, {before}{}{behind}", humantime::format_duration(whole))
}

#[cfg(test)]
mod tests;

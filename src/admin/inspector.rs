//! `/tokens/explain`: the output of `cloakroom token decode --explain` as JSON. Never contains a
//! key.

use http::{Method, Response};
use serde_json::Value;

use super::answer::{json, not_allowed};
use crate::clock;
use crate::printable::push_json_escaped;
use crate::session::explain::{Facts, facts};
use crate::session::lifetime::SessionId;
use crate::session::{Holds, Outcome};
use crate::state::Shared;
use crate::store::operation::Loaded;
use crate::time::Timestamp;

/// Larger than any token in a cookie.
pub(super) const MOST_BODY_BYTES: usize = 64 * 1024;

/// Explains the token in the body of a request.
pub(super) async fn answer(shared: &Shared, method: &Method, body: &[u8]) -> Response<Vec<u8>> {
    if method != Method::POST {
        return not_allowed("POST");
    }
    let state = shared.state.load_full();
    let (policy, now) = (&state.config.session, clock::now());
    let mut facts = facts(body.trim_ascii(), &state.keys, policy, now);
    if let (Outcome::Valid, true, Some(id)) = (facts.outcome, facts.is_ticket, &facts.session) {
        let (outcome, reason) = in_store(shared, policy.store, id.clone(), now).await;
        facts.outcome = outcome;
        facts.reason = reason.map(str::to_owned);
    }
    json(as_json(&facts, policy.max_cookie_bytes))
}

/// The state of the ticket's session in the store.
async fn in_store(
    shared: &Shared,
    holds: Option<Holds>,
    id: SessionId,
    now: Timestamp,
) -> (Outcome, Option<&'static str>) {
    let (Some(store), Some(Holds::Sessions)) = (&shared.store, holds) else {
        return (
            Outcome::UnknownStore,
            Some("its session is in a store, and no [store] is configured here"),
        );
    };
    match shared.counted(store.load(id, now).await) {
        Ok(Loaded::Found(_) | Loaded::Replaced(_)) => (Outcome::Valid, None),
        Ok(Loaded::Gone) => {
            (Outcome::Gone, Some("it verifies, but its session is no longer in the store"))
        }
        Err(_) => (Outcome::Unavailable, Some("it verifies, but the store does not answer")),
    }
}

fn as_json(facts: &Facts, most: usize) -> String {
    let text = |text: Option<&str>| Value::from(text).to_string();
    let raw = |json: &Option<String>| json.clone().unwrap_or_else(|| "null".into());
    let time = |at: Option<Timestamp>| text(at.map(Timestamp::to_rfc3339).as_deref());
    let members = [
        ("outcome", text(Some(facts.outcome.label()))),
        ("reason", text(facts.reason.as_deref())),
        ("cookie_bytes", facts.cookie_bytes.to_string()),
        ("max_cookie_bytes", most.to_string()),
        ("alg", raw(&facts.alg)),
        ("kid", raw(&facts.kid)),
        ("key", text(facts.key.as_deref())),
        ("issued", time(facts.issued)),
        ("not_before", time(facts.not_before)),
        ("expires", time(facts.expires)),
        ("session", text(facts.session.as_ref().map(SessionId::as_str))),
        ("start", time(facts.start)),
        ("ticket", facts.is_ticket.to_string()),
        ("dict", facts.dict.as_ref().map_or("null", |dict| dict.as_str()).to_owned()),
    ];
    let members: Vec<String> =
        members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
    let mut json = String::new();
    push_json_escaped(&mut json, &format!("{{{}}}", members.join(",")));
    json
}

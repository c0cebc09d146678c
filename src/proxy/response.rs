//! The way out: what the backend says of the session is carried out and goes no further.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Instant;

use http::header::{
    CACHE_CONTROL, CONTENT_LENGTH, HeaderName, SET_COOKIE, TRANSFER_ENCODING, VARY,
};
use http::{HeaderMap, HeaderValue};
use pingora_core::{Error, ErrorSource, ErrorType, Result};
use pingora_http::{RequestHeader, ResponseHeader, header_value_from_raw};

use super::failure;
use crate::clock;
use crate::config::{Config, OnBadSave};
use crate::metrics::Action;
use crate::random::System;
use crate::session::directive::{self, Broken, Control, Directive};
use crate::session::lifetime::SessionId;
use crate::session::recent::REMEMBERED;
use crate::session::{self, CookieAction, IssueKind, Opened, Outcome, Policy, VerifiedToken};
use crate::state::{Shared, State};
use crate::time::Timestamp;
use crate::visit::refreshing::Refreshing;
use crate::visit::{Stay, Visit, caching};

/// Refuses an answer whose length is said twice, even if it is said alike: who is in front may read
/// one of them (RFC 9112 section 6.3).
pub(super) fn check_framing(response: &ResponseHeader) -> Result<()> {
    let is_said_twice = |name: HeaderName| {
        let mut fields = response.headers.get_all(name).iter();
        let first = fields.next();
        fields.next().is_some() || first.is_some_and(|value| value.as_bytes().contains(&b','))
    };
    if is_said_twice(CONTENT_LENGTH) || is_said_twice(TRANSFER_ENCODING) {
        let why = "the length of the answer is said twice";
        return Error::e_explain(ErrorType::InvalidHTTPHeader, why).map_err(Error::into_up);
    }
    Ok(())
}

/// Refuses a switch of protocols that nobody has asked for (RFC 9110 section 15.2.2): what comes
/// behind it is no HTTP.
pub(super) fn check_switch(response: &ResponseHeader, was_asked_for: bool) -> Result<()> {
    if response.status.as_u16() == 101 && !was_asked_for {
        let why = "the answer switches protocols unasked";
        return Error::e_explain(ErrorType::InvalidHTTPHeader, why).map_err(Error::into_up);
    }
    Ok(())
}

/// Removes the sidecar's fields and any cookie under the session cookie's name.
pub(super) fn strip(shared: &Shared, response: &mut ResponseHeader, config: &Config) -> Result<()> {
    let own = own_names(&response.headers, config);
    remove(response, own);
    drop_foreign_cookie(shared, response, config)
}

fn remove(response: &mut ResponseHeader, names: Vec<HeaderName>) {
    for name in names {
        response.remove_header(&name);
    }
}

/// The same for the fields behind a body.
pub(super) fn strip_trailers(trailers: &mut HeaderMap, config: &Config) {
    for name in own_names(trailers, config) {
        trailers.remove(name);
    }
}

fn own_names(headers: &HeaderMap, config: &Config) -> Vec<HeaderName> {
    headers.keys().filter(|name| config.headers.is_own(name.as_str().as_bytes())).cloned().collect()
}

/// A backend that sets a cookie of the session's name would undo what the sidecar keeps there: a
/// write that is rejected.
fn drop_foreign_cookie(
    shared: &Shared,
    response: &mut ResponseHeader,
    config: &Config,
) -> Result<()> {
    let cookie = &config.session.cookie;
    let is_ours = |value: &HeaderValue| cookie.is_set_by(value.as_bytes());
    let all = response.headers.get_all(SET_COOKIE);
    if !all.iter().any(is_ours) {
        return Ok(());
    }
    let others: Vec<HeaderValue> = all.iter().filter(|value| !is_ours(value)).cloned().collect();
    let dropped = all.iter().count() - others.len();
    response.remove_header(&SET_COOKIE);
    for value in others {
        response.append_header("Set-Cookie", value)?;
    }
    shared.metrics.session_written(Action::Rejected);
    log::warn!(cookie = cookie.name().as_str(), fields = dropped; "dropped a Set-Cookie of the backend's under the session cookie's name");
    Ok(())
}

/// Carries out what the final head of an answer asks for, and strips it.
pub(super) fn close_session(
    shared: &Arc<Shared>,
    request: &RequestHeader,
    response: &mut ResponseHeader,
    ctx: &mut Visit,
) -> Result<()> {
    let state = Arc::clone(&ctx.state);
    let config = &state.config;
    let own = own_names(&response.headers, config);
    // Most answers say nothing of the session.
    let directive = if own.is_empty() { Directive::Keep } else { read(response, config) };
    remove(response, own);
    drop_foreign_cookie(shared, response, config)?;
    let Stay::Open(opened) = &ctx.stay else {
        return vary_by_cookie(response, config, false);
    };
    vary_by_cookie(response, config, config.vary)?;
    let now = clock::now();
    // What is issued is issued by the keys and revocations in force now.
    let current = shared.state.load();
    let changed =
        (!Arc::ptr_eq(&current, &state)).then_some((&current.keys, &current.config.session));
    let still_good = opened.check_again(changed, &config.session, now);
    // The cookie is the one that the request came with.
    let policy = match changed {
        None => Cow::Borrowed(&config.session),
        Some((_, current)) => Cow::Owned(Policy {
            cookie: config.session.cookie.clone(),
            accept_names: config.session.accept_names.clone(),
            ..current.clone()
        }),
    };
    let action = match (directive, still_good) {
        (directive @ (Directive::Broken(_) | Directive::Delete { .. }), _)
        | (directive @ Directive::Save(_), Ok(())) => {
            write(shared, &current, &policy, directive, opened, now)
        }
        (Directive::Keep, Ok(())) => {
            Ok(refresh(shared, &current, &policy, request, response, opened, ctx.begun, now))
        }
        (Directive::Keep, Err(_)) => Ok(Done::default()),
        (Directive::Save(_), Err(rejection)) => {
            shared.metrics.session_written(Action::Rejected);
            log::warn!(
                reason = Outcome::Rejected(rejection).label(),
                path = super::access::path(request).as_str(), request_id = ctx.id();
                "the session ended while the request was under way: its save is dropped"
            );
            Ok(Done { action: Some(Action::Rejected), ..Done::default() })
        }
    };
    match action {
        Ok(done) => {
            ctx.action = done.action;
            ctx.refreshing = done.refreshing;
            ctx.follows = done.follows;
            if let Some(set_cookie) = done.set_cookie {
                set(response, &set_cookie)?;
                for expired in opened.expire_old_names(&config.session) {
                    response.append_header("Set-Cookie", expired)?;
                }
            }
            Ok(())
        }
        Err(broken) => {
            ctx.action = Some(Action::Rejected);
            shared.metrics.session_written(Action::Rejected);
            log::error!(
                reason = broken.reason.as_str(), bytes = broken.bytes,
                path = super::access::path(request).as_str(), request_id = ctx.id();
                "the session could not be saved"
            );
            match config.on_bad_save {
                OnBadSave::Ignore => Ok(()),
                OnBadSave::Fail => {
                    Err(Error::create(failure::BAD_SAVE, ErrorSource::Internal, None, None))
                }
            }
        }
    }
}

/// Says that the answer depends on the cookie, if `add`, and names no field that is the sidecar's.
fn vary_by_cookie(response: &mut ResponseHeader, config: &Config, add: bool) -> Result<()> {
    let value = match response.headers.contains_key(VARY) {
        false => add.then(|| HeaderValue::from_static("Cookie")),
        true => {
            let is_own = |name: &[u8]| config.headers.is_spoofed(name);
            caching::vary(|| values(&response.headers, &VARY), is_own, add)
                .map(header_value_from_raw)
        }
    };
    match value {
        Some(value) => response.insert_header("Vary", value),
        None => Ok(()),
    }
}

fn read(response: &ResponseHeader, config: &Config) -> Directive {
    let names = &config.headers;
    let mut control = Control::default();
    for value in values(&response.headers, names.save.name()) {
        control.save.add(value);
    }
    for value in values(&response.headers, names.merge.name()) {
        control.merge.add(value);
    }
    for value in values(&response.headers, names.max_age.name()) {
        control.max_age.add(value);
    }
    for value in values(&response.headers, names.delete.name()) {
        control.delete.add(value);
    }
    directive::read(&control, names.encoding)
}

fn values<K: http::header::AsHeaderName>(
    headers: &HeaderMap,
    name: K,
) -> impl Iterator<Item = &[u8]> {
    headers.get_all(name).into_iter().map(HeaderValue::as_bytes)
}

/// What was done, and the field that does it.
#[derive(Default)]
struct Done {
    action: Option<Action>,
    set_cookie: Option<String>,
    refreshing: Option<Refreshing>,
    follows: Vec<SessionId>,
}

fn write(
    shared: &Arc<Shared>,
    state: &State,
    policy: &Policy,
    directive: Directive,
    opened: &Opened,
    now: Timestamp,
) -> Result<Done, Broken> {
    if let Directive::Delete { beside_a_save: true } = directive {
        log::warn!("the backend saves and deletes the session in one answer: it is deleted");
    }
    let action = session::close(opened, directive, &state.keys, policy, now, System)?;
    Ok(carry_out(shared, state, opened, action, now, None))
}

#[allow(clippy::too_many_arguments, reason = "each is asked whether this answer renews the token")]
/// Renews a token that is due, unless the answer is no sign of somebody using the app, or a newer
/// write of the same session would be undone.
fn refresh(
    shared: &Arc<Shared>,
    state: &State,
    policy: &Policy,
    request: &RequestHeader,
    response: &ResponseHeader,
    opened: &Opened,
    begun: Instant,
    now: Timestamp,
) -> Done {
    if !opened.is_due(policy, now) || response.status.as_u16() >= 400 || is_sub_resource(request) {
        return Done::default();
    }
    let Some(token) = opened.token() else {
        return Done::default();
    };
    // What was written since a request of more than a minute began is not remembered any more.
    let is_forgotten = begun.elapsed() > REMEMBERED;
    if is_forgotten || shared.recent.lock().is_newer(token.id(), token.issued(), now) {
        return skipped(shared);
    }
    match session::refresh(opened, &state.keys, policy, now, System) {
        // Signing takes a while: whether the session was written is asked for once more.
        Ok(action) => carry_out(shared, state, opened, action, now, Some(token)),
        // Nobody asked for it: the answer passes, and the old token is good as long as it is.
        Err(broken) => {
            log::warn!(reason = broken.reason.as_str(), bytes = broken.bytes; "the session could not be refreshed");
            Done::default()
        }
    }
}

fn skipped(shared: &Shared) -> Done {
    shared.metrics.session_written(Action::RefreshSkipped);
    Done { action: Some(Action::RefreshSkipped), ..Done::default() }
}

/// Counts and remembers what is about to be sent, at the moment that stands in it: signing takes a
/// while, and a token must not look older than its own writing.
///
/// A refresh names the token that it replaces, and nothing is sent if its session was written since:
/// looking at the record and writing to it is one step, so that no refresh follows a delete. One that
/// went before and has not left yet is waited for.
fn carry_out(
    shared: &Arc<Shared>,
    state: &State,
    opened: &Opened,
    action: CookieAction,
    now: Timestamp,
    replaces: Option<&VerifiedToken>,
) -> Done {
    let mut cookie_bytes = None;
    let (action, session, set_cookie) = match action {
        CookieAction::Keep => return Done::default(),
        CookieAction::Expire { set_cookie, session } => (Action::Deleted, session, set_cookie),
        CookieAction::Issue(issued) => {
            cookie_bytes = Some(issued.cookie_bytes);
            let action = match issued.kind {
                IssueKind::Saved => Action::Saved,
                IssueKind::Merged => Action::Merged,
                IssueKind::Refreshed => Action::Refreshed,
            };
            (action, issued.session, issued.set_cookie)
        }
    };
    // Whether tokens are refreshed or not: after a reload they may be. The token that came and the
    // one that goes can have different ids, where the one that came was not ours.
    let came = opened.token().map(VerifiedToken::id).filter(|came| session.as_ref() != Some(*came));
    let mut recent = shared.recent.lock();
    if replaces.is_some_and(|token| recent.is_newer(token.id(), token.issued(), now)) {
        drop(recent);
        return skipped(shared);
    }
    let mut written = Vec::new();
    for session in came.into_iter().chain(&session) {
        let evicted = recent.note(session.clone(), now);
        shared.metrics.recent_writes_evicted.inc_by(evicted as u64);
        if replaces.is_some() {
            recent.refresh_begins(session.clone(), now);
            written.push(session.clone());
        } else if recent.is_being_refreshed(session, now) {
            written.push(session.clone());
        }
    }
    drop(recent);
    let (refreshing, follows) = match replaces {
        Some(_) => (Some(Refreshing::new(shared, written)), Vec::new()),
        None => (None, written),
    };
    if let Some(bytes) = cookie_bytes {
        state.key_uses.signed();
        shared.metrics.cookie_issued(bytes);
    }
    shared.metrics.session_written(action);
    Done { action: Some(action), set_cookie: Some(set_cookie), refreshing, follows }
}

/// Sets the cookie, and keeps shared caches from handing it to others.
fn set(response: &mut ResponseHeader, set_cookie: &str) -> Result<()> {
    response.append_header("Set-Cookie", set_cookie)?;
    if let Some(value) = caching::private(|| values(&response.headers, &CACHE_CONTROL)) {
        response.insert_header("Cache-Control", header_value_from_raw(value))?;
    }
    let targeted = response.headers.keys().filter(|name| caching::is_targeted(name.as_str()));
    let targeted = targeted.cloned().collect();
    remove(response, targeted);
    Ok(())
}

/// Whether a browser fetches a part of a page (Fetch Metadata, `Sec-Fetch-Dest`): such answers
/// come late and out of order, and say nothing of somebody using the app.
fn is_sub_resource(request: &RequestHeader) -> bool {
    request.headers.get("sec-fetch-dest").is_some_and(|dest| {
        !matches!(dest.as_bytes(), b"document" | b"empty" | b"iframe" | b"frame" | b"fencedframe")
    })
}

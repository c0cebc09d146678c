//! Answers: carries out and removes the app's control headers.

use std::borrow::Cow;
use std::sync::{Arc, Once};
use std::time::Instant;

use bytes::Bytes;
use http::header::{
    CACHE_CONTROL, CONNECTION, CONTENT_LENGTH, SET_COOKIE, TRANSFER_ENCODING, VARY,
};
use http::{HeaderName, HeaderValue};

pub(crate) use super::done::AnswerFault;
use super::done::{Done, bad_save, carry_out, skipped};
use super::fields::{Fields, HeadFull, RequestHead, ResponseHead};
use super::signing::signing;
use super::storing::Ends;
use super::{Visit, access, caching, hop, storing};
use crate::clock;
use crate::config::Config;
use crate::metrics::{Action, Conflict};
use crate::random::System;
use crate::session::directive::{self, Control, Directive};
use crate::session::recent::REMEMBERED;
use crate::session::{self, Holds, Issuer, OnConflict, Opened, Outcome, Policy};
use crate::state::{Shared, State};
use crate::time::Timestamp;

const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const SET_COOKIE_AS_SENT: Bytes = Bytes::from_static(b"Set-Cookie");

/// Refuses an answer with more than one `Content-Length`, even equal ones: a proxy in front may use
/// another one (RFC 9112 section 6.3).
pub(crate) fn check_framing(response: &impl Fields) -> Result<(), AnswerFault> {
    let is_said_twice = |name: &HeaderName| {
        let mut fields = response.all(name);
        let first = fields.next();
        fields.next().is_some() || first.is_some_and(|value| value.contains(&b','))
    };
    if is_said_twice(&CONTENT_LENGTH) || is_said_twice(&TRANSFER_ENCODING) {
        return Err(AnswerFault::LengthTwice);
    }
    Ok(())
}

/// Refuses a switch of protocols that the request did not ask for (RFC 9110 section 15.2.2): the
/// bytes after it are not HTTP.
pub(crate) fn check_switch(
    response: &impl ResponseHead,
    was_asked_for: bool,
) -> Result<(), AnswerFault> {
    match response.status() {
        101 if !was_asked_for => Err(AnswerFault::UnaskedSwitch),
        _ => Ok(()),
    }
}

/// Removes from a 1xx the sidecar's fields, those of the connection to the app, and any cookie under
/// the session cookie's name.
pub(crate) fn strip(
    shared: &Shared,
    response: &mut impl ResponseHead,
    config: &Config,
) -> Result<(), AnswerFault> {
    hop::remove(response, config);
    // The carriers replace it in final answers only.
    response.remove(CONNECTION.as_str().as_bytes());
    strip_own(response, config);
    drop_foreign_cookie(shared, response, config)
}

/// Removes the sidecar's fields from a head or from trailers.
pub(crate) fn strip_own(fields: &mut impl Fields, config: &Config) {
    let own = own_names(fields, config);
    remove(fields, &own);
}

fn remove(fields: &mut impl Fields, names: &[Vec<u8>]) {
    for name in names {
        fields.remove(name);
    }
}

fn own_names(fields: &impl Fields, config: &Config) -> Vec<Vec<u8>> {
    fields.names().filter(|name| config.headers.is_own(name)).map(<[u8]>::to_vec).collect()
}

/// Drops a cookie of the app that has the session cookie's name: it would overwrite the session.
/// Counts as a rejected write.
fn drop_foreign_cookie(
    shared: &Shared,
    response: &mut impl Fields,
    config: &Config,
) -> Result<(), AnswerFault> {
    let cookie = &config.session.cookie;
    let is_ours = |value: &&[u8]| cookie.is_set_by(value);
    let dropped = response.all(&SET_COOKIE).filter(is_ours).count();
    if dropped == 0 {
        return Ok(());
    }
    let others: Vec<HeaderValue> = response
        .all(&SET_COOKIE)
        .filter(|value| !is_ours(value))
        .filter_map(|value| HeaderValue::from_bytes(value).ok())
        .collect();
    response.remove(SET_COOKIE.as_str().as_bytes());
    for value in others {
        response.append(SET_COOKIE_AS_SENT, value)?;
    }
    shared.metrics.session_written(Action::Rejected);
    log::warn!(cookie = cookie.name().as_str(), fields = dropped; "dropped a Set-Cookie of the app with the session cookie's name");
    Ok(())
}

/// Carries out what the final head of an answer asks for, and removes the control headers.
pub(crate) async fn close_session(
    shared: &Arc<Shared>,
    request: &impl RequestHead,
    response: &mut impl ResponseHead,
    visit: &mut Visit,
) -> Result<(), AnswerFault> {
    let state = Arc::clone(&visit.state);
    let config = &state.config;
    let own = own_names(response, config);
    // Most answers have no control headers.
    let directive = match own.is_empty() {
        true => Directive::Keep,
        false => read(response, config, visit),
    };
    let directive = match &visit.view {
        Some(view) => directive.within(view),
        None => directive,
    };
    remove(response, &own);
    drop_foreign_cookie(shared, response, config)?;
    let Some(opened) = &visit.session else {
        return vary_by_cookie(response, config, false);
    };
    vary_by_cookie(response, config, config.vary)?;
    let status = response.status();
    match decide(shared, request, status, directive, opened, visit).await {
        Ok(done) => {
            if let Some(set_cookie) = done.set_cookie {
                set(response, set_cookie)?;
                for expired in opened.expire_old_names(&config.session) {
                    response.append(SET_COOKIE_AS_SENT, value(expired)?)?;
                }
            }
            visit.action = done.action;
            visit.refreshing = done.refreshing;
            visit.follows = done.follows;
            Ok(())
        }
        Err(fault) => {
            visit.action = Some(match fault {
                AnswerFault::Conflict => Action::Conflict,
                _ => Action::Rejected,
            });
            Err(fault)
        }
    }
}

/// What an answer with this status does to the session.
///
/// Calls to the store are boxed: every open connection has room for this future, and they would make
/// it several times as large.
async fn decide(
    shared: &Arc<Shared>,
    request: &impl RequestHead,
    status: u16,
    directive: Directive,
    opened: &Opened,
    visit: &Visit,
) -> Result<Done, AnswerFault> {
    let config = &visit.state.config;
    let now = clock::now();
    // Use the current keys and revocations, not those from the start of the request.
    let current = shared.state.load_full();
    let changed =
        (!Arc::ptr_eq(&current, &visit.state)).then_some((&current.keys, &current.config.session));
    let still_good = opened.check_again(changed, &config.session, now);
    // Keep the cookie's attributes and the store from the start of the request.
    let policy = match changed {
        None => Cow::Borrowed(&config.session),
        Some((_, current)) => Cow::Owned(Policy {
            cookie: config.session.cookie.clone(),
            accept_names: config.session.accept_names.clone(),
            store: config.session.store,
            ..current.clone()
        }),
    };
    let directive = without_a_store(directive, &policy);
    let is_stored = policy.store == Some(Holds::Sessions);
    let issuer = Issuer::new(&current.keys, &policy, now);
    match (directive, still_good) {
        (Directive::Keep, Ok(())) => {
            let is_use = status < 400 && !is_sub_resource(request);
            if !is_use || !opened.is_due(&policy, now) {
                return Ok(Done::default());
            }
            if !is_stored {
                return Ok(refresh(shared, &current, issuer, opened, visit.begun).await);
            }
            if is_overtaken(shared, opened, visit.begun, now) {
                return Ok(skipped(shared));
            }
            Ok(Box::pin(storing::refresh(shared, &current, issuer, opened)).await)
        }
        (Directive::Keep, Err(_)) => Ok(Done::default()),
        (Directive::Save(_), Err(rejection)) => {
            let is_refused = policy.on_conflict == OnConflict::Fail;
            let action = if is_refused { Action::Conflict } else { Action::Rejected };
            shared.metrics.session_conflict(Conflict::Ended);
            shared.metrics.session_written(action);
            log::warn!(
                reason = Outcome::Rejected(rejection).label(),
                path = access::path(request).as_str(), request_id = visit.id();
                "save dropped: the session ended while the request was in progress"
            );
            match is_refused {
                true => Err(AnswerFault::Conflict),
                false => Ok(Done { action: Some(action), ..Done::default() }),
            }
        }
        (directive, _) => {
            if let Directive::Delete { beside_a_save: true, .. } = directive {
                log::warn!("the app saved and deleted the session in one answer: it was deleted");
            }
            if is_stored {
                let told = (config, visit.id());
                let close =
                    storing::close(shared, &current, issuer, request, directive, opened, told);
                return Box::pin(close).await;
            }
            let ends = Ends::of(&directive);
            let close = || session::close(opened, directive, issuer, System);
            match signing(shared, issuer.keys, close).await {
                Ok(action) if policy.store == Some(Holds::Revocations) => {
                    let told = (request, visit.id());
                    Box::pin(ends.write(shared, opened, &action, issuer, told)).await?;
                    Ok(carry_out(shared, &current, opened, action, now, None))
                }
                Ok(action) => Ok(carry_out(shared, &current, opened, action, now, None)),
                Err(broken) => bad_save(shared, config, request, visit.id(), &broken),
            }
        }
    }
}

/// Reduces a directive to what is possible without a store. Logs once that the user's other
/// sessions are unknown.
fn without_a_store(directive: Directive, policy: &Policy) -> Directive {
    static TOLD: Once = Once::new();
    let is_of_user = match &directive {
        Directive::EndOthers | Directive::Delete { all: true, .. } => true,
        Directive::Save(save) => save.others,
        _ => false,
    };
    if !is_of_user || policy.store.is_some() {
        return directive;
    }
    TOLD.call_once(|| {
        log::warn!("ending all sessions of a user requires a [store]");
    });
    match directive {
        Directive::EndOthers => Directive::Keep,
        directive => directive,
    }
}

/// Adds `Cookie` to `Vary` if `add`, and removes the sidecar's own fields from it.
fn vary_by_cookie(
    response: &mut impl Fields,
    config: &Config,
    add: bool,
) -> Result<(), AnswerFault> {
    let vary = match response.has(&VARY) {
        false => add.then(|| HeaderValue::from_static("Cookie")),
        true => {
            let is_own = |name: &[u8]| config.headers.is_spoofed(name);
            caching::vary(|| response.all(&VARY), is_own, add).map(value).transpose()?
        }
    };
    match vary {
        Some(vary) => Ok(response.set(Bytes::from_static(b"Vary"), vary)?),
        None => Ok(()),
    }
}

/// A field value made from parts of other values or from printable ASCII.
fn value(bytes: impl Into<Bytes>) -> Result<HeaderValue, HeadFull> {
    HeaderValue::from_maybe_shared(bytes.into()).map_err(|_| HeadFull)
}

fn read(response: &impl Fields, config: &Config, visit: &Visit) -> Directive {
    let names = &config.headers;
    let mut control = Control::default();
    for value in response.all(names.save.name()) {
        control.save.add(value);
    }
    for value in response.all(names.merge.name()) {
        control.merge.add(value);
    }
    for value in response.all(names.max_age.name()) {
        control.max_age.add(value);
    }
    for value in response.all(names.delete.name()) {
        control.delete.add(value);
    }
    for value in response.all(names.renew.name()) {
        control.renew.add(value);
    }
    let directive = directive::read(&control, names.encoding);
    let is_alone = matches!(directive, Directive::Keep | Directive::EndOthers);
    if is_alone && control.max_age.is_present() && visit.session.is_some() {
        log::warn!(
            request_id = visit.id();
            "the app sends a lifetime and saves nothing: the lifetime is ignored"
        );
    }
    directive
}

/// Refreshes a token if it is due, unless this would undo a newer write of the session.
async fn refresh(
    shared: &Arc<Shared>,
    state: &State,
    issuer: Issuer<'_>,
    opened: &Opened,
    begun: Instant,
) -> Done {
    let now = issuer.now;
    if is_overtaken(shared, opened, begun, now) {
        return skipped(shared);
    }
    let refresh = || session::refresh(opened, issuer, System);
    match signing(shared, issuer.keys, refresh).await {
        // Signing takes time: `carry_out` checks again whether the session was written.
        Ok(action) => carry_out(shared, state, opened, action, now, opened.token()),
        // The app did not ask for it: the answer passes, and the old token stays valid until its
        // end.
        Err(broken) => {
            log::warn!(reason:% = broken.reason, bytes = broken.bytes; "the session could not be refreshed");
            Done::default()
        }
    }
}

/// Whether the session was, or may have been, written after the token was issued.
fn is_overtaken(shared: &Shared, opened: &Opened, begun: Instant, now: Timestamp) -> bool {
    // For a request older than this, writes may already be forgotten.
    begun.elapsed() > REMEMBERED
        || opened
            .token()
            .is_some_and(|token| shared.recent.lock().is_newer(token.id(), token.issued(), now))
}

/// Sets the cookie, and prevents shared caching of the answer.
fn set(response: &mut impl Fields, set_cookie: String) -> Result<(), AnswerFault> {
    response.append(SET_COOKIE_AS_SENT, value(set_cookie)?)?;
    if let Some(private) = caching::private(|| response.all(&CACHE_CONTROL)) {
        response.set(Bytes::from_static(b"Cache-Control"), value(private)?)?;
    }
    let targeted = response.names().filter(|name| caching::is_targeted(name));
    let targeted: Vec<Vec<u8>> = targeted.map(<[u8]>::to_vec).collect();
    remove(response, &targeted);
    Ok(())
}

/// Whether a browser fetches a part of a page (`Sec-Fetch-Dest` of Fetch Metadata). Such answers
/// come late and out of order, and do not show that the user is active.
fn is_sub_resource(request: &impl RequestHead) -> bool {
    request.first(&SEC_FETCH_DEST).is_some_and(|dest| {
        !matches!(dest, b"document" | b"empty" | b"iframe" | b"frame" | b"fencedframe")
    })
}

//! The way in: what a client may not say goes, the session is opened, the backend is told.

use std::sync::Arc;

use http::header::{
    ACCEPT, ACCESS_CONTROL_REQUEST_METHOD, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, ORIGIN,
};
use pingora_core::Result;
use pingora_http::RequestHeader;
use pingora_proxy::Session as ProxySession;

use super::Shared;
use super::context::{Context, Session};
use super::forwarded::{self, Forwarding, Scheme};
use super::reply::Reply;
use super::request_id;
use crate::clock;
use crate::config::OddNames;
use crate::routes::{self, Access};
use crate::session::cookie::{self, Rest, Transport};
use crate::session::dict::Dict;
use crate::session::header::{self, Claim, ClaimValue};
use crate::session::{self, Outcome};

mod names;

/// Takes out, on every route, whatever speaks in the name of the sidecar: fields that the backend
/// might read as one of its own, whether a client made them up or a proxy in front set them. Those
/// of the latter that are believed are what the backend will be told, under a name of the request.
///
/// Returns the answer to a request with a name in it that must not reach a backend.
pub(super) fn strip(
    shared: &Shared,
    session: &mut ProxySession,
    ctx: &mut Context,
) -> Option<Reply> {
    let peer =
        session.client_addr().and_then(|address| address.as_inet()).map(|address| address.ip());
    let is_tls = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
    let scheme = if is_tls { Scheme::Https } else { Scheme::Http };
    let request = session.req_header_mut();
    let config = &ctx.state.config;
    // Most requests have nothing of the kind, and one look at each name is enough.
    let (mut spoofed, mut ids, mut forwarded) = (Vec::new(), Vec::new(), Vec::new());
    let (mut hearsay, mut odd, mut is_refused) = (Vec::new(), Vec::new(), false);
    for name in request.headers.keys() {
        let bytes = name.as_str().as_bytes();
        let is_barred = || config.strip.iter().any(|field| field.is_alias(bytes));
        if config.headers.is_spoofed(bytes) || is_barred() {
            spoofed.push(name.clone());
        } else if names::is_odd(bytes) {
            is_refused |= names::is_framing(bytes);
            match config.odd_header_names {
                OddNames::Remove => odd.push(name.clone()),
                OddNames::Refuse => is_refused = true,
                OddNames::Pass => {}
            }
        }
        // It may be both, where it is configured to be.
        if request_id::is_alias(bytes) {
            ids.push(name.clone());
        } else if forwarded::is_alias(bytes) {
            forwarded.push(name.clone());
        } else if forwarded::is_httpoxy(bytes)
            || (forwarded::is_hearsay(bytes) && !config.trusted_proxies.trusts(peer))
        {
            hearsay.push(name.clone());
        }
    }
    let fields = remove(request, &spoofed);
    if fields > 0 {
        shared.metrics.spoofed_headers.inc_by(fields as u64);
    }
    let fields = remove(request, &odd);
    if fields > 0 {
        shared.metrics.odd_headers.inc_by(fields as u64);
    }
    ctx.id = Some(match ids[..] {
        [] => request_id::fresh(),
        _ => request_id::take_or_make(&request.headers),
    });
    remove(request, &ids);
    let none = HeaderMap::new();
    let received = if forwarded.is_empty() { &none } else { &request.headers };
    let host = request.headers.get(HOST).cloned().or_else(|| {
        let authority = request.uri.authority()?;
        HeaderValue::from_str(authority.as_str()).ok()
    });
    ctx.forwarding =
        Some(forwarded::forward(&config.trusted_proxies, peer, scheme, host, received));
    remove(request, &forwarded);
    remove(request, &hearsay);
    is_refused.then_some(Reply::BAD_REQUEST)
}

/// Removes the fields of such names, and says how many they were.
fn remove(request: &mut RequestHeader, names: &[HeaderName]) -> usize {
    let mut fields = 0;
    for name in names {
        fields += request.headers.get_all(name).iter().count();
        request.remove_header(name);
    }
    fields
}

/// Cuts the session cookie out of the request and opens the session. Returns the answer to a
/// request that may not go on without one.
pub(super) fn open_session(
    shared: &Shared,
    request: &mut RequestHeader,
    ctx: &mut Context,
) -> Option<Reply> {
    let state = Arc::clone(&ctx.state);
    let config = &state.config;
    let access = config.routes.access(request.raw_path());
    let cookies = request.headers.get_all(COOKIE);
    let fields = || cookies.iter().map(HeaderValue::as_bytes);
    let found = cookie::find(fields, config.session.names(), config.forward_cookie);
    let mut reply = None;
    if *access != Access::Off {
        // The answer to it is the same for all: a cookie, where there is one, says nothing.
        let is_preflight = is_preflight(request);
        let none = is_preflight
            .then(|| cookie::find(std::iter::empty::<&[u8]>, config.session.names(), false));
        let sent = none.as_ref().unwrap_or(&found);
        let mut opened = session::open(sent, &state.keys, &config.session, clock::now());
        if ctx.forwarding.as_ref().is_some_and(|from| from.scheme == Scheme::Https) {
            opened.came_over(Transport::Tls);
        }
        shared.metrics.session_checked(opened.outcome());
        if let Some(token) = opened.token() {
            state.key_uses.verified(token.key());
        } else if let (Access::Required { login }, false) = (access, is_preflight) {
            reply = Some(refuse(request, login.as_deref()));
        }
        ctx.session = Session::Open(opened);
    }
    let rest = found.into_rest();
    match rest {
        Rest::Unchanged => {}
        Rest::Empty => {
            request.remove_header(&COOKIE);
        }
        Rest::Replaced(value) => {
            // Bytes of the client's own fields, which were a field value before.
            let value = pingora_http::header_value_from_raw(value);
            if request.insert_header("Cookie", value).is_err() {
                request.remove_header(&COOKIE);
            }
        }
    }
    reply
}

/// 401, or the way to the log-in page for somebody who is looking at pages.
fn refuse(request: &RequestHeader, login: Option<&str>) -> Reply {
    match login {
        Some(login) if is_navigation(request) => {
            Reply::see_other(routes::login_location(login, request.raw_path()))
        }
        _ => Reply::UNAUTHORIZED,
    }
}

/// Whether a browser asks for a page (Fetch Metadata, `Sec-Fetch-Mode`), or, where the field is
/// missing, somebody who takes HTML.
fn is_navigation(request: &RequestHeader) -> bool {
    if !matches!(request.method, http::Method::GET | http::Method::HEAD) {
        return false;
    }
    match request.headers.get("sec-fetch-mode") {
        Some(mode) => mode.as_bytes() == b"navigate",
        None => {
            let by = request.headers.get("x-requested-with");
            let is_script =
                by.is_some_and(|by| by.as_bytes().eq_ignore_ascii_case(b"XMLHttpRequest"));
            let mut accepted = request.headers.get_all(ACCEPT).iter();
            !is_script && accepted.any(|accept| takes_html(accept.as_bytes()))
        }
    }
}

/// Whether a value of `Accept` names HTML, with a weight above 0 (RFC 9110 section 12.4.2).
fn takes_html(accept: &[u8]) -> bool {
    accept.split(|&byte| byte == b',').any(|range| {
        let mut parts = range.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
        let is_html = parts.next().is_some_and(|name| name.eq_ignore_ascii_case(b"text/html"));
        is_html && !parts.any(is_weight_of_zero)
    })
}

fn is_weight_of_zero(parameter: &[u8]) -> bool {
    match parameter {
        [b'q' | b'Q', b'=', weight @ ..] => weight.iter().all(|byte| b"0.".contains(byte)),
        _ => false,
    }
}

/// Whether a browser asks what another site may do (CORS). It does so without cookies, whoever its
/// user is, and goes no further unless the app answers.
fn is_preflight(request: &RequestHeader) -> bool {
    request.method == http::Method::OPTIONS
        && request.headers.contains_key(ORIGIN)
        && request.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}

/// Tells the backend what the request is called, and where it comes from.
pub(super) fn insert_forwarded(upstream: &mut RequestHeader, ctx: &Context) -> Result<()> {
    if let Some(id) = &ctx.id {
        upstream.insert_header(request_id::NAME, id.to_value())?;
    }
    let fields = ctx.forwarding.iter().flat_map(Forwarding::fields);
    for (name, value) in fields {
        upstream.insert_header(name, value.clone())?;
    }
    Ok(())
}

/// Tells the backend who it is talking to.
pub(super) fn insert_session(
    shared: &Shared,
    upstream: &mut RequestHeader,
    ctx: &Context,
) -> Result<()> {
    let Some(opened) = ctx.opened() else {
        return Ok(());
    };
    let names = &ctx.state.config.headers;
    let token = opened.token();
    let name = names.session.to_wire();
    match token {
        Some(token) => {
            upstream.insert_header(name, header::encode(token.dict(), names.encoding))?
        }
        None => {
            upstream.insert_header(name, HeaderValue::from_static(names.encoding.empty_dict()))?
        }
    }
    if let Some(status) = &names.status {
        upstream.insert_header(status.to_wire(), opened.outcome().label())?;
    }
    if let Some(token) = token {
        insert_claims(shared, upstream, &names.claims, token.dict(), ctx.id())?;
    }
    debug_assert!(token.is_some() || opened.outcome() != Outcome::Valid);
    Ok(())
}

/// Single values for headers that the app already reads.
fn insert_claims(
    shared: &Shared,
    upstream: &mut RequestHeader,
    claims: &[Claim],
    dict: &Dict,
    id: &str,
) -> Result<()> {
    for claim in claims {
        match claim.value(dict) {
            ClaimValue::Absent => {}
            ClaimValue::Unfit => {
                shared.metrics.claim_headers_skipped.inc();
                // The value is part of the session: it is not logged.
                log::warn!(
                    header = claim.field.as_str(), request_id = id;
                    "a claim header was left out: no header can carry its value unchanged"
                );
            }
            ClaimValue::Value(value) => upstream.insert_header(claim.field.to_wire(), value)?,
        }
    }
    Ok(())
}

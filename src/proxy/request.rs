//! The way in: what a client may not say goes, the session is opened, the backend is told.

use std::sync::Arc;

use http::header::{ACCEPT, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue};
use pingora_core::Result;
use pingora_http::RequestHeader;
use pingora_proxy::Session as ProxySession;

use super::Shared;
use super::context::{Context, Session};
use super::forwarded::{self, Forwarding, Scheme};
use super::reply::{self, Reply};
use super::request_id;
use crate::clock;
use crate::routes::{self, Access};
use crate::session::cookie::{self, Rest, Transport};
use crate::session::dict::Dict;
use crate::session::header::{self, Claim, ClaimValue};
use crate::session::{self, Outcome};

/// Takes out, on every route, whatever speaks in the name of the sidecar: fields that the backend
/// might read as one of its own, whether a client made them up or a proxy in front set them. Those
/// of the latter that are believed are what the backend will be told, under a name of the request.
pub(super) fn strip(shared: &Shared, session: &mut ProxySession, ctx: &mut Context) {
    let peer =
        session.client_addr().and_then(|address| address.as_inet()).map(|address| address.ip());
    let is_tls = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
    let scheme = if is_tls { Scheme::Https } else { Scheme::Http };
    let request = session.req_header_mut();
    let config = &ctx.state.config;
    // Most requests have nothing of the kind, and one look at each name is enough.
    let (mut spoofed, mut ids, mut forwarded) = (Vec::new(), Vec::new(), Vec::new());
    for name in request.headers.keys() {
        let bytes = name.as_str().as_bytes();
        if config.headers.is_spoofed(bytes) {
            spoofed.push(name.clone());
        }
        // It may be both, where it is configured to be.
        if request_id::is_alias(bytes) {
            ids.push(name.clone());
        } else if forwarded::is_alias(bytes) {
            forwarded.push(name.clone());
        }
    }
    let fields = remove(request, &spoofed);
    if fields > 0 {
        shared.metrics.spoofed_headers.inc_by(fields as u64);
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
        let mut opened = session::open(&found, &state.keys, &config.session, clock::now());
        if ctx.forwarding.as_ref().is_some_and(|from| from.scheme == Scheme::Https) {
            opened.came_over(Transport::Tls);
        }
        shared.metrics.session_checked(opened.outcome());
        if let Some(token) = opened.token() {
            state.key_uses.verified(token.key());
        } else if let Access::Required { login } = access {
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
        None => request.headers.get_all(ACCEPT).iter().any(|accept| {
            let mut named = reply::media_types(accept.as_bytes());
            named.any(|media_type| media_type.eq_ignore_ascii_case(b"text/html"))
        }),
    }
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

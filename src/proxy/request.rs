//! The way in: what a client may not say goes, the session is opened, the backend is told.

use std::sync::Arc;

use http::header::{ACCEPT, COOKIE, HOST, HeaderName};
use pingora_core::Result;
use pingora_http::RequestHeader;
use pingora_proxy::Session as ProxySession;

use super::Shared;
use super::context::{Context, Session};
use super::forwarded::{self, Scheme};
use super::reply::{self, Reply};
use super::request_id;
use crate::clock;
use crate::routes::{self, Access};
use crate::session::cookie::{self, Rest, Transport};
use crate::session::dict::Dict;
use crate::session::header::{self, ClaimValue};
use crate::session::{self, Outcome};

/// Gives the request its name, unless it has one.
pub(super) fn set_id(request: &mut RequestHeader, ctx: &mut Context) -> Result<()> {
    ctx.id = request_id::take_or_make(&request.headers);
    remove(request, request_id::is_alias);
    request.insert_header(request_id::NAME, ctx.id.as_str())
}

/// Removes every field whose name the backend might read as one of the sidecar's, on every route.
pub(super) fn strip_spoofed(shared: &Shared, request: &mut RequestHeader, ctx: &Context) {
    let names = &ctx.state.config.headers;
    let fields = remove(request, |name| names.is_spoofed(name));
    if fields > 0 {
        shared.metrics.spoofed_headers.inc_by(fields as u64);
    }
}

/// Removes the fields of such names, and says how many they were.
fn remove(request: &mut RequestHeader, is_such: impl Fn(&[u8]) -> bool) -> usize {
    let all = request.headers.keys();
    let such: Vec<HeaderName> =
        all.filter(|name| is_such(name.as_str().as_bytes())).cloned().collect();
    let mut fields = 0;
    for name in such {
        fields += request.headers.get_all(&name).iter().count();
        request.remove_header(&name);
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
    let fields = || cookies.iter().map(http::HeaderValue::as_bytes);
    let found = cookie::find(fields, config.session.names(), config.forward_cookie);
    let mut reply = None;
    if *access != Access::Off {
        let opened = session::open(&found, &state.keys, &config.session, clock::now());
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

/// Says where the request comes from, in place of whatever a client said that is not trusted.
pub(super) fn set_forwarded(session: &mut ProxySession, ctx: &mut Context) -> Result<()> {
    let peer =
        session.client_addr().and_then(|address| address.as_inet()).map(|address| address.ip());
    let is_tls = session.digest().is_some_and(|digest| digest.ssl_digest.is_some());
    let scheme = if is_tls { Scheme::Https } else { Scheme::Http };
    let request = session.req_header_mut();
    let authority = request.uri.authority().map(|authority| authority.as_str().as_bytes());
    let host = request.headers.get(HOST).map(http::HeaderValue::as_bytes).or(authority);
    let trusted = &ctx.state.config.trusted_proxies;
    let forwarding = forwarded::forward(trusted, peer, scheme, host, &request.headers);
    if let (Session::Open(opened), Scheme::Https) = (&mut ctx.session, forwarding.scheme) {
        opened.came_over(Transport::Tls);
    }
    remove(request, forwarded::is_alias);
    for (name, value) in forwarding.fields() {
        request.insert_header(name, value)?;
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
    let nobody = Dict::default();
    let dict = opened.token().map_or(&nobody, session::VerifiedToken::dict);
    let value = header::encode(dict, names.encoding);
    upstream.insert_header(names.session.as_str().to_owned(), value)?;
    if let Some(status) = &names.status {
        upstream.insert_header(status.as_str().to_owned(), opened.outcome().label())?;
    }
    for claim in &names.claims {
        match claim.value(dict) {
            ClaimValue::Absent => {}
            ClaimValue::Unfit => shared.metrics.claim_headers_skipped.inc(),
            ClaimValue::Value(value) => {
                upstream.insert_header(claim.field.as_str().to_owned(), value)?;
            }
        }
    }
    debug_assert!(opened.token().is_some() || opened.outcome() != Outcome::Valid);
    Ok(())
}

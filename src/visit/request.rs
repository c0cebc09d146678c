//! Requests: removes forged fields, opens the session and tells the app about both.

use std::borrow::Cow;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, ACCESS_CONTROL_REQUEST_METHOD, COOKIE, HOST, ORIGIN};
use http::{HeaderName, HeaderValue, Method};

use super::cross_site::is_cross_site;
use super::fields::{Fields, HeadFull, RequestHead};
use super::forwarded::{self, Forwarding, Scheme};
use super::reply::Reply;
use super::{Visit, request_id, storing, trace};
use crate::clock;
use crate::config::OddNames;
use crate::keys::signature;
use crate::routes;
use crate::session::cookie::{self, Rest, Transport};
use crate::session::dict::Dict;
use crate::session::header::{self, Claim, ClaimValue, folds_to};
use crate::session::{self, Outcome, VerifiedToken};
use crate::state::Shared;

mod names;

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const X_REQUESTED_WITH: HeaderName = HeaderName::from_static("x-requested-with");

/// Removes every field that the app could take for one of the sidecar, on every route, whether a
/// client forged it or a proxy set it. Trusted information of a proxy and the request id are kept
/// in `visit`, and sent to the app later.
///
/// Returns an answer if a name must not reach the app.
pub(crate) fn strip(
    shared: &Shared,
    request: &mut impl RequestHead,
    peer: Option<IpAddr>,
    scheme: Scheme,
    visit: &mut Visit,
) -> Option<Reply> {
    let config = &visit.state.config;
    // Most requests have no such field, so each name is checked only once.
    let (mut spoofed, mut ids, mut forwarded) = (Vec::new(), Vec::new(), Vec::new());
    let (mut hearsay, mut odd, mut is_refused) = (Vec::new(), Vec::new(), false);
    for name in request.names() {
        let is_barred = || config.strip.iter().any(|field| field.is_alias(name));
        let is_signature = || config.signature.is_some() && is_signature(name);
        if config.headers.is_spoofed(name) || is_barred() || is_signature() {
            spoofed.push(name.to_owned());
        } else if names::is_odd(name) {
            is_refused |= names::is_framing(name);
            match config.odd_header_names {
                OddNames::Remove => odd.push(name.to_owned()),
                OddNames::Refuse => is_refused = true,
                OddNames::Pass => {}
            }
        }
        // A name can be in both groups, depending on the configuration.
        if request_id::is_alias(name) {
            ids.push(name.to_owned());
        } else if forwarded::is_alias(name) {
            forwarded.push(name.to_owned());
        } else if forwarded::is_httpoxy(name)
            || (forwarded::is_hearsay(name) && !config.trusted_proxies.trusts(peer))
        {
            hearsay.push(name.to_owned());
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
    visit.id = Some(match ids[..] {
        [] => request_id::fresh(),
        _ => request_id::take_or_make(request),
    });
    remove(request, &ids);
    if config.log.trace && trace::id_in(request).is_none() {
        visit.trace = trace::Trace::begin();
    }
    let host = request.first(&HOST).or_else(|| request.authority().map(str::as_bytes));
    let host = host.and_then(|host| HeaderValue::from_bytes(host).ok());
    let received = (!forwarded.is_empty()).then_some(&*request);
    visit.forwarding =
        Some(forwarded::forward(&config.trusted_proxies, peer, scheme, host, received));
    remove(request, &forwarded);
    remove(request, &hearsay);
    is_refused.then_some(Reply::BAD_REQUEST)
}

/// Whether a server may treat `name` as a field of the sidecar's signature.
fn is_signature(name: &[u8]) -> bool {
    folds_to(name, "signature") || folds_to(name, "signature-input")
}

/// Removes the fields with these names and returns how many there were.
fn remove(request: &mut impl Fields, names: &[Vec<u8>]) -> usize {
    names.iter().map(|name| request.remove(name)).sum()
}

/// Cuts the session cookie out of the request and opens the session. Returns an answer if the route
/// requires a session and there is none.
pub(crate) async fn open_session(
    shared: &Shared,
    request: &mut impl RequestHead,
    visit: &mut Visit,
) -> Option<Reply> {
    let state = Arc::clone(&visit.state);
    let config = &state.config;
    let route = config.routes.find(request.method().as_str(), request.target());
    visit.backend = route.backend();
    visit.is_logged = route.is_logged();
    visit.view = route.view().cloned();
    // Refused only after its session was checked, so that it is counted like other requests.
    let is_cross_site = route.refuses_cross_site(config.cross_site) && {
        let scheme = visit.forwarding.as_ref().map_or(Scheme::Http, |from| from.scheme);
        is_cross_site(request, scheme, &config.trusted_origins)
    };
    if is_cross_site {
        shared.metrics.cross_site_refused.inc();
    }
    let fields = || request.all(&COOKIE);
    // With a view, the cookie is never forwarded: it has the whole dict.
    let forward = config.forward_cookie && visit.view.is_none();
    let found = cookie::find(fields, config.session.names(), forward);
    // Answers to a preflight do not depend on the session, so cookies are ignored.
    let is_preflight = is_preflight(request);
    let mut opened = None;
    if route.has_session() {
        let none = is_preflight
            .then(|| cookie::find(std::iter::empty::<&[u8]>, config.session.names(), false));
        let sent = none.as_ref().unwrap_or(&found);
        opened = Some(session::open(sent, &state.keys, &config.session, clock::now()));
    }
    match found.into_rest() {
        Rest::Unchanged => {}
        Rest::Empty => {
            request.remove(COOKIE.as_str().as_bytes());
        }
        Rest::Replaced(value) => {
            // These bytes come from the client's own field values.
            let set = HeaderValue::from_maybe_shared(Bytes::from(value))
                .is_ok_and(|value| request.set(Bytes::from_static(b"Cookie"), value).is_ok());
            if !set {
                request.remove(COOKIE.as_str().as_bytes());
            }
        }
    }
    let Some(mut opened) = opened else {
        return is_cross_site.then_some(Reply::CROSS_SITE);
    };
    if visit.forwarding.as_ref().is_some_and(|from| from.scheme == Scheme::Https) {
        opened.came_over(Transport::Tls);
    }
    let verified_by = opened.token().map(VerifiedToken::key);
    let mut reply = None;
    if opened.awaits().is_some() {
        let on_outage = config.store.as_ref().map(|store| store.on_outage).unwrap_or_default();
        if storing::load(shared, &mut opened, on_outage).await.is_err() {
            reply = Some(Reply::STORE_AWAY);
        }
    }
    shared.metrics.session_checked(opened.outcome());
    if let Some(key) = verified_by {
        state.key_uses.verified(key);
    }
    if is_cross_site {
        // The answer must not depend on the session, or the other site learns about it.
        reply = Some(Reply::CROSS_SITE);
    }
    match opened.token() {
        Some(token) if reply.is_none() && !route.admits(token.dict()) => {
            reply = Some(Reply::FORBIDDEN);
        }
        None if reply.is_none() && route.is_required() && !is_preflight => {
            reply = Some(match opened.outcome() {
                // The session is unknown; the user is not logged out.
                Outcome::Unavailable => Reply::STORE_AWAY,
                _ => refuse(request, route.login()),
            });
        }
        _ => {}
    }
    visit.session = Some(opened);
    reply
}

/// 401, or a redirect to the log-in page if a browser asks for a page.
fn refuse(request: &impl RequestHead, login: Option<&str>) -> Reply {
    match login {
        Some(login) if is_navigation(request) => {
            Reply::see_other(routes::login_location(login, request.target()))
        }
        _ => Reply::UNAUTHORIZED,
    }
}

/// Whether a browser asks for a page (`Sec-Fetch-Mode` of Fetch Metadata) or, without that field,
/// whether the client accepts HTML.
fn is_navigation(request: &impl RequestHead) -> bool {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return false;
    }
    match request.first(&SEC_FETCH_MODE) {
        Some(mode) => mode == b"navigate",
        None => {
            let by = request.first(&X_REQUESTED_WITH);
            let is_script = by.is_some_and(|by| by.eq_ignore_ascii_case(b"XMLHttpRequest"));
            !is_script && request.all(&ACCEPT).any(takes_html)
        }
    }
}

/// Whether a value of `Accept` has HTML with a weight above 0 (RFC 9110 section 12.4.2).
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

/// Whether it is a CORS preflight. Browsers send it without cookies, and the real request only
/// after the app has answered.
fn is_preflight(request: &impl RequestHead) -> bool {
    *request.method() == Method::OPTIONS
        && request.has(&ORIGIN)
        && request.has(&ACCESS_CONTROL_REQUEST_METHOD)
}

/// Adds the request id and the forwarding fields.
pub(crate) fn insert_forwarded(upstream: &mut impl Fields, visit: &Visit) -> Result<(), HeadFull> {
    if let Some(id) = &visit.id {
        upstream.set(Bytes::from_static(request_id::NAME.as_bytes()), id.to_value())?;
    }
    if let Some(trace) = visit.trace {
        upstream.set(Bytes::from_static(trace::NAME.as_bytes()), trace.to_value())?;
        upstream.remove(trace::STATE.as_bytes());
    }
    let fields = visit.forwarding.iter().flat_map(Forwarding::fields);
    for (name, value) in fields {
        upstream.set(Bytes::from_static(name.as_bytes()), value.clone())?;
    }
    Ok(())
}

/// Adds the session header, the status and the claims.
pub(crate) fn insert_session(
    shared: &Shared,
    upstream: &mut impl Fields,
    visit: &Visit,
) -> Result<(), HeadFull> {
    let Some(opened) = visit.opened() else {
        return Ok(());
    };
    let names = &visit.state.config.headers;
    let token = opened.token();
    let seen = token.map(|token| match &visit.view {
        Some(view) => Cow::Owned(view.of(token.dict())),
        None => Cow::Borrowed(token.dict()),
    });
    let dict = match &seen {
        Some(seen) => value(header::encode(seen, names.encoding))?,
        None => HeaderValue::from_static(names.encoding.empty_dict()),
    };
    upstream.set(names.session.to_wire(), dict)?;
    if let Some(status) = &names.status {
        let outcome = HeaderValue::from_static(opened.outcome().label());
        upstream.set(status.to_wire(), outcome)?;
    }
    if let Some(seen) = &seen {
        insert_claims(shared, upstream, &names.claims, seen, visit.id())?;
    }
    debug_assert!(token.is_some() || opened.outcome() != Outcome::Valid);
    Ok(())
}

/// Signs the request if configured: its method, target, session and claims.
pub(crate) fn insert_signature(
    upstream: &mut impl RequestHead,
    visit: &Visit,
) -> Result<(), HeadFull> {
    let Some(signer) = &visit.state.signer else { return Ok(()) };
    let names = &visit.state.config.headers;
    let fields = std::iter::once(&names.session).chain(names.claims.iter().map(|it| &it.field));
    let fields =
        fields.filter_map(|field| Some((field.name().as_str(), upstream.first(field.name())?)));
    let request = [
        ("@method", upstream.method().as_str().as_bytes()),
        ("@request-target", upstream.target()),
    ];
    let signed = signer.sign(request.into_iter().chain(fields), clock::now());
    upstream.set(Bytes::from_static(signature::INPUT.as_bytes()), value(signed.input)?)?;
    upstream.set(Bytes::from_static(signature::SIGNATURE.as_bytes()), value(signed.signature)?)
}

/// Converts a text to a value without a copy.
fn value(text: String) -> Result<HeaderValue, HeadFull> {
    // The text is printable ASCII.
    HeaderValue::from_maybe_shared(Bytes::from(text)).map_err(|_| HeadFull)
}

/// Adds the claims headers.
fn insert_claims(
    shared: &Shared,
    upstream: &mut impl Fields,
    claims: &[Claim],
    dict: &Dict,
    id: &str,
) -> Result<(), HeadFull> {
    for claim in claims {
        match claim.value(dict) {
            ClaimValue::Absent => {}
            ClaimValue::Unfit => {
                shared.metrics.claim_headers_skipped.inc();
                // Do not log the value, which is part of the session.
                log::warn!(
                    header = claim.field.as_str(), request_id = id;
                    "claim header dropped: a header cannot carry its value unchanged"
                );
            }
            ClaimValue::Value(text) => upstream.set(claim.field.to_wire(), value(text)?)?,
        }
    }
    Ok(())
}

//! What an answer does to the cookie: the second half of the pure core.

use super::broken::{Broken, BrokenReason};
use super::dict::Dict;
use super::directive::Directive;
use super::fresh::Fresh;
use super::issuer::Issuer;
use super::lifetime::{Managed, SessionId};
use super::stamp::Stamp;
use super::{Opened, Policy, VerifiedToken, claims, header, subject};
use crate::keys::{Kind, Nonce, jose};

/// What an answer does to the client's cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CookieAction {
    /// Leaves it unchanged.
    Keep,
    /// Sets it.
    Issue(Issued),
    /// Deletes it.
    Expire {
        /// The value of the `Set-Cookie` field.
        set_cookie: String,
        /// The session that ends, if the request had one.
        session: Option<SessionId>,
    },
}

/// A token to be sent to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The value of the `Set-Cookie` field.
    pub set_cookie: String,
    /// The length of name, `=` and value.
    pub cookie_bytes: usize,
    /// The session it belongs to, if the sidecar manages its lifetime.
    pub session: Option<SessionId>,
    /// Whether the dict was replaced, changed or left as it was.
    pub kind: IssueKind,
    /// Whether the session gets a new id, or another session replaces it.
    pub renewed: bool,
}

/// Why an answer sets the cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssueKind {
    /// A save, with or without a merge.
    Saved,
    /// A merge alone.
    Merged,
    /// A new id for an unchanged session.
    Renewed,
    /// A refresh.
    Refreshed,
}

/// What an answer asks for besides the dict.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) kind: IssueKind,
    pub(super) max_age: Option<u64>,
    pub(super) renew: bool,
}

/// What a save keeps of the session.
pub(super) enum Successor {
    /// The session continues.
    Same,
    /// The session continues under a new id; the old id is no longer valid.
    Renamed,
    /// A new session begins, because the user has changed or logged out. The id, start and lifetime
    /// of the old session must not pass to the next user.
    Another,
}

impl Successor {
    /// The successor of a session with the dict `old` (None: no session) when `new` is saved.
    pub(super) fn of(old: Option<&Dict>, new: &Dict, asked: Asked, policy: &Policy) -> Self {
        let Some(old) = old.filter(|_| asked.kind != IssueKind::Refreshed) else {
            return Self::Same;
        };
        let is_end = new.members().next().is_none();
        let is_another = || {
            let subject = |dict| policy.subject.as_ref().map(|path| subject::of(dict, path));
            subject(old) != subject(new)
        };
        match asked.renew {
            _ if is_end || is_another() => Self::Another,
            true => Self::Renamed,
            false => Self::Same,
        }
    }
}

/// Closes a request's session: carries out what the app asks for.
///
/// # Errors
/// A save that cannot be carried out; the cookie must be left unchanged.
pub fn close(
    opened: &Opened,
    directive: Directive,
    issuer: Issuer<'_>,
    fresh: impl Fresh,
) -> Result<CookieAction, Broken> {
    match directive {
        Directive::Keep | Directive::EndOthers => Ok(CookieAction::Keep),
        Directive::Broken(broken) => Err(broken),
        Directive::Delete { .. } => Ok(CookieAction::Expire {
            set_cookie: issuer.policy.cookie.expire(opened.transport),
            session: opened.token.as_ref().map(|token| token.id().clone()),
        }),
        Directive::Save(save) => {
            let kind = match (&save.dict, &save.patch) {
                (Some(_), _) => IssueKind::Saved,
                (None, Some(_)) => IssueKind::Merged,
                // There is no session to renew.
                (None, None) if opened.token.is_none() => return Ok(CookieAction::Keep),
                (None, None) => IssueKind::Renewed,
            };
            let dict = match &opened.token {
                Some(token) => save.apply(&token.dict),
                None => save.apply(&Dict::default()),
            };
            let asked = Asked { kind, max_age: save.max_age, renew: save.renew };
            issue(opened, &dict, asked, issuer, fresh).map(CookieAction::Issue)
        }
    }
}

/// A new token with the same dict, for a session that [`Opened::is_due`].
///
/// # Errors
/// The token would be too large; the old one stays.
pub fn refresh(
    opened: &Opened,
    issuer: Issuer<'_>,
    fresh: impl Fresh,
) -> Result<CookieAction, Broken> {
    let Some(token) = &opened.token else {
        return Ok(CookieAction::Keep);
    };
    let asked = Asked { kind: IssueKind::Refreshed, max_age: None, renew: false };
    issue(opened, &token.dict, asked, issuer, fresh).map(CookieAction::Issue)
}

/// Signs or seals a token for `dict` without a lifetime, like `Session.encode()` of microdot.
///
/// # Errors
/// A dict that would not be accepted when it comes back.
pub fn encode(dict: &Dict, issuer: Issuer<'_>, mut fresh: impl Fresh) -> Result<String, Broken> {
    let Issuer { policy, now, .. } = issuer;
    let stamp = Stamp::new(policy, None, None, now, || fresh.id());
    let token = sign(dict, stamp.as_ref(), issuer, || fresh.nonce())?;
    check_header(dict, policy)?;
    Ok(token)
}

fn issue(
    opened: &Opened,
    dict: &Dict,
    asked: Asked,
    issuer: Issuer<'_>,
    mut fresh: impl Fresh,
) -> Result<Issued, Broken> {
    let Issuer { policy, now, .. } = issuer;
    let token = opened.token.as_ref();
    let successor = Successor::of(token.map(VerifiedToken::dict), dict, asked, policy);
    let managed = token.and_then(VerifiedToken::managed);
    let stamp = match (successor, managed) {
        (Successor::Same, managed) => {
            Stamp::new(policy, managed, asked.max_age, now, || fresh.id())
        }
        (Successor::Renamed, Some(managed)) => {
            let renamed = Managed { id: fresh.id(), ..managed.clone() };
            Stamp::new(policy, Some(&renamed), asked.max_age, now, || renamed.id.clone())
        }
        (Successor::Another | Successor::Renamed, _) => {
            Stamp::new(policy, None, asked.max_age, now, || fresh.id())
        }
    };
    let kind = asked.kind;
    let token = sign(dict, stamp.as_ref(), issuer, || fresh.nonce())?;
    // A refresh does not change the dict, which the app has already received.
    if kind != IssueKind::Refreshed {
        check_header(dict, policy)?;
    }
    let max_age = stamp.as_ref().and_then(|stamp| stamp.max_age);
    Ok(Issued {
        set_cookie: policy.cookie.issue(&token, max_age, now, opened.transport),
        cookie_bytes: policy.cookie.bytes_with(token.as_bytes()),
        renewed: match (&stamp, managed) {
            (Some(stamp), Some(managed)) => stamp.managed.id != managed.id,
            _ => false,
        },
        session: stamp.map(|stamp| stamp.managed.id),
        kind,
    })
}

/// Signs or seals a token after checking that it will verify when it comes back.
fn sign(
    dict: &Dict,
    stamp: Option<&Stamp>,
    issuer: Issuer<'_>,
    nonce: impl FnOnce() -> Option<Nonce>,
) -> Result<String, Broken> {
    let Issuer { keys, policy, now } = issuer;
    let broken = |reason, bytes| Broken { reason, bytes };
    let size = dict.as_str().len();
    claims::check_save(dict, policy, stamp.is_some(), now)
        .map_err(|reason| broken(BrokenReason::Unsavable(reason), size))?;
    let added: Vec<(&str, String)> =
        claims::names(policy).chain(stamp.into_iter().flat_map(Stamp::claims)).collect();
    let payload = if added.is_empty() {
        None
    } else {
        let added = added.iter().map(|(key, value)| (*key, value.as_str()));
        Some(Dict::from_members(dict.members().chain(added)))
    };
    let payload = payload.as_ref().unwrap_or(dict);
    let token = jose::write(Kind::Session, payload.as_str(), keys.signing(), nonce)
        .map_err(|unwritten| broken(BrokenReason::Unwritten(unwritten), size))?;
    let bytes = policy.cookie.bytes_with(token.as_bytes());
    if bytes > policy.max_cookie_bytes {
        let limit = policy.max_cookie_bytes;
        return Err(broken(BrokenReason::LongCookie { limit }, bytes));
    }
    Ok(token)
}

/// Checks that the app's server would accept the dict in a header. If the server refused it, the
/// user would be locked out and could not even log out.
pub(super) fn check_header(dict: &Dict, policy: &Policy) -> Result<(), Broken> {
    let bytes = header::encoded_bytes(dict, policy.encoding);
    if bytes <= policy.max_bytes {
        return Ok(());
    }
    Err(Broken { reason: BrokenReason::LongHeader { limit: policy.max_bytes }, bytes })
}

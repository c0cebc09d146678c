//! The pure core: a cookie comes in and is opened, the backend's answer closes it.
//!
//! No socket, no clock, no proxy framework, no metrics: time and randomness are arguments.
//!
//! ```text
//! Cookie ──find──> candidates ──open──> Opened ──> X-Session
//! X-Session-Save, -Merge, -Delete ──read──> Directive ──close──> CookieAction ──> Set-Cookie
//! ```

mod claims;
pub mod cookie;
pub mod demand;
pub mod dict;
pub mod directive;
pub mod fresh;
pub mod header;
pub mod lifetime;
mod merge;
mod policy;
pub mod rebase;
pub mod recent;
pub mod revocation;
pub mod stored;
pub mod subject;
pub mod ticket;
pub mod token;

use cookie::{Found, OldNames, Transport};
use dict::Dict;
use directive::{Broken, Directive, Save};
use fresh::Fresh;
use lifetime::{Managed, SessionId, Stamp};
pub use policy::{Holds, OnConflict, Policy};

use token::Rejection;

use crate::keys::{KeyIndex, KeyRing, Kind, Nonce, jose};
use crate::store::record::SessionKey;
use crate::time::Timestamp;

/// A dict whose token has been verified. Only [`open_token`] makes one.
#[derive(Clone, Debug)]
pub struct VerifiedToken {
    dict: Dict,
    key: KeyIndex,
    lineage: Lineage,
    /// Its `exp`, in seconds since 1970.
    expires: Option<f64>,
    /// The token itself: before anything is issued for it, it is verified once more if other keys
    /// or revocations are in force by then.
    text: Box<[u8]>,
    home: Home,
}

/// Where the dict is.
#[derive(Clone, Debug)]
enum Home {
    /// In the token.
    Cookie,
    /// In the store: the token is a ticket.
    Store {
        /// Opens its records.
        key: SessionKey,
        /// Which revision was read; None before it is.
        revision: Option<u64>,
    },
}

/// What ties a token to others.
#[derive(Clone, Debug)]
enum Lineage {
    /// The claim `cr`: the session it belongs to.
    Managed(Managed),
    /// None; known by its signature, which other visitors' tokens of the same dict have too, or by its
    /// seal, which no other token has.
    Foreign(SessionId),
}

impl VerifiedToken {
    /// The dict, without the sidecar's own claims.
    #[must_use]
    pub fn dict(&self) -> &Dict {
        &self.dict
    }

    /// The key that verified it.
    #[must_use]
    pub fn key(&self) -> KeyIndex {
        self.key
    }

    /// What it is known by: the id of its session, or a part of its signature or seal.
    #[must_use]
    pub fn id(&self) -> &SessionId {
        match &self.lineage {
            Lineage::Managed(managed) => &managed.id,
            Lineage::Foreign(mark) => mark,
        }
    }

    /// The session it belongs to, where the sidecar manages its lifetime.
    #[must_use]
    pub fn managed(&self) -> Option<&Managed> {
        match &self.lineage {
            Lineage::Managed(managed) => Some(managed),
            Lineage::Foreign(_) => None,
        }
    }

    /// Whether the dict is in a store.
    #[must_use]
    pub fn is_ticket(&self) -> bool {
        matches!(self.home, Home::Store { .. })
    }

    /// When the sidecar issued it: before everything else, if it did not.
    #[must_use]
    pub fn issued(&self) -> Timestamp {
        self.managed().map_or(Timestamp::from_millis(0), |managed| managed.issued)
    }
}

/// Verifies a token and reads its dict, as `Session.decode()` of microdot does.
///
/// # Errors
/// Why the token is not accepted.
pub fn open_token(
    token: &[u8],
    keys: &KeyRing,
    policy: &Policy,
    now: Timestamp,
) -> Result<VerifiedToken, Rejection> {
    // Before any crypto: what no browser would have kept is not worth a hash.
    if policy.cookie.bytes_with(token) > policy.max_cookie_bytes {
        return Err(Rejection::TooLarge);
    }
    let signed = jose::read(token, keys)?;
    let payload = Dict::from_vec(signed.payload).map_err(|_| Rejection::Malformed)?;
    let home = match signed.kind {
        Kind::Session => Home::Cookie,
        Kind::Ticket => {
            let key = ticket::session_key(&payload).ok_or(Rejection::Malformed)?;
            Home::Store { key, revision: None }
        }
    };
    let mut reading = claims::read(payload, policy, now)?;
    if matches!(home, Home::Store { .. }) {
        if reading.managed.is_none() {
            return Err(Rejection::Malformed);
        }
        // The dict is not here.
        reading.dict = Dict::default();
    }
    let issued = match &reading.managed {
        Some(managed) => Some(managed.issued),
        None => reading.issued,
    };
    let lineage = match reading.managed {
        Some(managed) => Lineage::Managed(managed),
        None => Lineage::Foreign(SessionId::from_bytes(signed.mark)),
    };
    let token = VerifiedToken {
        dict: reading.dict,
        key: signed.key,
        lineage,
        expires: reading.expires,
        text: token.into(),
        home,
    };
    if policy.revocations.revokes(token.id(), issued, now) {
        return Err(Rejection::Revoked);
    }
    Ok(token)
}

/// The payload that a token carries, sealed or not, and its key, whatever else may be wrong with it.
///
/// # Errors
/// Why there is none.
pub fn payload_of(token: &[u8], keys: &KeyRing) -> Result<(Vec<u8>, KeyIndex), Rejection> {
    let read = jose::read(token, keys)?;
    Ok((read.payload, read.key))
}

/// The key whose signature or seal a token has, whatever else may be wrong with it.
///
/// # Errors
/// Why there is none.
pub fn signed_by(token: &[u8], keys: &KeyRing) -> Result<KeyIndex, Rejection> {
    Ok(jose::read(token, keys)?.key)
}

/// Why a request's dict is what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A cookie verified.
    Valid,
    /// There is no cookie.
    Absent,
    /// There is one, and it is not accepted.
    Rejected(Rejection),
    /// It verified, and the store has its session no more.
    Gone,
    /// It verified, and the store could not be asked.
    Unavailable,
    /// It is a ticket for a store, and there is none here.
    UnknownStore,
}

impl Outcome {
    /// Every outcome, in the order of the documentation.
    pub const ALL: [Self; 13] = [
        Self::Valid,
        Self::Absent,
        Self::Rejected(Rejection::Expired),
        Self::Rejected(Rejection::NotYetValid),
        Self::Rejected(Rejection::BadSignature),
        Self::Rejected(Rejection::Malformed),
        Self::Rejected(Rejection::UnknownKey),
        Self::Rejected(Rejection::WrongClaim),
        Self::Rejected(Rejection::TooLarge),
        Self::Rejected(Rejection::Revoked),
        Self::Gone,
        Self::Unavailable,
        Self::UnknownStore,
    ];

    /// The value of the label `outcome`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Absent => "absent",
            Self::Rejected(Rejection::Expired) => "expired",
            Self::Rejected(Rejection::NotYetValid) => "not_yet_valid",
            Self::Rejected(Rejection::BadSignature) => "bad_signature",
            Self::Rejected(Rejection::Malformed) => "malformed",
            Self::Rejected(Rejection::UnknownKey) => "unknown_key",
            Self::Rejected(Rejection::WrongClaim) => "wrong_claim",
            Self::Rejected(Rejection::TooLarge) => "too_large",
            Self::Rejected(Rejection::Revoked) => "revoked",
            Self::Gone => "gone",
            Self::Unavailable => "unavailable",
            Self::UnknownStore => "unknown_store",
        }
    }
}

/// A request's session.
#[derive(Clone, Debug)]
pub struct Opened {
    token: Option<VerifiedToken>,
    outcome: Outcome,
    /// Which of the accepted names the request has cookies of.
    old_names: OldNames,
    /// How the request came.
    transport: Transport,
}

impl Opened {
    /// Why the dict is what it is.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The verified token, if there is one. Without it the dict is empty.
    #[must_use]
    pub fn token(&self) -> Option<&VerifiedToken> {
        self.token.as_ref()
    }

    /// Checks once more what the request began with, before anything is issued for it: a request
    /// that is held open must not outlive a revocation, a key or its session's end.
    ///
    /// `changed` are the keys and the policy in force now, where they are not those that the
    /// session was opened with.
    ///
    /// # Errors
    /// Why the session is not good any more. A request without one has nothing to lose.
    pub fn check_again(
        &self,
        changed: Option<(&KeyRing, &Policy)>,
        opened_by: &Policy,
        now: Timestamp,
    ) -> Result<(), Rejection> {
        let Some(token) = &self.token else {
            return Ok(());
        };
        if let Some((keys, policy)) = changed {
            return open_token(&token.text, keys, policy, now).map(|_| ());
        }
        let is_past = token.expires.is_some_and(|exp| claims::is_past(exp, opened_by, now));
        let is_over =
            token.managed().is_some_and(|managed| lifetime::is_over(opened_by, managed, now));
        if is_past || is_over { Err(Rejection::Expired) } else { Ok(()) }
    }

    /// Says how the request came, which an answer to it has to regard: in the clear unless it is
    /// said.
    pub fn came_over(&mut self, transport: Transport) {
        self.transport = transport;
    }

    /// The `Set-Cookie` values that delete the cookies of other names which the request came with:
    /// for an answer that sets or deletes the session's own.
    pub fn expire_old_names<'a>(
        &self,
        policy: &'a Policy,
    ) -> impl Iterator<Item = String> + use<'a> {
        let (old_names, transport) = (self.old_names, self.transport);
        let names = policy.accept_names.iter().enumerate();
        names
            .filter(move |(index, _)| old_names.contains(*index))
            .map(move |(_, name)| policy.cookie.expire_as(name, transport))
    }

    /// Whether an answer to this request should carry a fresh token with the same dict.
    #[must_use]
    pub fn is_due(&self, policy: &Policy, now: Timestamp) -> bool {
        match (&self.token, policy.ttl, policy.refresh_after) {
            (Some(token), Some(_), Some(after)) => now.since(token.issued()) >= after,
            _ => false,
        }
    }
}

/// Opens a request's session: the first of its cookies that verifies. Where none does, the first
/// one's fault is the outcome. Where it [`Opened::awaits`] its dict, that has to be loaded.
#[must_use]
pub fn open(cookies: &Found<'_>, keys: &KeyRing, policy: &Policy, now: Timestamp) -> Opened {
    let opened = |token, outcome| Opened {
        token,
        outcome,
        old_names: cookies.old_names(),
        transport: Transport::default(),
    };
    let mut outcome = Outcome::Absent;
    for token in cookies.candidates() {
        match open_token(token, keys, policy, now) {
            Ok(token) if token.is_ticket() && policy.store != Some(Holds::Sessions) => {
                if outcome == Outcome::Absent {
                    outcome = Outcome::UnknownStore;
                }
            }
            Ok(token) => return opened(Some(token), Outcome::Valid),
            Err(rejection) if outcome == Outcome::Absent => outcome = Outcome::Rejected(rejection),
            Err(_) => {}
        }
    }
    opened(None, outcome)
}

/// What an answer does to the client's cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CookieAction {
    /// Nothing.
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

/// A token on its way to the client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issued {
    /// The value of the `Set-Cookie` field.
    pub set_cookie: String,
    /// The length of name, `=` and value.
    pub cookie_bytes: usize,
    /// The session it belongs to, where the sidecar manages its lifetime.
    pub session: Option<SessionId>,
    /// Whether the dict was replaced, changed or left as it was.
    pub kind: IssueKind,
    /// Whether the session goes on under a new id, or another one begins in its place.
    pub renewed: bool,
}

/// What made an answer set the cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssueKind {
    /// A save, with a merge beside it or not.
    Saved,
    /// A merge alone.
    Merged,
    /// A new id for a session that stays as it is.
    Renewed,
    /// A refresh.
    Refreshed,
}

/// What an answer asks for beside the dict.
#[derive(Clone, Copy)]
struct Asked {
    kind: IssueKind,
    max_age: Option<u64>,
    renew: bool,
}

/// What goes on of a session when it is saved.
enum Successor {
    /// The session itself.
    Same,
    /// The session under a new id: what was known of the old one is worth nothing any more.
    Renamed,
    /// Nothing: who it belongs to is another, or nobody any more. Its id, its start and its own
    /// lifetime do not pass to whoever logs in next.
    Another,
}

impl Successor {
    /// Of a session with the dict `old` that is saved with `new`; None where there was none.
    fn of(old: Option<&Dict>, new: &Dict, asked: Asked, policy: &Policy) -> Self {
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

/// Closes a request's session: carries out what the backend asks for.
///
/// # Errors
/// A save that cannot be carried out; the cookie is to be left alone.
pub fn close(
    opened: &Opened,
    directive: Directive,
    keys: &KeyRing,
    policy: &Policy,
    now: Timestamp,
    fresh: impl Fresh,
) -> Result<CookieAction, Broken> {
    match directive {
        Directive::Keep | Directive::EndOthers => Ok(CookieAction::Keep),
        Directive::Broken(broken) => Err(broken),
        Directive::Delete { .. } => Ok(CookieAction::Expire {
            set_cookie: policy.cookie.expire(opened.transport),
            session: opened.token.as_ref().map(|token| token.id().clone()),
        }),
        Directive::Save(Save { dict, patch, max_age, renew, others: _ }) => {
            let kind = match (&dict, &patch) {
                (Some(_), _) => IssueKind::Saved,
                (None, Some(_)) => IssueKind::Merged,
                // There is nothing to go on with.
                (None, None) if opened.token.is_none() => return Ok(CookieAction::Keep),
                (None, None) => IssueKind::Renewed,
            };
            let current =
                || opened.token.as_ref().map(|token| token.dict.clone()).unwrap_or_default();
            let dict = dict.unwrap_or_else(current);
            let dict = patch.map_or_else(|| dict.clone(), |patch| merge::merge(&dict, &patch));
            let asked = Asked { kind, max_age, renew };
            issue(opened, &dict, asked, keys, policy, now, fresh).map(CookieAction::Issue)
        }
    }
}

/// A fresh token with the same dict, for a session that [`Opened::is_due`].
///
/// # Errors
/// A token that would be too large: the old one stays.
pub fn refresh(
    opened: &Opened,
    keys: &KeyRing,
    policy: &Policy,
    now: Timestamp,
    fresh: impl Fresh,
) -> Result<CookieAction, Broken> {
    let Some(token) = &opened.token else {
        return Ok(CookieAction::Keep);
    };
    let asked = Asked { kind: IssueKind::Refreshed, max_age: None, renew: false };
    issue(opened, &token.dict, asked, keys, policy, now, fresh).map(CookieAction::Issue)
}

/// Signs or seals a token for `dict`, as `Session.encode()` of microdot does, without a lifetime.
///
/// # Errors
/// A dict that could not come back.
pub fn encode(
    dict: &Dict,
    keys: &KeyRing,
    policy: &Policy,
    now: Timestamp,
    mut fresh: impl Fresh,
) -> Result<String, Broken> {
    let stamp = Stamp::new(policy, None, None, now, || fresh.id());
    let token = sign(dict, stamp.as_ref(), keys, policy, now, || fresh.nonce())?;
    check_header(dict, policy)?;
    Ok(token)
}

fn issue(
    opened: &Opened,
    dict: &Dict,
    asked: Asked,
    keys: &KeyRing,
    policy: &Policy,
    now: Timestamp,
    mut fresh: impl Fresh,
) -> Result<Issued, Broken> {
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
    let token = sign(dict, stamp.as_ref(), keys, policy, now, || fresh.nonce())?;
    // The app has the dict of a refresh already.
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

/// A token that will verify when it comes back.
fn sign(
    dict: &Dict,
    stamp: Option<&Stamp>,
    keys: &KeyRing,
    policy: &Policy,
    now: Timestamp,
    nonce: impl FnOnce() -> Option<Nonce>,
) -> Result<String, Broken> {
    let broken = |reason: String, bytes: usize| Broken { reason, bytes };
    let size = dict.as_str().len();
    claims::check_save(dict, policy, stamp.is_some(), now)
        .map_err(|reason| broken(format!("the dict cannot be saved: {reason}"), size))?;
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
        .map_err(|unwritten| broken(unwritten.to_string(), size))?;
    let bytes = policy.cookie.bytes_with(token.as_bytes());
    if bytes > policy.max_cookie_bytes {
        let limit = policy.max_cookie_bytes;
        return Err(broken(
            format!("the cookie would be longer than session.max_cookie_bytes = {limit}"),
            bytes,
        ));
    }
    Ok(token)
}

/// Whether the app's server would take the dict in a header: one that it refuses locks the user
/// out, log-out included.
fn check_header(dict: &Dict, policy: &Policy) -> Result<(), Broken> {
    let bytes = header::encoded_bytes(dict, policy.encoding);
    if bytes <= policy.max_bytes {
        return Ok(());
    }
    let reason = format!(
        "in the request header the dict would be longer than session.max_bytes = {}",
        policy.max_bytes
    );
    Err(Broken { reason, bytes })
}

#[cfg(test)]
mod tests;

//! The pure core: a cookie comes in and is opened, the backend's answer closes it.
//!
//! No socket, no clock, no proxy framework, no metrics: time and randomness are arguments.
//!
//! ```text
//! Cookie ──find──> candidates ──open──> Opened ──> X-Session
//! X-Session-Save, -Merge, -Delete ──read──> Directive ──close──> CookieAction ──> Set-Cookie
//! ```

mod broken;
mod claims;
mod closing;
pub mod cookie;
pub mod demand;
pub mod dict;
pub mod directive;
pub mod explain;
pub mod fresh;
pub mod header;
mod issuer;
pub mod lifetime;
mod merge;
mod policy;
pub mod rebase;
pub mod recent;
pub mod revocation;
pub mod stamp;
pub mod stored;
pub mod subject;
pub mod ticket;
pub mod token;
pub mod view;

use std::sync::Arc;

pub use closing::{CookieAction, IssueKind, Issued, close, encode, refresh};
use cookie::{Found, OldNames, Transport};
use dict::Dict;
pub use issuer::Issuer;
use lifetime::{Managed, SessionId};
pub use policy::{Holds, OnConflict, Policy};

use token::Rejection;

use crate::keys::{KeyIndex, KeyRing, Kind, jose};
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
    text: Arc<[u8]>,
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

    /// The token itself, to be verified once more.
    pub(crate) fn text(&self) -> Arc<[u8]> {
        Arc::clone(&self.text)
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
    if policy.revocations.revokes(token.id(), issued, now)
        || policy.log_ends(token.id(), token.managed(), &token.dict, now)
    {
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
        let is_over = token.managed().is_some_and(|managed| opened_by.is_over(managed, now));
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

#[cfg(test)]
mod tests;

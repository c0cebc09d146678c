//! The pure core: it opens the cookie of a request and closes the session with the app's answer.
//!
//! It uses no sockets, clock, proxy framework or metrics: time and randomness are arguments.
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

use claims::Expiry;
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
    /// The token itself. It is verified again before a new token is issued for it, if the keys or
    /// revocations have changed since.
    text: Arc<[u8]>,
    home: Home,
}

/// Where the dict is stored.
#[derive(Clone, Debug)]
enum Home {
    /// In the token.
    Cookie,
    /// In the store: the token is a ticket.
    Store {
        /// The key that encrypts its records.
        key: SessionKey,
        /// The revision that was read; None until it is loaded.
        revision: Option<u64>,
    },
}

/// What links a token to the other tokens of its session.
#[derive(Clone, Debug)]
enum Lineage {
    /// The claim `cr`: the session that the token belongs to.
    Managed(Managed),
    /// No claim `cr`. The id comes from the signature, which is the same for every token with this
    /// dict, or from the seal, which is unique.
    Foreign(SessionId),
}

impl VerifiedToken {
    /// The dict, without the sidecar's own claims.
    #[must_use]
    pub fn dict(&self) -> &Dict {
        &self.dict
    }

    /// The token itself, to verify it again.
    pub(crate) fn text(&self) -> Arc<[u8]> {
        Arc::clone(&self.text)
    }

    /// The key that verified it.
    #[must_use]
    pub fn key(&self) -> KeyIndex {
        self.key
    }

    /// The session's id; for a token without one, a part of its signature or seal.
    #[must_use]
    pub fn id(&self) -> &SessionId {
        match &self.lineage {
            Lineage::Managed(managed) => &managed.id,
            Lineage::Foreign(mark) => mark,
        }
    }

    /// The session it belongs to, if the sidecar manages its lifetime.
    #[must_use]
    pub fn managed(&self) -> Option<&Managed> {
        match &self.lineage {
            Lineage::Managed(managed) => Some(managed),
            Lineage::Foreign(_) => None,
        }
    }

    /// Whether the dict is in the store.
    #[must_use]
    pub fn is_ticket(&self) -> bool {
        matches!(self.home, Home::Store { .. })
    }

    /// When the sidecar issued it; 0 for a token that the sidecar does not manage.
    #[must_use]
    pub fn issued(&self) -> Timestamp {
        self.managed().map_or(Timestamp::from_millis(0), |managed| managed.issued)
    }
}

/// Verifies a token and reads its dict, like `Session.decode()` of microdot.
///
/// # Errors
/// The reason why the token is not accepted.
pub fn open_token(
    token: &[u8],
    keys: &KeyRing,
    policy: &Policy,
    now: Timestamp,
) -> Result<VerifiedToken, Rejection> {
    open_until(Expiry::OfToken, token, keys, policy, now)
}

/// Checks the token of an open answer again. An expired ticket is accepted: other requests may have
/// extended its session, and the store knows until when.
///
/// # Errors
/// The reason why the session has ended.
pub fn recheck_token(
    token: &[u8],
    keys: &KeyRing,
    policy: &Policy,
    now: Timestamp,
) -> Result<(), Rejection> {
    open_until(Expiry::OfSession, token, keys, policy, now).map(|_| ())
}

fn open_until(
    expiry: Expiry,
    token: &[u8],
    keys: &KeyRing,
    policy: &Policy,
    now: Timestamp,
) -> Result<VerifiedToken, Rejection> {
    // Before any crypto: a browser would not have stored a cookie of this size.
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
    let is_stored = matches!(home, Home::Store { .. });
    let expiry = if is_stored { expiry } else { Expiry::OfToken };
    let mut reading = claims::read(payload, policy, now, expiry)?;
    if is_stored {
        if reading.managed.is_none() {
            return Err(Rejection::Malformed);
        }
        // The dict is in the store.
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

/// The payload of a token, sealed or not, and its key. Claims are not checked.
///
/// # Errors
/// The reason why the token cannot be read.
pub fn payload_of(token: &[u8], keys: &KeyRing) -> Result<(Vec<u8>, KeyIndex), Rejection> {
    let read = jose::read(token, keys)?;
    Ok((read.payload, read.key))
}

/// The key that made the signature or seal of a token. Claims are not checked.
///
/// # Errors
/// The reason why the token cannot be read.
pub fn signed_by(token: &[u8], keys: &KeyRing) -> Result<KeyIndex, Rejection> {
    Ok(jose::read(token, keys)?.key)
}

/// The result of reading a request's session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A cookie was verified.
    Valid,
    /// There is no cookie.
    Absent,
    /// There is a cookie, but it is not accepted.
    Rejected(Rejection),
    /// The cookie was verified, but the store no longer has the session.
    Gone,
    /// The cookie was verified, but the store is unavailable.
    Unavailable,
    /// The cookie is a ticket for a store, but no store is configured.
    UnknownStore,
}

impl Outcome {
    /// Every outcome, in the order of docs/metrics.md.
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
    /// Which of `cookie.accept_names` the request has cookies of.
    old_names: OldNames,
    /// Whether the client's connection was encrypted.
    transport: Transport,
}

impl Opened {
    /// The result of reading the session.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.outcome
    }

    /// The verified token, if there is one. Without a token the dict is empty.
    #[must_use]
    pub fn token(&self) -> Option<&VerifiedToken> {
        self.token.as_ref()
    }

    /// Checks the token again before anything is issued for it: a request that is held open must
    /// not outlive a revocation, a removed key or the end of its session.
    ///
    /// `changed` has the current keys and policy if they differ from those that opened the session.
    ///
    /// # Errors
    /// The reason why the session is no longer valid. A request without a session always passes.
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

    /// Sets how the client's connection was protected, which decides on `Secure` in the answer's
    /// cookie. The default is [`Transport::Clear`].
    pub fn came_over(&mut self, transport: Transport) {
        self.transport = transport;
    }

    /// The `Set-Cookie` values that delete the request's cookies under old names. They belong in an
    /// answer that sets or deletes the session cookie.
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

    /// Whether an answer to this request should carry a refreshed token with the same dict.
    #[must_use]
    pub fn is_due(&self, policy: &Policy, now: Timestamp) -> bool {
        match (&self.token, policy.ttl, policy.refresh_after) {
            (Some(token), Some(_), Some(after)) => now.since(token.issued()) >= after,
            _ => false,
        }
    }
}

/// Opens a request's session: the first cookie that verifies. If none verifies, the outcome is the
/// error of the first one. If the result [`Opened::awaits`] its dict, load the dict from the store.
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

//! Reads and writes sessions in the store for a visit. A failed log-out is never reported as done,
//! and an outage never as a log-out.

use std::sync::Arc;

use super::access;
use super::done::{AnswerFault, Done, bad_save, carry_out, skipped};
use super::fields::RequestHead;
use super::signing::signing;
use crate::clock;
use crate::config::{Config, OnBadSave, OnOutage};
use crate::metrics::{Action, Conflict};
use crate::session::directive::{Broken, BrokenReason, Directive, Save};
use crate::session::lifetime::{LONGEST, SessionId};
use crate::session::stored::{self, Plan, Randomness, Retry, Settled, Write};
use crate::session::{CookieAction, Issuer, OnConflict, Opened, Outcome};
use crate::state::{Shared, State};
use crate::store::Store;
use crate::store::operation::{Change, Outage, Revocation, Revoked};
use crate::store::record::{SessionKey, SubjectHash};

/// Loads the dict that a session awaits.
///
/// # Errors
/// The state of the session is unknown; the request must be refused.
pub(super) async fn load(
    shared: &Shared,
    opened: &mut Opened,
    on_outage: OnOutage,
) -> Result<(), Outage> {
    let (Some(store), Some(id)) = (&shared.store, opened.awaits().cloned()) else {
        return Ok(());
    };
    // Boxed, as every open connection has room for this future.
    let load = Box::pin(store.load(id, clock::now()));
    let loaded = match shared.counted(load.await) {
        Ok(loaded) => opened.complete(loaded).map_err(|error| {
            log::error!(error:% = error; "a stored session cannot be read");
            Outage::Protocol
        }),
        Err(outage) => Err(outage),
    };
    if let Err(outage) = loaded {
        opened.is_out_of_reach();
        if on_outage == OnOutage::Refuse {
            return Err(outage);
        }
    }
    Ok(())
}

/// The result of what an answer asked for.
enum End {
    /// It was carried out.
    Done(CookieAction, Option<Settled>),
    /// Other requests have written the session.
    Refused,
    /// The session has ended.
    Ended,
    /// The store did not carry it out.
    Away(Outage),
}

/// Carries out what an answer asks for, first in the store, then in the cookie.
pub(super) async fn close(
    shared: &Arc<Shared>,
    state: &State,
    issuer: Issuer<'_>,
    request: &impl RequestHead,
    directive: Directive,
    opened: &Opened,
    (config, id): (&Config, &str),
) -> Result<Done, AnswerFault> {
    let is_end = matches!(directive, Directive::Delete { .. } | Directive::EndOthers);
    let planned =
        signing(shared, issuer.keys, || stored::plan(opened, directive, issuer, &mut fresh)).await;
    let end = match planned {
        // The state of the session is unknown: it can be neither changed nor ended.
        Ok(_) if opened.outcome() == Outcome::Unavailable => Ok(End::Away(Outage::Connect)),
        Ok(Plan::Cookie(action)) => Ok(End::Done(action, None)),
        Ok(Plan::Write(write)) => apply(shared, opened, issuer, *write).await,
        Err(broken) => Err(broken),
    };
    let path = || access::path(request);
    match end {
        Ok(End::Done(action, settled)) => {
            if let Some(settled) = settled {
                shared.metrics.session_conflict(match settled {
                    Settled::Rebased => Conflict::Rebased,
                    Settled::Merged => Conflict::Merged,
                    Settled::Overwritten => Conflict::Overwritten,
                });
            }
            Ok(carry_out(shared, state, opened, action, issuer.now, None))
        }
        Ok(End::Ended) => {
            shared.metrics.session_conflict(Conflict::Ended);
            shared.metrics.session_written(Action::Conflict);
            log::warn!(
                path = path().as_str(), request_id = id;
                "save dropped: the session ended while the request was in progress"
            );
            match issuer.policy.on_conflict {
                OnConflict::Fail => Err(AnswerFault::Conflict),
                _ => Ok(Done { action: Some(Action::Conflict), ..Done::default() }),
            }
        }
        Ok(End::Refused) => {
            shared.metrics.session_conflict(Conflict::Refused);
            shared.metrics.session_written(Action::Conflict);
            log::warn!(
                path = path().as_str(), request_id = id;
                "save refused: another request changed the session meanwhile"
            );
            Err(AnswerFault::Conflict)
        }
        Ok(End::Away(outage)) => {
            shared.metrics.session_written(Action::Rejected);
            log::error!(
                cause = outage.to_string().as_str(), path = path().as_str(),
                request_id = id;
                "a write to the session store failed"
            );
            match config.on_bad_save {
                OnBadSave::Ignore if !is_end => {
                    Ok(Done { action: Some(Action::Rejected), ..Done::default() })
                }
                _ => Err(AnswerFault::StoreAway),
            }
        }
        Err(broken) => bad_save(shared, config, request, id, &broken),
    }
}

/// Extends a session that is due. If the store fails, nothing changes.
pub(super) async fn refresh(
    shared: &Arc<Shared>,
    state: &State,
    issuer: Issuer<'_>,
    opened: &Opened,
) -> Done {
    let planned =
        signing(shared, issuer.keys, || stored::refresh(opened, issuer, &mut fresh)).await;
    let applied = match planned {
        Ok(Plan::Cookie(action)) => Ok(End::Done(action, None)),
        Ok(Plan::Write(write)) => apply(shared, opened, issuer, *write).await,
        Err(broken) => Err(broken),
    };
    match applied {
        Ok(End::Done(action, _)) => {
            carry_out(shared, state, opened, action, issuer.now, opened.token())
        }
        Ok(End::Ended | End::Refused) => skipped(shared),
        Ok(End::Away(outage)) => {
            log::warn!(cause = outage.to_string().as_str(); "the session could not be refreshed");
            Done::default()
        }
        Err(Broken { reason, bytes }) => {
            log::warn!(reason:% = reason, bytes; "the session could not be refreshed");
            Done::default()
        }
    }
}

/// Applies a write to the store, and again on top of other writes if there is a conflict.
async fn apply(
    shared: &Shared,
    opened: &Opened,
    issuer: Issuer<'_>,
    mut write: Write,
) -> Result<End, Broken> {
    let Some(store) = &shared.store else {
        return Ok(End::Away(Outage::Connect));
    };
    loop {
        let applied = match shared.counted(store.apply(write.change.clone(), clock::now()).await) {
            Ok(applied) => applied,
            Err(outage) => return Ok(End::Away(outage)),
        };
        let retried = || write.retry(&applied, opened, issuer, &mut fresh);
        match signing(shared, issuer.keys, retried).await? {
            None => break,
            Some(Retry::Again(again)) => write = *again,
            Some(Retry::Refused) => return Ok(End::Refused),
            Some(Retry::Ended) => return Ok(End::Ended),
        }
    }
    if let Some(then) = write.then.take()
        && let Err(outage) = end(shared, store, then).await
    {
        return Ok(End::Away(outage));
    }
    let settled = write.settled;
    Ok(End::Done(write.into_action(), settled))
}

async fn end(shared: &Shared, store: &Store, change: Change) -> Result<(), Outage> {
    shared.counted(store.apply(change, clock::now()).await).map(|_| ())
}

/// Which sessions an answer ends, for a store that holds revocations.
#[derive(Clone, Copy)]
pub(super) enum Ends {
    None,
    This,
    OfUser,
    Others,
}

impl Ends {
    pub(super) const fn of(directive: &Directive) -> Self {
        match directive {
            Directive::Delete { all: true, .. } => Self::OfUser,
            Directive::Delete { all: false, .. } => Self::This,
            Directive::EndOthers | Directive::Save(Save { others: true, .. }) => Self::Others,
            Directive::Keep | Directive::Save(_) | Directive::Broken(_) => Self::None,
        }
    }

    /// Writes the revocations. `action` is what the client gets afterwards.
    ///
    /// # Errors
    /// The store failed: the log-out must not be reported as done.
    pub(super) async fn write(
        self,
        shared: &Shared,
        opened: &Opened,
        action: &CookieAction,
        Issuer { policy, now, .. }: Issuer<'_>,
        (request, id): (&impl RequestHead, &str),
    ) -> Result<(), AnswerFault> {
        let (Some(store), Some(token)) = (&shared.store, opened.token()) else {
            return Ok(());
        };
        let path = policy.subject.as_ref();
        let subject = || path.and_then(|path| SubjectHash::of(token.dict(), path));
        let this = || Revoked::Session(token.id().clone());
        let whats: Vec<Revoked> = match self {
            Self::None => Vec::new(),
            Self::This => vec![this()],
            Self::OfUser => subject().map(Revoked::Subject).into_iter().chain([this()]).collect(),
            Self::Others => {
                let issued = match action {
                    CookieAction::Issue(issued) => issued.session.as_ref(),
                    _ => None,
                };
                let except = issued.unwrap_or(token.id()).clone();
                subject().map(|subject| Revoked::Others { subject, except }).into_iter().collect()
            }
        };
        let until = now.plus(LONGEST).plus(policy.leeway);
        for what in whats {
            let revocation = Revocation { what, before: now, until };
            if let Err(outage) = shared.revoke(store, revocation, now).await {
                shared.metrics.session_written(Action::Rejected);
                log::error!(
                    cause = outage.to_string().as_str(), path = access::path(request).as_str(),
                    request_id = id;
                    "a write to the session store failed"
                );
                return Err(AnswerFault::StoreAway);
            }
        }
        Ok(())
    }
}

/// Random bytes for one write.
fn fresh() -> Result<Randomness, Broken> {
    let mut bytes = [0; 72];
    // A nonce used twice would break the encryption of both records.
    getrandom::fill(&mut bytes)
        .map_err(|error| Broken { reason: BrokenReason::NoRandomness(error), bytes: 0 })?;
    let mut id = [0; 16];
    let mut key = [0; 32];
    let mut nonce = [0; 12];
    let mut seal = [0; 12];
    id.copy_from_slice(&bytes[..16]);
    key.copy_from_slice(&bytes[16..48]);
    nonce.copy_from_slice(&bytes[48..60]);
    seal.copy_from_slice(&bytes[60..]);
    let made =
        Randomness { id: SessionId::from_bytes(id), key: SessionKey::from_bytes(key), nonce, seal };
    zeroize::Zeroize::zeroize(&mut bytes);
    zeroize::Zeroize::zeroize(&mut key);
    Ok(made)
}

//! Reads the session of a request from the store.

use crate::session::dict::Dict;
use crate::session::lifetime::SessionId;
use crate::session::{Home, Opened, Outcome, VerifiedToken};
use crate::store::operation::Loaded;
use crate::store::record::{self, RecordError, SessionKey};

impl Opened {
    /// The session whose dict must be loaded first.
    #[must_use]
    pub fn awaits(&self) -> Option<&SessionId> {
        let token = self.token.as_ref()?;
        matches!(token.home, Home::Store { revision: None, .. }).then(|| token.id())
    }

    /// Adds the dict that the store returned for the id of [`Opened::awaits`].
    ///
    /// # Errors
    /// Why the record cannot be opened. This is not a log-out: the state of the session is unknown.
    pub fn complete(&mut self, loaded: Loaded) -> Result<(), RecordError> {
        let (Loaded::Found(row) | Loaded::Replaced(row)) = loaded else {
            self.token = None;
            self.outcome = Outcome::Gone;
            return Ok(());
        };
        if let Some(token) = &mut self.token {
            let id = token.id().clone();
            if let Home::Store { key, revision } = &mut token.home {
                token.dict = record::open(row.data, key, &id, row.rev)?;
                *revision = Some(row.rev);
            }
        }
        Ok(())
    }

    /// Records that the store is unavailable: the state of the session is unknown.
    pub fn is_out_of_reach(&mut self) {
        self.token = None;
        self.outcome = Outcome::Unavailable;
    }

    /// The request's session in the store, and its revision.
    pub(super) fn stored(&self) -> Option<(&VerifiedToken, &SessionKey, u64)> {
        let token = self.token.as_ref()?;
        match &token.home {
            Home::Store { key, revision: Some(revision) } => Some((token, key, *revision)),
            _ => None,
        }
    }

    pub(super) fn dict(&self) -> Dict {
        self.token.as_ref().map(|token| token.dict.clone()).unwrap_or_default()
    }
}

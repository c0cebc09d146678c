//! The state that pingora passes between callbacks: a visit and what only pingora needs.

use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::state::Shared;
use crate::visit::Visit;

/// One request's state.
pub(crate) struct Context {
    pub(super) visit: Visit,
    /// How often a connection to the app was tried.
    pub(super) attempts: usize,
    /// How many bytes of the request's body have been forwarded.
    pub(super) body_bytes: usize,
}

impl Context {
    pub(super) fn new(shared: &Arc<Shared>) -> Self {
        Self { visit: Visit::new(shared), attempts: 0, body_bytes: 0 }
    }
}

impl Deref for Context {
    type Target = Visit;

    fn deref(&self) -> &Visit {
        &self.visit
    }
}

impl DerefMut for Context {
    fn deref_mut(&mut self) -> &mut Visit {
        &mut self.visit
    }
}

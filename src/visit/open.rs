//! An answer in progress that must end with its session.

use std::net::IpAddr;
use std::sync::Arc;

use http::{Method, Version};

use crate::state::{End, Entry, Shared};

/// What its access line needs if the session ends and the carrier is stopped.
pub(super) struct Open {
    pub(super) _entry: Entry,
    pub(super) end: Arc<End>,
    pub(super) shared: Arc<Shared>,
    pub(super) method: Method,
    pub(super) target: Box<[u8]>,
    pub(super) version: Version,
    pub(super) status: u16,
    pub(super) bytes: u64,
    pub(super) peer: Option<IpAddr>,
}

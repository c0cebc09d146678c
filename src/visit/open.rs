//! An answer that is under way and ends with its session.

use std::net::IpAddr;
use std::sync::Arc;

use http::{Method, Version};

use crate::state::{End, Entry, Shared};

/// What is to be said of it: where its session is over, the carrier is stopped where it stands.
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

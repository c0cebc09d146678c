//! cloakroom: a reverse-proxy sidecar that terminates cookie sessions.
//!
//! ```text
//! client ──> server ──> proxy ──> session::open ──> X-Session ──> backend
//! client <── Set-Cookie <── session::close <── X-Session-Save / -Delete <── backend
//!                               │
//!                      keys: Arc snapshot, one per request
//! ```
//!
//! Modules, in the order in which a request passes through them:

pub mod cli;
pub mod config;
pub mod server;

pub mod exchange;
pub mod proxy;
mod state;
mod upstream;
pub mod visit;

pub mod routes;

pub mod keys;
pub mod session;
pub mod store;

pub mod admin;
pub mod clock;
pub mod fault;
mod html;
pub mod logging;
pub mod metrics;
mod named_file;
mod printable;
mod random;
pub mod time;

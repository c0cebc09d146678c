//! The tables of the file, each with its own function.

mod cookie;
mod headers;
mod keys;
mod operation;
mod routes;
mod server;
mod session;
mod store;
mod transport;

pub(super) use cookie::cookie;
pub(super) use headers::{Headers, headers};
pub(super) use keys::keys;
pub(super) use operation::{
    Admin, admin, limits, log, odd_header_names, strip, timeouts, trusted_proxies,
};
pub(super) use routes::routes;
pub(super) use session::session;
pub(super) use store::{Store, refuse_unfit, store};
pub(super) use transport::{Tls, absolute_path, backend_tls, health_check, socket_mode, tls};

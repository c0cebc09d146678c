//! Where sessions are kept that outgrow the cookie.

pub mod file;
pub mod operation;
pub mod record;

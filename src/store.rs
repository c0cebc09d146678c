//! Where sessions are kept that outgrow the cookie.

pub mod circuit;
pub mod file;
pub mod operation;
pub mod record;

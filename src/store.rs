//! Where sessions are kept that outgrow the cookie.

pub mod record;

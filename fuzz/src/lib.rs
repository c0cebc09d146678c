//! What must hold whatever arrives: one function for each target, which panics where it does not.
//!
//! libFuzzer calls them from `fuzz_targets/`, `tests/smoke.rs` with the committed seeds and what
//! becomes of these when a few bytes change. The oracles are other people's code where there is
//! some (`serde_json`, `toml`, `aws-lc-rs`) and a second, simpler reading where there is none.

mod config;
mod cookie_header;
mod directive;
mod json;
mod keys;
mod open_close;
mod policy;
mod stored;
mod token;

pub use config::config;
pub use cookie_header::cookie_header;
pub use directive::directive;
pub use open_close::open_close;
pub use stored::stored;
pub use token::token;

/// A target by its name, which is also that of its folder in `seeds/`.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 6] = [
    ("config", config),
    ("cookie_header", cookie_header),
    ("directive", directive),
    ("open_close", open_close),
    ("stored", stored),
    ("token", token),
];

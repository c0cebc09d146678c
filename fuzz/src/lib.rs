//! Properties that hold for any input: one function for each target, which panics on a violation.
//!
//! libFuzzer calls them from `fuzz_targets/`; `tests/smoke.rs` calls them with the committed seeds
//! and mutations of these. Results are compared with other libraries (`serde_json`, `toml`,
//! `aws-lc-rs`) or with a second, simpler implementation.

mod answer;
mod config;
mod cookie_header;
mod directive;
mod json;
mod keys;
mod open_close;
mod policy;
mod stored;
mod token;

pub use answer::answer;
pub use config::config;
pub use cookie_header::cookie_header;
pub use directive::directive;
pub use open_close::open_close;
pub use stored::stored;
pub use token::token;

/// A target with its name, which is also its folder in `seeds/`.
pub type Target = (&'static str, fn(&[u8]));

/// Every target.
pub const TARGETS: [Target; 7] = [
    ("answer", answer),
    ("config", config),
    ("cookie_header", cookie_header),
    ("directive", directive),
    ("open_close", open_close),
    ("stored", stored),
    ("token", token),
];

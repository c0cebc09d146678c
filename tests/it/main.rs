//! Tests that start the real binary, with a backend behind it that records every byte. Each file
//! is one topic of what the sidecar promises:
//!
//! What the backend sees: [`request_header`] the dict; [`cookie_cut`] the other cookies;
//! [`claims`] single values; [`spoofing`] never a word of a client's in the sidecar's name,
//! [`odd_names`] nor what servers read as another name;
//! [`forwarded`] who the client is; [`refused`] what it never sees, [`smuggling`] nor hidden in what
//! it sees, [`downgrade`] nor as HTTP/2; [`own_answers`] to what is no request at all.
//!
//! What the client sees: [`cookie_issue`] save and delete; [`merge`]; [`max_age`]; [`bad_save`]
//! what cannot be saved; [`caching`] who may keep it; [`response_strip`] never a control header;
//! [`bodies`] untouched; [`streams`] as they come, [`endings`] and no
//! further; [`failure`] a backend that is away.
//!
//! What is a session: [`tokens`], [`sealed`] ones too; [`token_claims`]; [`keys`]; [`key_pairs`]; [`key_files`];
//! [`key_rotate`] how they change; [`routes`] where there is one, [`route_rules`] for whom, and
//! [`route_backends`] for which app. How long it lasts: [`lifetime`];
//! [`refresh`], and [`refresh_race`] what a refresh must not undo.
//!
//! Where a session is that outgrows the cookie: [`store`], [`store_start`].
//!
//! How it runs: [`startup`]; [`tls`]; [`reload`], and [`reload_files`] when; [`rotation`] of keys
//! under load; [`shutdown`]; [`upgrade`] without an end; [`limits`]; [`logs`] and [`request_id`];
//! [`metrics`]; [`health_check`].
//!
//! How it is built: [`purity`]. What public collections of odd input make of it: [`corpora`].

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    unreachable_pub,
    reason = "tests may panic, and say something"
)]

mod support;

mod bad_save;
mod bodies;
mod caching;
mod claims;
mod cookie_cut;
mod cookie_issue;
mod corpora;
mod corpora_jwe;
mod corpora_jwk;
mod corpora_jws;
mod downgrade;
mod endings;
mod failure;
mod forwarded;
mod health_check;
mod key_files;
mod key_pairs;
mod key_rotate;
mod keys;
mod lifetime;
mod limits;
mod logs;
mod max_age;
mod merge;
mod metrics;
mod odd_names;
mod own_answers;
mod purity;
mod refresh;
mod refresh_race;
mod refused;
mod reload;
mod reload_files;
mod request_header;
mod request_id;
mod response_strip;
mod rotation;
mod route_backends;
mod route_rules;
mod routes;
mod sealed;
mod shutdown;
mod smuggling;
mod spoofing;
mod startup;
mod store;
mod store_start;
mod streams;
mod tls;
mod token_claims;
mod tokens;
mod upgrade;

//! Tests that start the real binary, with a backend behind it that records every byte. Each file
//! is one topic of what the sidecar promises:
//!
//! What the backend sees: [`request_header`] the dict; [`cookie_cut`] the other cookies;
//! [`claims`] single values; [`least_privilege`] or some keys; [`request_signature`] signed; [`spoofing`] never a word of a client's in the sidecar's name,
//! [`odd_names`] nor what servers read as another name;
//! [`forwarded`] who the client is; [`cross_site`] nothing that other sites make browsers send; [`refused`] what it never sees, [`smuggling`] nor hidden in what
//! it sees, [`downgrade`] nor as HTTP/2; [`own_answers`] to what is no request at all.
//!
//! What the client sees: [`cookie_issue`] save and delete; [`merge`]; [`max_age`]; [`bad_save`]
//! what cannot be saved; [`caching`] who may keep it; [`response_strip`] never a control header;
//! [`bodies`] untouched; [`streams`] as they come, [`recheck`] as long as their session; [`endings`] and no
//! further; [`failure`] a backend that is away.
//!
//! What is a session: [`tokens`], [`sealed`] ones too; [`token_claims`]; [`keys`]; [`key_pairs`]; [`key_files`];
//! [`key_rotate`] how they change; [`routes`] where there is one, [`route_rules`] for whom, and
//! [`route_backends`] for which app. How long it lasts: [`lifetime`];
//! [`refresh`], and [`refresh_race`] what a refresh must not undo.
//!
//! Where a session is that outgrows the cookie: [`store`], [`store_start`]; [`revocations`] of
//! those that do not; [`session_command`] for operators, [`check_connect`] before it is used. What an operator sees of it and
//! ends: [`admin_sessions`], [`admin_tokens`], [`admin_page`]. What a store costs: [`round_trips`]; what it runs on here: [`engines`].
//!
//! All that makes it harder to get past, at once: [`hardened`].
//!
//! How it runs: [`init`]; [`startup`]; [`tls`]; [`reload`], and [`reload_files`] when; [`rotation`] of keys
//! under load; [`shutdown`]; [`upgrade`] without an end; [`limits`]; [`logs`], [`log_fields`] and [`request_id`];
//! [`metrics`]; [`health_check`]. What carries it beside pingora: [`exchange`],
//! and [`carriers`] to the same effect.
//!
//! How it is built: [`purity`], [`imports`]; what the documentation says of it: [`reference`]. What public collections of odd input make of it: [`corpora`].

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

mod admin_page;
mod admin_sessions;
mod admin_tokens;
mod bad_save;
mod bodies;
mod caching;
mod carriers;
mod check_connect;
mod claims;
mod cookie_cut;
mod cookie_issue;
mod corpora;
mod corpora_jwe;
mod corpora_jwk;
mod corpora_jws;
mod cross_site;
mod downgrade;
mod endings;
mod engines;
mod exchange;
mod failure;
mod forwarded;
mod hardened;
mod health_check;
mod imports;
mod init;
mod key_files;
mod key_pairs;
mod key_rotate;
mod keys;
mod least_privilege;
mod lifetime;
mod limits;
mod log_fields;
mod logs;
mod max_age;
mod merge;
mod metrics;
mod odd_names;
mod own_answers;
mod purity;
mod recheck;
mod reference;
mod refresh;
mod refresh_race;
mod refused;
mod reload;
mod reload_files;
mod request_header;
mod request_id;
mod request_signature;
mod response_strip;
mod revocations;
mod rotation;
mod round_trips;
mod route_backends;
mod route_rules;
mod routes;
mod sealed;
mod session_command;
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

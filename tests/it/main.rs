//! Tests that start the real binary, with a backend behind it that records every byte. Each file
//! covers one topic:
//!
//! - What the app gets: [`request_header`] the dict, [`cookie_cut`] other cookies, [`claims`]
//!   single values, [`least_privilege`] a part of the dict, [`request_signature`] signatures,
//!   [`forwarded`] the client's address.
//! - What the app never gets: [`spoofing`] forged fields, [`odd_names`] ambiguous names,
//!   [`cross_site`] requests of other sites, [`refused`] refused requests, [`smuggling`] requests
//!   hidden in others, [`downgrade`] or in HTTP/2; [`own_answers`] invalid requests.
//! - What the client gets: [`cookie_issue`], [`merge`], [`max_age`], [`bad_save`] failed saves,
//!   [`caching`], [`response_strip`] no control headers, [`hop_by_hop`] no headers of the app's
//!   connection, [`bodies`] unchanged bodies, [`streams`], [`recheck`] streams that end with their
//!   session, [`endings`] ends of answers, [`failure`] failures of the backend.
//! - What is a session: [`tokens`], [`sealed`], [`token_claims`], [`keys`], [`key_pairs`],
//!   [`key_files`], [`key_rotate`], [`routes`], [`route_rules`], [`route_backends`].
//! - How long it lasts: [`lifetime`], [`refresh`], [`refresh_race`].
//! - Sessions in a store: [`store`], [`store_start`], [`store_watch`], [`revocations`] of sessions
//!   in cookies, [`round_trips`], [`engines`] the test servers.
//! - For operators: [`session_command`], [`check_connect`], [`admin_sessions`], [`admin_tokens`],
//!   [`admin_page`], [`hardened`] the hardened configuration.
//! - How it runs: [`init`], [`startup`], [`tls`], [`reload`], [`reload_files`], [`rotation`] of
//!   keys under load, [`shutdown`], [`upgrade`], [`limits`], [`logs`], [`log_fields`],
//!   [`request_id`], [`metrics`], [`health_check`].
//! - The second carrier: [`exchange`], and [`carriers`] compares the two.
//! - The source and the documentation: [`purity`], [`imports`], [`reference`]. Public test
//!   collections: [`corpora`].

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
mod hop_by_hop;
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

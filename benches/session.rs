//! The cost of sessions without a proxy: `cargo bench --bench session`.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark may stop at the first surprise")]

use std::hint::black_box;

use cloakroom::keys::{Algorithm, Key, KeyRing};
use cloakroom::session::cookie::{self, CookieAttributes, CookieName, CookieParts, Found};
use cloakroom::session::dict::Dict;
use cloakroom::session::directive::{Directive, Save};
use cloakroom::session::header::{self, Encoding};
use cloakroom::session::lifetime::SessionId;
use cloakroom::session::{self, Issuer, Opened, Policy};
use cloakroom::time::Timestamp;
use criterion::{Criterion, criterion_group, criterion_main};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const NOW: Timestamp = Timestamp::from_millis(1_780_000_000_000);

struct Site {
    keys: KeyRing,
    policy: Policy,
}

impl Site {
    fn new() -> Self {
        let cookie = CookieParts::named(CookieName::parse("session").unwrap());
        Self {
            keys: KeyRing::new(Key::hmac(None, Algorithm::Hs256, SECRET), Vec::new()),
            policy: Policy::of(CookieAttributes::new(cookie).unwrap()),
        }
    }

    fn token(&self, dict: &Dict) -> String {
        session::encode(dict, Issuer::new(&self.keys, &self.policy, NOW), no_id).unwrap()
    }

    fn find<'a>(&self, field: &'a [u8]) -> Found<'a> {
        cookie::find(|| std::iter::once(field), self.policy.names(), false)
    }

    fn open(&self, field: &[u8]) -> Opened {
        session::open(&self.find(field), &self.keys, &self.policy, NOW)
    }
}

fn no_id() -> SessionId {
    SessionId::from_bytes([7; 16])
}

/// A typical dict of about this number of bytes.
fn dict(bytes: usize) -> Dict {
    let mut text = String::from(r#"{"user":"alice@example.com","n":12345678"#);
    let mut number = 0;
    while text.len() + 24 < bytes {
        text.push_str(&format!(r#","key{number}":"value {number}""#));
        number += 1;
    }
    text.push('}');
    Dict::parse(text.as_bytes()).unwrap()
}

fn all(criterion: &mut Criterion) {
    let site = Site::new();
    for bytes in [20, 200, 2000] {
        let dict = dict(bytes);
        let token = site.token(&dict);
        let field = format!("theme=dark; session={token}; _ga=GA1.1.1234567890");
        let opened = site.open(field.as_bytes());
        assert!(opened.token().is_some());
        let mut group = criterion.benchmark_group(format!("{bytes} bytes"));
        group.bench_function("cut the cookie out", |bencher| {
            bencher.iter(|| site.find(black_box(field.as_bytes())).into_rest());
        });
        group.bench_function("verify and open", |bencher| {
            bencher.iter(|| {
                let token = black_box(token.as_bytes());
                session::open_token(token, &site.keys, &site.policy, NOW).unwrap()
            });
        });
        group.bench_function("write the header", |bencher| {
            bencher.iter(|| header::encode(black_box(&dict), Encoding::Json));
        });
        group.bench_function("sign and close", |bencher| {
            bencher.iter(|| {
                let dict = Some(Dict::parse(black_box(dict.as_str().as_bytes())).unwrap());
                let save =
                    Directive::Save(Save { dict, patch: None, max_age: None, ..Save::default() });
                session::close(&opened, save, Issuer::new(&site.keys, &site.policy, NOW), no_id)
                    .unwrap()
            });
        });
        group.finish();
    }
}

criterion_group!(benches, all);
criterion_main!(benches);

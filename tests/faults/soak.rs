//! A day's variety of requests for twenty minutes: after the warm-up, memory and descriptors stay
//! constant.

use std::thread;
use std::time::{Duration, Instant};

use crate::backend::Echo;
use crate::load::{Load, Reply};
use crate::pick;
use crate::support::{Builder, Issued, mint, token};
use crate::vitals::{Vitals, megabytes};

const CONFIG: &str = "[session]\nttl = \"1h\"\nrefresh_after = \"1m\"\n\n\
    [[routes]]\npath = \"/static/\"\nsession = \"off\"\n\n\
    [[routes]]\npath = \"/admin/\"\nrequire = true";

const CONNECTIONS: usize = 50;

/// The kind of a request, and so its expected answer.
#[derive(Clone, Copy, Debug)]
enum Kind {
    NoCookie,
    Valid,
    /// A cookie that does not verify, for various reasons.
    Bad,
    Save,
    Merge,
    Delete,
    Refresh,
    /// A save that fails.
    BadSave,
    /// A route without sessions, one that requires a session, and an error answer.
    Static,
    Required,
    NotFound,
    /// A body in each direction.
    Upload,
}

impl Kind {
    const ALL: [Self; 12] = [
        Self::NoCookie,
        Self::Valid,
        Self::Bad,
        Self::Save,
        Self::Merge,
        Self::Delete,
        Self::Refresh,
        Self::BadSave,
        Self::Static,
        Self::Required,
        Self::NotFound,
        Self::Upload,
    ];

    fn of(number: u64) -> Self {
        Self::ALL[(number % Self::ALL.len() as u64) as usize]
    }

    fn target(self, number: u64) -> String {
        match self {
            Self::Static => format!("/static/{number}"),
            Self::Required => format!("/admin/{number}"),
            _ => format!("/{number}"),
        }
    }

    fn token(self, number: u64, dict: &str) -> Option<String> {
        let old = || Issued::ago(120).token(dict);
        match self {
            Self::NoCookie | Self::Required => None,
            Self::Bad => Some(bad(number / Self::ALL.len() as u64, dict)),
            Self::Refresh => Some(old()),
            _ => Some(Issued::ago(0).token(dict)),
        }
    }

    /// The fields that ask the backend for its answer.
    fn fields(self) -> &'static str {
        match self {
            Self::Save => "Answer-X-Session-Save: {\"saved\":true}\r\n",
            Self::Merge => "Answer-X-Session-Merge: {\"merged\":true,\"user\":null}\r\n",
            Self::Delete => "Answer-X-Session-Delete: 1\r\n",
            Self::BadSave => "Answer-X-Session-Save: {\"saved\":\r\n",
            Self::NotFound => "Answer-Status: 404\r\n",
            Self::Upload => "Answer-Bytes: 20000\r\nContent-Length: 20000\r\n",
            _ => "",
        }
    }

    fn request(self, number: u64, delay: u64) -> Vec<u8> {
        let target = self.target(number);
        let cookie = self.token(number, &dict(number));
        let cookie = cookie.map_or(String::new(), |token| format!("Cookie: session={token}\r\n"));
        let method = if matches!(self, Self::Upload) { "POST" } else { "GET" };
        // Connections are replaced now and then.
        let close = if number % 100 == 99 { "Connection: close\r\n" } else { "" };
        let fields = self.fields();
        let delay = match delay {
            0 => String::new(),
            delay => format!("Answer-Delay: {delay}\r\n"),
        };
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: app.test\r\n{cookie}{fields}{delay}{close}\r\n"
        );
        let mut bytes = head.into_bytes();
        if matches!(self, Self::Upload) {
            bytes.resize(bytes.len() + 20_000, b'x');
        }
        bytes
    }

    fn check(self, number: u64, reply: &Reply) -> Result<(), String> {
        let dict = dict(number);
        let (status, session) = match self {
            Self::NoCookie | Self::Bad => (200, Some("{}")),
            Self::Static => (200, Some("")),
            Self::Required => (401, None),
            Self::BadSave => (502, None),
            Self::NotFound => (404, Some(dict.as_str())),
            Self::Upload => (200, None),
            _ => (200, Some(dict.as_str())),
        };
        let body = session.map(|session| Echo::body(&self.target(number), session));
        let cookie = reply.cookie("session").map(|token| payload(token, number));
        let is_right = reply.status == status
            && body.is_none_or(|body| reply.text() == body)
            && match self {
                Self::Save => cookie.as_deref() == Some(r#"{"saved":true"#),
                Self::Merge => {
                    cookie.as_deref() == Some(&format!(r#"{{"number":{number},"merged":true"#))
                }
                Self::Delete => cookie.as_deref() == Some(""),
                Self::Refresh => {
                    cookie.as_deref() == Some(dict.strip_suffix('}').expect("an object"))
                }
                _ => cookie.is_none(),
            };
        match is_right {
            true => Ok(()),
            false => Err(format!("{self:?}: {cookie:?}: {}\n{}", reply.head, reply.text())),
        }
    }
}

fn dict(number: u64) -> String {
    format!(r#"{{"user":"somebody","number":{number}}}"#)
}

/// A token that does not verify, one of each kind in the metrics.
fn bad(number: u64, dict: &str) -> String {
    match number % 6 {
        0 => "no token".into(),
        1 => token::mint_as(token::HEADER, dict, "another secret", jsonwebtoken::Algorithm::HS256),
        2 => mint(r#"{"number":1,"exp":1000000000}"#),
        3 => mint(r#"{"number":1,"aud":"somebody else"}"#),
        4 => mint(format!(r#"{{"long":"{}"}}"#, "x".repeat(4000))),
        _ => token::mint_with(r#"{"typ":"JWT","alg":"none"}"#, dict),
    }
}

/// The payload of a token without the sidecar's own claims.
fn payload(token: &str, number: u64) -> String {
    let Some(payload) = token.split('.').nth(1) else {
        return token.to_owned();
    };
    let payload = String::from_utf8(token::unbase64(payload)).unwrap_or_default();
    match payload.split_once(r#","iat":"#) {
        Some((dict, _)) => dict.to_owned(),
        None => format!("{number}: not managed: {payload}"),
    }
}

#[test]
fn soak() {
    let (warm_up, time) = pick((1, 4), (180, 1200));
    let rate = pick(200.0, 1000.0);
    let (warm_up, time) = (Duration::from_secs(warm_up), Duration::from_secs(time));
    let backend = Echo::start();
    let sidecar = Builder::new(&backend.url()).with(CONFIG).forget_access().start();
    let load = Load::on(sidecar.address()).connections(CONNECTIONS).rate(rate).during(time);
    let begun = Instant::now();
    let load = load.start(
        move |number| {
            // At first with a slow backend, so that every connection is in use: the memory for this
            // is not returned, and would look like a leak if it happened later.
            let is_warm = number as f64 > rate * warm_up.as_secs_f64() / 3.0;
            let delay = if is_warm { 0 } else { CONNECTIONS as u64 * 900 / rate as u64 };
            Kind::of(number).request(number, delay)
        },
        |number, reply| Kind::of(number).check(number, reply),
    );
    let mut samples = Vec::new();
    let interval = pick(Duration::from_millis(100), Duration::from_secs(1));
    while begun.elapsed() + interval < time {
        thread::sleep(interval);
        if begun.elapsed() > warm_up {
            samples.push(Vitals::of(sidecar.id()));
        }
    }
    let figures = load.finish();

    // A tenth of the time at the start and at the end.
    let part = samples.len().div_ceil(10);
    let median = |samples: &[Vitals], what: fn(&Vitals) -> u64| {
        let mut values: Vec<_> = samples.iter().map(what).collect();
        values.sort_unstable();
        values[values.len() / 2]
    };
    let ends =
        |what| (median(&samples[..part], what), median(&samples[samples.len() - part..], what));
    let (rss, rss_after) = ends(|vitals| vitals.rss);
    let (descriptors, descriptors_after) = ends(|vitals| vitals.descriptors as u64);
    let most = samples.iter().map(|vitals| vitals.rss).max().unwrap_or(0);
    let cpu = Vitals::of(sidecar.id()).cpu.as_micros() / u128::from(figures.sent);
    println!(
        "soak: {figures}, after {} s of warm-up RSS {} and in the end {} (at most {}), descriptors \
         {descriptors} and {descriptors_after}, {cpu} µs of CPU a request",
        warm_up.as_secs(),
        megabytes(rss),
        megabytes(rss_after),
        megabytes(most)
    );
    let (threads, threads_after) = ends(|vitals| vitals.threads);
    println!("soak: {threads} threads and {threads_after}; answers {:?}", figures.statuses());
    println!("soak: RSS over time: {}", course(&samples));
    figures.assert_none_failed();
    assert!(rss_after < rss + 16_000_000, "{rss} bytes and then {rss_after}");
    // Two for each client, and those of the process itself.
    assert!(
        descriptors_after < 2 * CONNECTIONS as u64 + 50,
        "{descriptors} and then {descriptors_after}"
    );
}

/// Ten samples of the memory over time.
fn course(samples: &[Vitals]) -> String {
    let step = samples.len().div_ceil(10);
    let rss: Vec<_> = samples.iter().step_by(step).map(|vitals| megabytes(vitals.rss)).collect();
    rss.join(", ")
}

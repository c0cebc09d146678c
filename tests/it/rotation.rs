//! Key rotation under load: no request fails, no session is lost.

use std::sync::RwLock;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    Answer, Backend, Builder, Protocol, Request, SetCookie, Sidecar, Volume, Way, keygen, token,
};

const WORKERS: u32 = 8;
/// 25 requests per second by each of 8 workers: 200 in total.
const INTERVAL: Duration = Duration::from_millis(40);
const ROUNDS: u32 = 250;
/// The first one signs at the start; five rotations add the others. Includes changes from signed to
/// sealed and back.
const ALGORITHMS: [&str; 6] = ["HS256", "ES256", "A256GCM", "EdDSA", "HS512", "ES384"];
/// The number of accepted keys.
const KEPT: usize = 3;

/// Increments a number in the session, except when it only looks.
fn app() -> Backend {
    Backend::by(|request| {
        let mut session: Value =
            serde_json::from_str(&request.value("X-Session").unwrap()).unwrap();
        let seen = session.to_string();
        if request.target() == "/look" {
            return Answer::new(200, &[], &seen);
        }
        session["n"] = json!(session["n"].as_u64().unwrap_or(0) + 1);
        Answer::new(200, &[("X-Session-Save", &session.to_string())], &seen)
    })
}

/// The tables of the accepted keys after a number of rotations, newest first.
fn keys(folder: &TempDir, rotation: usize) -> String {
    let first = (rotation + 1).saturating_sub(KEPT);
    let key = |number: usize| {
        let algorithm = ALGORITHMS[number];
        let file = folder.path().join(algorithm);
        let source = match algorithm {
            "A256GCM" => "secret_encoding = \"base64\"\nsecret_file",
            secret if secret.starts_with("HS") => "secret_file",
            _ => "private_key_file",
        };
        let file = file.display();
        format!(
            "[[keys]]\nid = \"k{number}\"\nalgorithm = \"{algorithm}\"\n{source} = \"{file}\"\n\n"
        )
    };
    (first..=rotation).rev().map(key).collect()
}

/// The id of the key that signed a token.
fn kid(token: &str) -> String {
    let header = token::unbase64(token.split('.').next().unwrap());
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().expect("a kid").to_owned()
}

/// Tokens that must verify, with the number of the key that signed them.
type Live = RwLock<Vec<(usize, String)>>;

/// A browser and an observer: increments its own session, and looks at all live ones.
fn work(sidecar: &Sidecar, number: u32, begun: Instant, live: &Live) {
    let mut client = sidecar.connect();
    let mut session: Option<String> = None;
    let mut counted = 0;
    for round in 0..ROUNDS {
        let due = begun + INTERVAL * round + INTERVAL / WORKERS * number;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let mut exchange = |request: &Request| match round % 10 {
            8 => sidecar.send_over(Protocol::H2c, request),
            9 => sidecar.send(request),
            _ => client.exchange(request),
        };
        if round % 2 == 0 {
            let mut request = Request::new("POST", "/count");
            if let Some(session) = &session {
                request = request.session(session);
            }
            let answer = exchange(&request);
            assert_eq!(answer.status(), 200, "{answer:?}");
            let seen = if counted == 0 { json!({}) } else { json!({ "n": counted }) };
            assert_eq!(answer.text(), seen.to_string(), "a session is lost in round {round}");
            session = Some(SetCookie::token(&answer));
            counted += 1;
        } else {
            // Hold the lock, so that no key is retired meanwhile.
            let live = live.read().unwrap();
            let (key, token) = &live[(round / 2 + number) as usize % live.len()];
            let answer = exchange(&Request::get("/look").session(token));
            assert_eq!(answer.status(), 200, "{answer:?}");
            assert_eq!(answer.text(), r#"{"n":1}"#, "a token of k{key} in round {round}");
        }
    }
}

#[test]
fn keys_rotate_five_times_under_load() {
    let folder = tempfile::tempdir().unwrap();
    for algorithm in ALGORITHMS {
        keygen(folder.path(), algorithm);
    }
    let backend = app();
    let text = |rotation| Builder::new(backend.url()).keys(&keys(&folder, rotation)).text();
    let mut volume = Volume::of(Way::Rename, "cloakroom.toml", &text(0));
    let sidecar = Sidecar::before(&backend).file(volume.path("cloakroom.toml")).start();
    let live = Live::default();
    let new_token = |number: usize| {
        let token = SetCookie::token(&sidecar.get("/count", None));
        assert_eq!(kid(&token), format!("k{number}"));
        live.write().unwrap().push((number, token));
    };
    new_token(0);

    let begun = Instant::now();
    thread::scope(|scope| {
        for number in 0..WORKERS {
            let (sidecar, live) = (&sidecar, &live);
            scope.spawn(move || work(sidecar, number, begun, live));
        }
        for rotation in 1..ALGORITHMS.len() {
            let due = begun + Duration::from_millis(1600) * u32::try_from(rotation).unwrap();
            thread::sleep(due.saturating_duration_since(Instant::now()));
            live.write().unwrap().retain(|(key, _)| key + KEPT > rotation);
            volume.put(&[("cloakroom.toml", &text(rotation))]);
            let reloads = r#"cloakroom_config_reloads_total{outcome="success"}"#;
            sidecar.counts(reloads, f64::from(u32::try_from(rotation).unwrap()));
            new_token(rotation);
        }
    });
    let took = begun.elapsed();
    let requests = f64::from(WORKERS * ROUNDS);
    println!("{requests} requests in {took:?}");

    let saves = requests / 2.0 + 6.0;
    let absent = f64::from(WORKERS) + 6.0;
    sidecar.counts(r#"cloakroom_session_checks_total{outcome="absent"}"#, absent);
    sidecar.counts(r#"cloakroom_session_checks_total{outcome="valid"}"#, requests + 6.0 - absent);
    sidecar.counts(r#"cloakroom_session_writes_total{action="saved"}"#, saves);
    let metrics = sidecar.metrics();
    let uses = |what: &str| {
        (0..ALGORITHMS.len())
            .map(|number| format!("cloakroom_key_uses_total{{key=\"k{number}\",use=\"{what}\"}}"))
            .map(|series| metrics.get(&series).unwrap_or_else(|| panic!("no {series}")))
            .collect::<Vec<f64>>()
    };
    for (what, total) in [("sign", saves), ("verify", requests + 6.0 - absent)] {
        let uses = uses(what);
        assert!(uses.iter().all(|uses| *uses > 0.0), "{what}: {uses:?}");
        assert_eq!(uses.iter().sum::<f64>(), total, "{what}: {uses:?}");
    }
    assert_eq!(metrics.sum("cloakroom_key_uses_total"), saves + requests + 6.0 - absent);
}

#[test]
fn token_of_a_retired_key_is_no_session_any_more() {
    let folder = tempfile::tempdir().unwrap();
    for algorithm in ALGORITHMS {
        keygen(folder.path(), algorithm);
    }
    let backend = app();
    let text = |rotation| Builder::new(backend.url()).keys(&keys(&folder, rotation)).text();
    let mut volume = Volume::of(Way::Rename, "cloakroom.toml", &text(0));
    let sidecar = Sidecar::before(&backend).file(volume.path("cloakroom.toml")).start();
    let token = SetCookie::token(&sidecar.get("/count", None));
    for rotation in 1..=KEPT {
        volume.put(&[("cloakroom.toml", &text(rotation))]);
        sidecar.signal("HUP");
        crate::support::eventually("the next key", || {
            let next = SetCookie::token(&sidecar.get("/count", None));
            (kid(&next) == format!("k{rotation}")).then_some(())
        });
        let expected = if rotation < KEPT { r#"{"n":1}"# } else { "{}" };
        assert_eq!(sidecar.get("/look", Some(&token)).text(), expected, "{rotation}");
    }
    // Its kid is unknown, and no key has its algorithm.
    sidecar.counts(r#"cloakroom_session_checks_total{outcome="unknown_key"}"#, 1.0);
    sidecar.counts(r#"cloakroom_key_uses_total{key="k0",use="verify"}"#, 2.0);
}

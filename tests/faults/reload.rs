//! Configuration and keys change under load, and no client notices: alternately a new configuration
//! with SIGHUP, and new secrets in the same files, which the sidecar must detect.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::backend::Echo;
use crate::load::Load;
use crate::pick;
use crate::support::{Builder, Request, SECRET, Sidecar, Volume, Way, eventually, token};
use crate::users::Users;

pub const FILE: &str = "cloakroom.toml";
pub const SUCCESS: &str = r#"cloakroom_config_reloads_total{outcome="success"}"#;
pub const FAILURE: &str = r#"cloakroom_config_reloads_total{outcome="failure"}"#;

/// The secret files; the first one signs.
const KEYS: [&str; 4] = ["newest", "newer", "older", "oldest"];

/// The content of a file after a number of rotations: a secret moves from file to file, and is
/// removed after the last one.
fn secret(rotation: usize, file: usize) -> String {
    match rotation.checked_sub(file) {
        Some(0) => SECRET.to_owned(),
        Some(number) => format!("secret number {number:08} that came by rotation"),
        None => format!("secret number {file:08} before there was a rotation"),
    }
}

/// Waits for this number of reloads.
pub fn wait_for(sidecar: &Sidecar, series: &str, count: u64) {
    eventually(series, || (sidecar.count(series) >= count as f64).then_some(()));
}

#[test]
fn reload() {
    let backend = Echo::start();
    let mut volume = Volume::new(Way::Rename);
    let rotate = |volume: &mut Volume, rotation| {
        // At any time, each secret is in some file.
        for (file, name) in KEYS.iter().enumerate().rev() {
            volume.put(&[(name, &secret(rotation, file))]);
        }
    };
    rotate(&mut volume, 0);
    let keys = KEYS.map(|name| format!("[[keys]]\nsecret_file = \"{}\"\n", volume.name(name)));
    let text = |number: usize| {
        let seconds = 60 + number % 2;
        let tables = format!("[timeouts]\nbackend_read = \"{seconds}s\"\n# number {number}");
        Builder::new(&backend.url()).keys(&keys.concat()).with(&tables).text()
    };
    volume.put(&[(FILE, &text(0))]);
    let builder = Builder::new(&backend.url()).file(volume.path(FILE)).forget_access();
    let sidecar = builder.start();

    let users = Arc::new(Users::new(pick(50, 200)));
    let rate = pick(200.0, 1000.0);
    let load = users.load(Load::on(sidecar.address()).connections(50).rate(rate));
    let (reloads, interval) = pick((6, 300), (100, 600));
    let begun = Instant::now();
    let mut rotations = 0;
    for number in 0..reloads {
        let seen = sidecar.count(SUCCESS) as u64;
        if number % 2 == 0 {
            volume.put(&[(FILE, &text(number))]);
            sidecar.signal("HUP");
        } else {
            rotations += 1;
            rotate(&mut volume, rotations);
        }
        wait_for(&sidecar, SUCCESS, seen + 1);
        let due = begun + Duration::from_millis(interval) * (number as u32 + 1);
        thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    let figures = load.stop();

    let (lost, mixed_up) = (users.lost(), users.mixed_up());
    println!(
        "reload: {figures}, {reloads} reloads, {rotations} of them with a new key, {lost} logged \
         out, {mixed_up} mixed up"
    );
    figures.assert_none_failed();
    assert_eq!((lost, mixed_up), (0, 0));
    assert_eq!(sidecar.count(FAILURE), 0.0);
    // The latest secret signs, and the first one is no longer accepted.
    let save = Request::get("/").with("Answer-X-Session-Save", "{}");
    let saved = crate::support::SetCookie::token(&sidecar.send(&save));
    token::payload_as(&saved, token::HEADER, &secret(rotations, 0), jsonwebtoken::Algorithm::HS256);
    if rotations >= KEYS.len() {
        let answer = sidecar.get("/old", Some(&crate::support::mint(r#"{"n":1}"#)));
        assert_eq!(answer.text(), Echo::body("/old", "{}"));
    }
}

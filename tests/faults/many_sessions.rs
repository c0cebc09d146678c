//! A file with a very large number of sessions, while operators list and end some on the admin
//! listener: neither they nor the users wait.

use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cloakroom::store::record::SubjectHash;
use rusqlite::{Connection, params};
use serde_json::Value;

use crate::pick;
use crate::support::{Answer, Backend, Builder, Message, Request, SetCookie, Sidecar};

const TOKEN: &str = "an-operators-token-of-36-characters!";

/// A user with more sessions than a person has, such as the account of a machine.
const HEAVY: &str = "heavy";

/// The maximum length of a list.
const LISTED: u64 = 1000;

/// Adds sessions to an existing file: ten for each user, and some for one user.
fn fill(file: &Path, count: u64, heavy: u64) {
    let mut connection = Connection::open(file).unwrap();
    connection.pragma_update(None, "synchronous", "OFF").unwrap();
    connection.pragma_update(None, "cache_size", -100_000).unwrap();
    let transaction = connection.transaction().unwrap();
    let mut insert = transaction
        .prepare(
            "INSERT INTO session(k, id, rev, start, seen, exp, sub, data) \
             VALUES(?1, ?2, 1, ?3, ?3, ?4, ?5, zeroblob(500))",
        )
        .unwrap();
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_millis().cast_signed() as i64;
    // Spread over the whole range, like real ids; sorted, because that is written fastest.
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    let mut mixed = |number: u64| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(number * 2 + 1);
        random ^ (random >> 29)
    };
    let mut ids: Vec<(u64, u64)> =
        (0..count).map(|number| (mixed(number) & (u64::MAX >> 1), number)).collect();
    ids.sort_unstable();
    for (key, number) in ids {
        let user = if number < heavy { HEAVY.to_owned() } else { format!("user-{}", number / 10) };
        let subject = SubjectHash::of_text(user.as_bytes());
        let id = [number.to_be_bytes(), key.to_be_bytes()].concat();
        let row = params![key.cast_signed(), id, now, now + 86_400_000, subject.as_bytes()];
        insert.execute(row).unwrap();
    }
    drop(insert);
    transaction.commit().unwrap();
}

fn as_operator(sidecar: &Sidecar, method: &str, target: &str, body: &str) -> (Message, Duration) {
    let request = Request::new(method, target).with("Authorization", format!("Bearer {TOKEN}"));
    let request = if body.is_empty() { request } else { request.body(body) };
    let begun = Instant::now();
    let answer = sidecar.ask_admin(&request);
    (answer, begun.elapsed())
}

#[test]
fn many_sessions() {
    let (count, heavy, lists) = pick((20_000, 1_100, 5), (1_000_000, 10_000, 100));
    let folder = tempfile::tempdir().unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o700)).unwrap();
    let (token, file) = (folder.path().join("token"), folder.path().join("sessions.db"));
    std::fs::write(&token, TOKEN).unwrap();
    std::fs::set_permissions(&token, std::fs::Permissions::from_mode(0o600)).unwrap();
    let backend = Backend::by(|request| match request.target() {
        "/save" => Answer::ok(&[("X-Session-Save", r#"{"user":"ann"}"#)]),
        _ => Answer::ok(&[]),
    });
    let tables = format!(
        "[session]\nttl = \"1d\"\nsubject = \"user\"\n[store]\nurl = \"file:{}\"",
        file.display()
    );
    let builder = || {
        let admin = format!("token_file = {token:?}");
        Builder::new(backend.url()).with(&tables).admin(&admin).forget_access()
    };
    drop(builder().start());
    fill(&file, count, heavy);
    let sidecar = builder().start();

    let over = AtomicBool::new(false);
    let (users, figures) = thread::scope(|scope| {
        // Users who read and save until the end.
        let users = scope.spawn(|| {
            let mut client = sidecar.connect();
            let ticket = SetCookie::token(&client.exchange(&Request::get("/save")));
            let (mut times, mut unavailable) = (Vec::new(), 0);
            while !over.load(Ordering::Acquire) {
                let target = if times.len() % 5 == 0 { "/save" } else { "/" };
                let begun = Instant::now();
                let answer = client.exchange(&Request::get(target).session(&ticket));
                times.push(begun.elapsed());
                unavailable += usize::from(answer.status() != 200);
                thread::sleep(Duration::from_millis(1));
            }
            times.sort_unstable();
            (times, unavailable)
        });
        let operators = scope.spawn(|| operators(&sidecar, count, heavy, lists)).join();
        // Even after a failure.
        over.store(true, Ordering::Release);
        (users.join().unwrap(), operators.unwrap())
    });
    let (times, unavailable) = users;
    let worst = times.last().unwrap().as_secs_f64() * 1000.0;
    let p99 = times[times.len() * 99 / 100].as_secs_f64() * 1000.0;
    println!(
        "many_sessions: {count} sessions; {figures}meanwhile {} requests of users: p99 {p99:.1} ms, at \
         most {worst:.1} ms, {unavailable} failed",
        times.len()
    );
    assert_eq!(unavailable, 0);
    // Includes other load of this machine; the full form is for an idle one.
    assert!(worst < pick(5000.0, 100.0), "{worst} ms");
}

/// The operators' requests, and the longest answer time of each kind.
fn operators(sidecar: &Sidecar, count: u64, heavy: u64, lists: u64) -> String {
    let mut figures = String::new();
    let mut note = |what: &str, times: &[Duration]| {
        let most = times.iter().max().unwrap().as_secs_f64() * 1000.0;
        let _ = write!(figures, "{what} {most:.1} ms, ");
    };
    let mut of_users = Vec::new();
    let mut some = String::new();
    for number in 0..lists {
        let user = heavy / 10 + 1 + number * (count - heavy) / 10 / lists;
        let target = format!("/sessions?subject=user-{user}");
        let (answer, took) = as_operator(sidecar, "GET", &target, "");
        let found: Value = serde_json::from_str(&answer.text()).unwrap();
        let found = found["sessions"].as_array().unwrap();
        assert_eq!(found.len(), 10, "{target}");
        some = format!("/sessions/{}", found[0]["id"].as_str().unwrap());
        of_users.push(took);
    }
    note("list of a user's 10", &of_users);
    for (what, method, target, body, status) in [
        ("one", "GET", some.as_str(), "", 200),
        ("page", "GET", "/", "", 200),
        ("metrics", "GET", "/metrics", "", 200),
        ("one ended", "DELETE", some.as_str(), "", 200),
    ] {
        let (answer, took) = as_operator(sidecar, method, target, body);
        assert_eq!(answer.status(), status, "{what}");
        note(what, &[took]);
    }
    let of_heavy = format!("/sessions?subject={HEAVY}");
    let (answer, took) = as_operator(sidecar, "GET", &of_heavy, "");
    let found: Value = serde_json::from_str(&answer.text()).unwrap();
    let listed = found["sessions"].as_array().unwrap().len() as u64;
    assert_eq!((listed, &found["more"]), (heavy.min(LISTED), &Value::Bool(true)));
    note(&format!("list of {heavy} of one user"), &[took]);
    assert!(took < Duration::from_millis(pick(5000, 100)), "{took:?}");
    let (answer, took) = as_operator(sidecar, "DELETE", &of_heavy, "");
    assert!(answer.text().contains(&format!("\"ended\":{heavy},")), "{}", answer.text());
    note("these ended", &[took]);
    let (answer, took) = as_operator(sidecar, "DELETE", "/sessions", r#"{"all":true}"#);
    let answer: Value = serde_json::from_str(&answer.text()).unwrap();
    assert!(answer["ended"].as_u64().unwrap() > count - heavy - 10, "{answer}");
    note("all ended", &[took]);
    figures
}

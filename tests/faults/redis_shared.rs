//! Sidecars that share a store: no merge is lost, and a log-out applies to all of them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::backend::Echo;
use crate::patrons::{Patrons, assert_right};
use crate::pick;
use crate::stores;
use crate::support::engine::{Engine, Server};
use crate::support::{Request, SetCookie, Sidecar, Volume, Way};

fn say(name: &str, value: &str) -> Request {
    Request::get("/").with(&format!("Answer-X-Session-{name}"), value)
}

fn seen(sidecar: &Sidecar, ticket: &str) -> String {
    let answer = sidecar.get("/", Some(ticket));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.text().lines().nth(1).unwrap_or_default().to_owned()
}

#[test]
fn merges() {
    let (clients, rounds) = pick((6, 2), (50, 100));
    let (server, backend) = (Server::of(Engine::Redis).start(), Echo::start());
    let sidecars =
        [(); 2].map(|()| stores::start(stores::builder(&backend, &stores::single(&server.url()))));
    let again = AtomicU64::new(0);
    for round in 0..rounds {
        let save = say("Save", r#"{"first":0}"#);
        let ticket = SetCookie::token(&sidecars[round % 2].send(&save));
        thread::scope(|scope| {
            for client in 0..clients {
                let (sidecar, ticket, again) = (&sidecars[client % 2], &ticket, &again);
                scope.spawn(move || {
                    let merge = say("Merge", &format!(r#"{{"key-{client}":{client}}}"#));
                    let merge = merge.session(ticket);
                    loop {
                        // A refused answer ends its connection.
                        match sidecar.send(&merge).status() {
                            200 => break,
                            // Five times in a row another request was faster.
                            409 => again.fetch_add(1, Ordering::Relaxed),
                            status => panic!("{status}"),
                        };
                    }
                });
            }
        });
        let dict = seen(&sidecars[0], &ticket);
        for client in 0..clients {
            assert!(dict.contains(&format!(r#""key-{client}":{client}"#)), "{client}: {dict}");
        }
    }
    println!(
        "redis_shared: {rounds} times {clients} merges at once at two sidecars: 0 lost, {} of them \
         answered 409 first",
        again.load(Ordering::Relaxed)
    );
}

#[test]
fn log_outs() {
    let rounds = pick(10, 200);
    let (server, backend) = (Server::of(Engine::Redis).start(), Echo::start());
    for holds in ["sessions", "revocations"] {
        let store = format!("{}holds = {holds:?}\n", stores::single(&server.url()));
        let sidecars = [(); 2].map(|()| stores::start(stores::builder(&backend, &store)));
        let (mut replayed, mut slowest) = (0, Duration::ZERO);
        for round in 0..rounds {
            let (here, there) = (&sidecars[round % 2], &sidecars[(round + 1) % 2]);
            let ticket = SetCookie::token(&here.send(&say("Save", r#"{"n":1}"#)));
            assert_eq!(seen(there, &ticket), r#"{"n":1}"#);
            let answer = here.send(&say("Delete", "1").session(&ticket));
            assert!(answer.status() == 200 && SetCookie::of(&answer).unwrap().deletes());
            let begun = Instant::now();
            for sidecar in [there, here] {
                while seen(sidecar, &ticket) != "{}" {
                    assert!(begun.elapsed() < Duration::from_secs(30), "it goes on");
                    replayed += 1;
                }
            }
            slowest = slowest.max(begun.elapsed());
        }
        println!(
            "redis_shared: {holds}: {rounds} log-outs at one of two sidecars: the cookie was good \
             {replayed} times more, for {:.0} ms at most",
            slowest.as_secs_f64() * 1000.0
        );
        if holds == "sessions" {
            assert_eq!(replayed, 0);
        }
        assert!(slowest < pick(Duration::from_secs(30), Duration::from_secs(1)), "{slowest:?}");
    }
}

#[test]
fn credentials() {
    const RIGHTS: &str = "~* &* +@all";
    let (reloads, interval) = pick((3_u32, 200), (50, 400));
    let server = Server::of(Engine::Redis).user("shop", "password-0", RIGHTS).start();
    let backend = Echo::start();
    let mut files = Volume::of(Way::Rename, "password", "password-0\n");
    let password = format!("username = \"shop\"\npassword_file = {:?}\n", files.path("password"));
    let store = format!("{}{password}", stores::single(&server.url()));
    let sidecar = stores::start(stores::builder(&backend, &store));
    let patrons = Patrons::new(pick(47, 199));
    patrons.log_in(&sidecar);
    let load = patrons.load(sidecar.address());
    for reload in 1..=reloads {
        let begun = Instant::now();
        let (old, new) = (format!("password-{}", reload - 1), format!("password-{reload}"));
        server.ask(&["ACL", "SETUSER", "shop", &format!(">{new}")]);
        files.put(&[("password", &format!("{new}\n"))]);
        crate::reload::wait_for(&sidecar, crate::reload::SUCCESS, reload.into());
        server.ask(&["ACL", "SETUSER", "shop", &format!("<{old}")]);
        thread::sleep(Duration::from_millis(interval).saturating_sub(begun.elapsed()));
    }
    let figures = load.stop();
    let tally = patrons.tally();
    println!(
        "redis_shared: {figures}, {reloads} reloads with another password each: {} right, {} \
         answered 503",
        tally.served, tally.refused
    );
    assert_right(&figures);
    assert_eq!(tally.refused, 0);
    assert_eq!(sidecar.count(crate::reload::FAILURE), 0.0);
}

//! Sentinels replace a failed master: writes continue on the new one, and ended sessions stay
//! ended, even if the new one had missed the end.

use std::thread;
use std::time::{Duration, Instant};

use crate::backend::Echo;
use crate::patrons::{Patrons, Probe, assert_right};
use crate::pick;
use crate::stores;
use crate::support::engine::{Engine, Sentinels};
use crate::support::{Request, SetCookie};

#[test]
fn failovers() {
    let failovers = pick(1, 5);
    let sentinels = Sentinels::start(Engine::Redis, 2);
    let backend = Echo::start();
    let sidecar = stores::start(stores::builder(&backend, &stores::sentinel(&sentinels)));
    let patrons = Patrons::new(pick(47, 199));
    patrons.log_in(&sidecar);
    let probe = Probe::new(&sidecar);
    let load = patrons.load(sidecar.address());
    let (mut elected, mut back) = (Vec::new(), Vec::new());
    for _ in 0..failovers {
        thread::sleep(Duration::from_secs(1));
        let begun = Instant::now();
        let (old, _) = sentinels.fail_over();
        elected.push(begun.elapsed());
        back.push(probe.until_served(true));
        sentinels.bring_back(old);
    }
    thread::sleep(Duration::from_millis(500));
    let figures = load.stop();
    assert_right(&figures);
    let tally = patrons.tally();
    let (live, ended) = patrons.look(&sidecar);
    let slowest = back.iter().max().unwrap();
    println!(
        "redis_failover: {failovers} failovers under {figures}; another master within {:.1} s, writes \
         {:.0} ms after that; {} right, {} answered 503; in the end {live} sessions as they were \
         answered, {ended} that had ended were not there",
        elected.iter().max().unwrap().as_secs_f64(),
        slowest.as_secs_f64() * 1000.0,
        tally.served,
        tally.refused,
    );
    assert!(tally.served > 0 && tally.refused > 0 && live > 0, "{tally:?}");
    assert!(*slowest < pick(Duration::from_secs(60), Duration::from_secs(1)), "{back:?}");
}

#[test]
fn ended_behind_its_back() {
    let rounds = pick(1, 3);
    let backend = Echo::start();
    let mut looked = 0_u64;
    for _ in 0..rounds {
        let sentinels = Sentinels::start(Engine::Redis, 1);
        let sidecar = stores::start(stores::builder(&backend, &stores::sentinel(&sentinels)));
        let probe = Probe::new(&sidecar);
        let save = |dict: &str| {
            let save = Request::get("/").with("Answer-X-Session-Save", dict);
            SetCookie::token(&sidecar.send(&save))
        };
        let (one, all) = (save(r#"{"n":1}"#), save(r#"{"user":"ann"}"#));
        let bystander = save(r#"{"n":2}"#);
        let (old, replica) = (sentinels.master(), other(&sentinels));
        // The replica has the sessions, and is then stopped.
        let in_step = |port: u16| sentinels.server(port).info("master_repl_offset");
        crate::support::eventually("a replica in step", || {
            (in_step(old) == in_step(replica)).then_some(())
        });
        sentinels.server(replica).signal("STOP");
        for (ticket, delete) in [(&one, "1"), (&all, "all")] {
            let log_out = Request::get("/").with("Answer-X-Session-Delete", delete).session(ticket);
            let answer = sidecar.send(&log_out);
            assert_eq!(answer.status(), 200);
            assert!(SetCookie::of(&answer).unwrap().deletes());
        }
        sentinels.server(old).kill();
        sentinels.server(replica).signal("CONT");
        // From the first answer of the new master.
        let begun = Instant::now();
        let mut served = 0;
        while served < 50 {
            assert!(begun.elapsed() < Duration::from_secs(60), "no new master for a minute");
            for ticket in [&one, &all] {
                let answer = sidecar.get("/", Some(ticket));
                match answer.status() {
                    200 => {
                        assert_eq!(answer.text().lines().nth(1), Some("{}"), "it is back");
                        served += 1;
                    }
                    status => assert_eq!(status, 503),
                }
            }
            thread::sleep(Duration::from_millis(2));
        }
        assert_eq!(sentinels.master(), replica);
        assert!(sidecar.get("/", Some(&bystander)).text().contains(r#"{"n":2}"#));
        assert_eq!(probe.status(true), 200);
        looked += served;
    }
    println!(
        "redis_failover: {rounds} failovers to a replica that had heard of no log-out: {looked} looks \
         at the sessions ended, 0 were back"
    );
}

fn other(sentinels: &Sentinels) -> u16 {
    let master = sentinels.master();
    sentinels.servers.iter().map(|server| server.port()).find(|port| *port != master).unwrap()
}

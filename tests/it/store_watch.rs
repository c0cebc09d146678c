//! Warnings about a store on the network before it loses anything.

use crate::support::engine::{Engine, Server, sentinels};
use crate::support::{Backend, SetCookie, Sidecar, eventually, say};

fn sidecar(backend: &Backend, server: &Server) -> Sidecar {
    let store = format!("[store]\nurl = {:?}\ntimeout = \"5s\"\n", server.url());
    let sidecar =
        Sidecar::before(backend).with(&format!("{store}[session]\nttl = \"1h\"\n")).start();
    eventually("a sidecar that is ready", || {
        (sidecar.admin("/readyz").status() == 200).then_some(())
    });
    sidecar
}

#[test]
fn a_server_that_evicts_shows_in_the_metrics_and_one_that_does_not() {
    let backend = Backend::saying();
    let evicting = Server::of(Engine::Redis).set("maxmemory 100mb\nmaxmemory-policy allkeys-lru");
    assert_eq!(sidecar(&backend, &evicting.start()).count("cloakroom_store_evicts"), 1.0);
    let sound = Server::of(Engine::Redis).set("maxmemory 100mb\nmaxmemory-policy noeviction");
    assert_eq!(sidecar(&backend, &sound.start()).count("cloakroom_store_evicts"), 0.0);
}

#[test]
fn a_log_out_that_no_replica_knows_of_is_counted_and_said_once() {
    const SAID: &str = "no replica of the session store has acknowledged the end of a session";
    let servers = sentinels::replicated(Engine::Redis, 1, |builder| builder);
    let backend = Backend::saying();
    let sidecar = sidecar(&backend, &servers[0]);
    let log_out = || {
        let ticket = SetCookie::token(&sidecar.send(&say("Save", r#"{"n":1}"#)));
        let answer = sidecar.send(&say("Delete", "1").session(&ticket));
        assert!(answer.status() == 200 && SetCookie::of(&answer).unwrap().deletes());
    };
    servers[1].signal("STOP");
    (0..3).for_each(|_| log_out());
    sidecar.counts("cloakroom_store_unreplicated_total", 3.0);
    assert_eq!(sidecar.log().matches(SAID).count(), 1, "{}", sidecar.log());
    servers[1].signal("CONT");
}

//! The test servers behave as the tests expect.

use std::time::{Duration, Instant};

use crate::support::Certificate;
use crate::support::engine::{Cluster, Engine, Link, Proxy, Sentinels, Server, Trouble, until};

#[test]
fn what_a_server_has_said_that_it_kept_is_there_after_it_was_killed() {
    let server = Server::of(Engine::Redis).append_only().start();
    assert_eq!(server.ask(&["SET", "a", "1"]).text(), "OK");
    server.kill();
    assert!(server.try_ask(&["GET", "a"]).is_err());
    server.start();
    assert_eq!(server.ask(&["GET", "a"]).text(), "1");
}

#[test]
fn users_have_their_passwords_and_rights() {
    let server = Server::of(Engine::Redis).user("cloakroom", "secret", "~a +get").start();
    let mut link = Link::to(server.port()).unwrap();
    assert!(link.ask(&["GET", "a"]).unwrap().text().starts_with("NOAUTH"));
    assert_eq!(link.ask(&["AUTH", "cloakroom", "secret"]).unwrap().text(), "OK");
    assert!(!link.ask(&["GET", "a"]).unwrap().is_error());
    assert!(link.ask(&["GET", "b"]).unwrap().text().starts_with("NOPERM"));
    assert_eq!(server.ask(&["SET", "a", "1"]).text(), "OK");
}

#[test]
fn tls_is_spoken_at_a_port_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::new(folder.path(), "cache");
    let server = Server::of(Engine::Redis).tls(&certificate.cert, &certificate.key).start();
    assert!(server.url().starts_with("rediss://127.0.0.1:"));
    let address = std::net::SocketAddr::from(([127, 0, 0, 1], server.client_port()));
    let config = certificate.client(tokio_rustls::rustls::ALL_VERSIONS);
    let client = crate::support::tls::Client::connect(address, config, "cache").unwrap();
    assert!(!client.certificate().is_empty());
}

#[test]
fn sentinels_put_a_replica_in_the_place_of_a_master_that_is_gone() {
    let sentinels = Sentinels::start(Engine::Redis, 1);
    let master = sentinels.master();
    assert_eq!(sentinels.servers[0].port(), master);
    sentinels.server(master).write_replicated(&["SET", "a", "1"]);
    let (old, new) = sentinels.fail_over();
    assert_eq!((old, sentinels.server(new).ask(&["GET", "a"]).text()), (master, "1".into()));
    sentinels.bring_back(old);
    // On a busy machine there may be another failover: use the current replica.
    for attempt in 0.. {
        let replica = if sentinels.master() == old { new } else { old };
        let answer = sentinels.server(replica).ask(&["SET", "a", "2"]).text();
        if answer.starts_with("READONLY") {
            break;
        }
        assert!(attempt < 400, "{answer}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

#[test]
fn a_cluster_moves_slots_and_survives_a_master() {
    let cluster = Cluster::start(Engine::Redis);
    // The slot of {a} is 15495, on the third master.
    assert_eq!(cluster.servers[2].write_replicated(&["SET", "{a}", "1"]).text(), "OK");
    assert!(cluster.servers[0].ask(&["GET", "{a}"]).text().starts_with("MOVED 15495"));
    cluster.fail_over(2);
    assert_eq!(cluster.servers[5].ask(&["GET", "{a}"]).text(), "1");
    cluster.servers[2].start();
    cluster.reshard(0, 1, 10);
    assert_eq!(cluster.keys(), ["{a}"]);
}

#[test]
fn a_proxy_counts_round_trips_and_makes_trouble() {
    let server = Server::of(Engine::Redis).start();
    let proxy = Proxy::before(server.port());
    let mut link = Link::to(proxy.port()).unwrap();
    for _ in 0..2 {
        assert_eq!(link.ask(&["SET", "a", &"x".repeat(100_000)]).unwrap().text(), "OK");
    }
    assert_eq!(link.ask(&["STRLEN", "a"]).unwrap().number(), 100_000);
    assert_eq!(proxy.trips(), [["SET"], ["SET"], ["STRLEN"]]);
    assert_eq!((proxy.trips().len(), proxy.connections()), (0, 1));
    proxy.make(Trouble::Delay(Duration::from_millis(100)));
    let begun = Instant::now();
    assert_eq!(link.ask(&["PING"]).unwrap().text(), "PONG");
    assert!(begun.elapsed() >= Duration::from_millis(100));
    proxy.make(Trouble::Cut);
    assert!(link.ask(&["PING"]).is_err());
    assert!(Link::to(proxy.port()).is_err());
    proxy.make(Trouble::None);
    let mut link = Link::to(proxy.port()).unwrap();
    assert_eq!(link.ask(&["PING"]).unwrap().text(), "PONG");
    proxy.trips();
    proxy.make(Trouble::Swallow);
    std::thread::scope(|scope| {
        let asks = scope.spawn(|| link.ask(&["PING"]).is_ok());
        until("a request that is swallowed", || proxy.swallowed() > 0);
        assert!(!asks.is_finished());
        proxy.hang_up();
        assert!(!asks.join().unwrap());
    });
    assert_eq!(proxy.trips().len(), 0);
}

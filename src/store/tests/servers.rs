//! What only servers do: they fail and come back, ask for credentials, have replicas, sentinels and
//! clusters.

use super::engines::engine::{Cluster, Sentinels, proxy::Proxy, server::Builder};
use super::engines::{Engine, Server, nodes_at, spec, start, start_hurried};
use super::*;
use crate::store::server::Topology;
use zeroize::Zeroizing;

fn row(subject: Option<&str>, data: &str) -> Row {
    Row { subject: subject.map(samples::subject), ..samples::row(1, data) }
}

/// An id like those of this user's sessions.
fn id_of(name: &str, byte: u8) -> SessionId {
    id(byte).led_by(samples::subject(name).lead())
}

fn apply(store: &Store, change: Change) -> Applied {
    wait(store.apply(change, NOW)).result.unwrap()
}

fn create(store: &Store, id: &SessionId, row: Row) {
    assert_eq!(apply(store, Change::Create { id: id.clone(), row }), Applied::done(0));
}

fn is_there(store: &Store, id: &SessionId) -> bool {
    wait(store.load(id.clone(), NOW)).result.unwrap() != Loaded::Gone
}

fn end(store: &Store, id: &SessionId) -> Applied {
    apply(store, Change::Delete { id: id.clone() })
}

/// Ends sessions until a replica acknowledges one: on a busy machine some acknowledgements are
/// late.
fn acknowledged(store: &Store) {
    until("an end that a replica has", || {
        let id = id(200);
        create(store, &id, row(None, "x"));
        end(store, &id) == Applied::Done { ended: 1, replicated: true, has_more: false }
    });
}

/// Repeats the check until it is true.
fn until(what: &str, is_so: impl FnMut() -> bool) {
    super::engines::engine::until(what, is_so);
}

fn redis() -> Builder {
    Server::of(Engine::Redis)
}

#[test]
fn a_connection_that_is_killed_and_scripts_that_are_flushed_are_not_noticed() {
    let server = redis().start();
    let (store, _runtime) = start(spec(&server), Secrets::default());
    create(&store, &id(1), row(None, "a"));
    for round in 2..6 {
        server.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
        assert!(is_there(&store, &id(1)));
        server.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
        create(&store, &id(round), row(None, "b"));
        server.ask(&["SCRIPT", "FLUSH"]);
        create(&store, &id(round + 10), row(None, "c"));
    }
    assert!(store.is_up());
}

#[test]
fn a_server_that_is_back_is_up_before_anybody_asks() {
    let server = redis().append_only().start();
    let (store, _runtime) = start(spec(&server), Secrets::default());
    create(&store, &id(1), row(None, "a"));
    server.kill();
    until("a circuit that is open", || {
        wait(store.load(id(1), NOW)).result == Err(Outage::OpenCircuit)
    });
    assert!(!store.is_up());
    server.start();
    until("a store that is up", || store.is_up());
    assert!(is_there(&store, &id(1)));
}

/// Log-outs have a connection of their own, and many of the other one's answers would hide that it
/// is dead.
#[test]
fn either_connection_that_a_firewall_has_forgotten_is_replaced() {
    let server = redis().start();
    for connection in [0, 1] {
        let proxy = Proxy::before(server.port());
        let mut spec = spec(&server);
        spec.nodes = nodes_at(&[format!("redis://127.0.0.1:{}", proxy.port())]);
        let (store, _runtime) = start_hurried(spec, Duration::from_millis(250));
        let answers = || wait(store.load(id(1), NOW)).result == Ok(Loaded::Gone);
        until("an answer", answers);
        let contacts = store.contacts();
        proxy.forget(connection);
        until("another connection", || store.contacts() > contacts);
        until("an answer", answers);
    }
}

#[test]
fn what_ended_a_moment_ago_stays_ended_when_the_server_has_forgotten_it() {
    let server = redis().start();
    let (store, _runtime) = start(spec(&server), Secrets::default());
    let ended = id_of("ada", 1);
    create(&store, &ended, row(Some("ada"), "a"));
    let keys = server.keys();
    let session = keys.iter().find(|key| key.contains(":s:")).unwrap();
    // As after a failover to a replica that had not received the change.
    let copied = format!("copy-of-{session}");
    server.ask(&["COPY", session, &copied]);
    end(&store, &ended);
    assert!(!is_there(&store, &ended));
    server.ask(&["COPY", &copied, session]);
    assert!(is_there(&store, &ended));
    server.ask(&["CLIENT", "KILL", "TYPE", "normal"]);
    assert!(!is_there(&store, &ended));
}

#[test]
fn a_password_that_changes_is_an_outage_until_it_is_told() {
    let rights = "~* +@all";
    let server = redis().user("cloakroom", "old", rights).start();
    let with = |text: &str| (as_user(spec(&server)), password(text));
    let (as_old, old) = with("old");
    let (store, _runtime) = start(as_old, old);
    create(&store, &id(1), row(None, "a"));
    server.ask(&["ACL", "SETUSER", "cloakroom", "resetpass", ">new"]);
    server.ask(&["CLIENT", "KILL", "USER", "cloakroom"]);
    until("an outage", || {
        matches!(wait(store.load(id(1), NOW)).result, Err(Outage::Connect | Outage::OpenCircuit))
    });
    let (as_new, new) = with("new");
    store.set_credentials(&as_new, new);
    until("the session again", || {
        matches!(wait(store.load(id(1), NOW)).result, Ok(Loaded::Found(_)))
    });
    // Invalid credentials do not disturb the existing connection.
    server.ask(&["ACL", "LOG", "RESET"]);
    let (as_wrong, wrong) = with("wrong");
    store.set_credentials(&as_wrong, wrong);
    until("a refusal", || !server.ask(&["ACL", "LOG"]).list().is_empty());
    assert!(is_there(&store, &id(1)));
}

#[test]
fn a_user_without_a_right_gets_no_answer_that_could_be_taken_for_one() {
    let server = redis().user("cloakroom", "p", "~* +@all -get -info -hello").start();
    let (store, _runtime) = start(as_user(spec(&server)), password("p"));
    let loaded = wait(store.load(id(1), NOW)).result;
    assert!(matches!(loaded, Err(Outage::Connect | Outage::Protocol)), "{loaded:?}");
}

#[test]
fn a_full_or_read_only_server_can_be_read_and_sessions_ended() {
    let server = redis().start();
    let (store, _runtime) = start(spec(&server), Secrets::default());
    create(&store, &id(1), row(None, "a"));
    create(&store, &id(2), row(None, "a"));
    server.configure("maxmemory", "1");
    let refused = || {
        let change = Change::Create { id: id(9), row: row(None, "b") };
        wait(store.apply(change, NOW)).result
    };
    assert_eq!(refused(), Err(Outage::Full));
    assert!(is_there(&store, &id(1)));
    assert!(matches!(end(&store, &id(1)), Applied::Done { ended: 1, .. }));
    server.configure("maxmemory", "0");
    server.configure("min-replicas-to-write", "1");
    assert_eq!(refused(), Err(Outage::ReadOnly));
    assert!(is_there(&store, &id(2)));
}

#[test]
fn a_master_that_becomes_a_replica_takes_no_writes_until_it_is_one_again() {
    let server = redis().start();
    let (store, _runtime) = start(spec(&server), Secrets::default());
    create(&store, &id(1), row(None, "a"));
    // A master that does not answer.
    server.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    for byte in 2..5 {
        let change = Change::Create { id: id(byte), row: row(None, "b") };
        assert_eq!(wait(store.apply(change, NOW)).result, Err(Outage::ReadOnly));
        assert!(is_there(&store, &id(1)));
    }
    server.ask(&["REPLICAOF", "NO", "ONE"]);
    create(&store, &id(9), row(None, "c"));
}

#[test]
fn an_end_is_acknowledged_by_a_replica_where_there_is_one() {
    let server = redis().start();
    let (store, _runtime) = start(spec(&server), Secrets::default());
    create(&store, &id(1), row(None, "a"));
    assert_eq!(end(&store, &id(1)), Applied::Done { ended: 1, replicated: false, has_more: false });
    assert_eq!(store.unreplicated(), 0);
    let servers =
        super::engines::engine::sentinels::replicated(Engine::Redis, 1, |builder| builder);
    let (store, _runtime) = start(spec(&servers[0]), Secrets::default());
    for byte in 1..4 {
        create(&store, &id(byte), row(None, "a"));
    }
    acknowledged(&store);
    let before = store.unreplicated();
    servers[1].signal("STOP");
    assert_eq!(end(&store, &id(2)), Applied::Done { ended: 1, replicated: false, has_more: false });
    assert_eq!(store.unreplicated(), before + 1);
    servers[1].signal("CONT");
    assert!(!is_there(&store, &id(2)));
}

#[test]
fn with_sentinels_the_master_is_found_and_after_a_failover_the_next_one() {
    let sentinels = Sentinels::start(Engine::Redis, 1);
    let mut spec = spec(&sentinels.servers[0]);
    spec.nodes = nodes_at(&sentinels.urls());
    spec.topology = Topology::Sentinel { master: "mymaster".into() };
    let (store, _runtime) = start(spec, Secrets::default());
    create(&store, &id(1), row(None, "a"));
    create(&store, &id(2), row(None, "b"));
    end(&store, &id(2));
    acknowledged(&store);
    sentinels.fail_over();
    until("a save at the new master", || {
        let change = Change::Create { id: id(3), row: row(None, "c") };
        wait(store.apply(change, NOW)).result == Ok(Applied::done(0))
    });
    assert!(is_there(&store, &id(1)));
    assert!(!is_there(&store, &id(2)));
}

#[test]
fn the_rights_in_the_documentation_are_enough() {
    let server = redis().user("cloakroom", "p", &documented_rights()).start();
    let (store, _runtime) = start(as_user(spec(&server)), password("p"));
    let [visitor, ada, other] = [id(1), id_of("ada", 2), id_of("ada", 3)];
    create(&store, &visitor, row(None, "basket"));
    let content = row(Some("ada"), "ada's");
    let log_in = Change::Renew { old: visitor, expected: 1, id: ada.clone(), row: content.clone() };
    assert_eq!(apply(&store, log_in), Applied::done(0));
    let exp = content.exp.plus(Duration::from_secs(9));
    let touch = Change::Touch { id: ada.clone(), exp, seen: NOW };
    assert_eq!(apply(&store, touch), Applied::done(0));
    create(&store, &other, content);
    let hash = samples::subject("ada");
    assert_eq!(wait(store.list(hash, NOW)).result.unwrap().sessions.len(), 2);
    let others = Change::EndSubject { subject: hash, except: Some(other.clone()) };
    assert!(matches!(apply(&store, others), Applied::Done { ended: 1, .. }));
    assert!(matches!(end(&store, &other), Applied::Done { ended: 1, .. }));
    assert!(matches!(apply(&store, Change::EndAll), Applied::Done { ended: 0, .. }));
    let revocation = Revocation { what: operation::Revoked::All, before: NOW, until: NOW };
    wait(store.revoke(revocation, NOW)).result.unwrap();
    assert_eq!(wait(store.revocations(0, 10)).result.unwrap().len(), 1);
    assert_eq!(server.ask(&["ACL", "LOG"]).list().len(), 0);
}

/// The rights that docs/sessions.md gives the user, with the prefix of these tests.
fn documented_rights() -> String {
    let text = include_str!("../../../docs/sessions.md");
    let (_, rights) = text.split_once("ACL SETUSER shop on >PASSWORD ~shop:* ").unwrap();
    format!("~cloakroom:* {}", rights.lines().next().unwrap())
}

/// Those that it adds in a cluster.
fn documented_rights_in_a_cluster() -> String {
    let text = include_str!("../../../docs/sessions.md");
    let (_, rights) = text.split_once("in a cluster also `").unwrap();
    format!("{} {}", documented_rights(), rights.split_once('`').unwrap().0)
}

fn as_user(spec: ServerSpec) -> ServerSpec {
    ServerSpec { username: Some("cloakroom".into()), ..spec }
}

fn password(text: &str) -> Secrets {
    Secrets { password: Some(Zeroizing::new(text.to_owned())), ..Secrets::default() }
}

#[test]
fn in_a_cluster_each_change_does_what_it_does_elsewhere() {
    let rights = documented_rights_in_a_cluster();
    let cluster = Cluster::with(Engine::Redis, |builder| {
        builder.user("cloakroom", "p", &rights).replicates_as_operator()
    });
    let mut spec = as_user(spec(&cluster.servers[0]));
    spec.nodes = nodes_at(&cluster.urls());
    spec.topology = Topology::Cluster;
    let (store, _runtime) = start(spec, password("p"));
    let (visitor, ada) = (id(1), id_of("ada", 2));
    create(&store, &visitor, row(None, "basket"));
    // A log-in: the new id is on another server.
    let log_in = |expected, new: &SessionId| {
        let (old, id) = (visitor.clone(), new.clone());
        apply(&store, Change::Renew { old, expected, id, row: row(Some("ada"), "ada's") })
    };
    let other = id_of("ada", 7);
    assert_eq!(log_in(2, &other), Applied::Conflict(row(None, "basket")));
    assert!(!is_there(&store, &other));
    assert_eq!(log_in(1, &ada), Applied::done(0));
    let replaced = wait(store.load(visitor.clone(), NOW)).result;
    assert!(matches!(replaced, Ok(Loaded::Replaced(row)) if row.data == b"basket"));
    // A log-out under the old id ends the new one too, and the reverse.
    assert!(matches!(end(&store, &visitor), Applied::Done { ended: 1, .. }));
    assert!(!is_there(&store, &ada));
    create(&store, &visitor, row(None, "basket"));
    assert_eq!(log_in(1, &ada), Applied::done(0));
    assert!(matches!(end(&store, &ada), Applied::Done { ended: 1, .. }));
    assert!(!is_there(&store, &visitor));
    // Any number of sessions of a user.
    let all: Vec<SessionId> = (10..20).map(|byte| id_of("ada", byte)).collect();
    for one in &all {
        create(&store, one, row(Some("ada"), "x"));
    }
    let hash = samples::subject("ada");
    assert_eq!(wait(store.list(hash, NOW)).result.unwrap().sessions.len(), 10);
    let others = Change::EndSubject { subject: hash, except: Some(all[0].clone()) };
    assert!(matches!(apply(&store, others), Applied::Done { ended: 9, .. }));
    assert!(is_there(&store, &all[0]));
    for byte in 30..40 {
        create(&store, &id_of(&byte.to_string(), byte), row(Some(&byte.to_string()), "y"));
    }
    assert!(matches!(apply(&store, Change::EndAll), Applied::Done { ended: 11, .. }));
    assert!(!is_there(&store, &all[0]));
    acknowledged(&store);
    // The log is on one server.
    let revocation = Revocation { what: operation::Revoked::All, before: NOW, until: NOW };
    wait(store.revoke(revocation.clone(), NOW)).result.unwrap();
    let entries = wait(store.revocations(0, 10)).result.unwrap();
    assert_eq!(entries[0].revocation, revocation);
    // Another server takes over, whose clock may be behind: its log has to be read from the start.
    let contacts = store.contacts();
    cluster.fail_over(0);
    until("the new master", || store.contacts() > contacts);
    // The client may be waiting for itself, and be replaced.
    until("an answer", || wait(store.load(visitor.clone(), NOW)).result.is_ok());
    for server in &cluster.servers[1..] {
        let denied = server.ask(&["ACL", "LOG"]);
        assert_eq!(denied.list().len(), 0, "{denied:?}");
    }
}

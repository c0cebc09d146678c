//! `cloakroom check --connect`: describes the session store, and warns of settings that lose
//! sessions.

use std::process::{Command, Output};

use crate::support::engine::{Cluster, Engine, Sentinels, Server};

const TOP: &str = "listen = \"127.0.0.1:0\"\nbackend = \"http://127.0.0.1:1\"\n\
                   keys = [{ secret = \"a secret of the tests, as long as the hash\" }]\n\
                   session.ttl = \"1h\"\n[store]\n";

fn check(store: &str) -> (Option<i32>, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cloakroom.toml");
    std::fs::write(&path, format!("{TOP}{store}")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cloakroom"));
    let Output { status, stdout, stderr } =
        command.args(["check", "--connect", "--config"]).arg(path).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code(), text(stdout), text(stderr))
}

fn facts(stdout: &str) -> Vec<&str> {
    stdout.lines().filter_map(|line| line.strip_prefix("# store ")).collect()
}

#[test]
fn a_server_that_keeps_sessions_is_described_and_not_warned_of() {
    let servers =
        crate::support::engine::sentinels::replicated(Engine::Redis, 1, |one| one.append_only());
    let (code, stdout, stderr) = check(&format!("url = \"{}\"", servers[0].url()));
    assert_eq!((code, stderr.as_str()), (Some(0), ""), "{stdout}");
    let version = servers[0].info("redis_version");
    let expected = [
        format!("topology: single, at 127.0.0.1:{}", servers[0].port()),
        format!("server: redis {version}"),
        "replicas: 1".into(),
        "persistence: append-only file on, snapshots off".into(),
        "eviction: noeviction, maxmemory is not set".into(),
        "rights: all that are needed".into(),
    ];
    assert_eq!(facts(&stdout), expected);
    // The configuration follows, and can be parsed.
    assert!(stdout.parse::<toml::Table>().is_ok_and(|table| table.contains_key("store")));
    assert_eq!(servers[0].keys().len(), 0, "{:?}", servers[0].keys());
}

#[test]
fn what_loses_sessions_is_warned_of() {
    let server =
        Server::of(Engine::Redis).set("maxmemory 100mb\nmaxmemory-policy allkeys-lru").start();
    let (code, stdout, stderr) = check(&format!("url = \"{}\"", server.url()));
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("# store eviction: allkeys-lru, maxmemory is set\n"), "{stdout}");
    for warning in [
        "(maxmemory-policy allkeys-lru), which logs users out: set noeviction",
        "the store keeps nothing on a disk: when it restarts, all users are logged out",
        "the store has no replica",
    ] {
        assert!(stderr.contains(warning), "{warning}: {stderr}");
    }
}

#[test]
fn rights_that_are_missing_are_named() {
    let server = Server::of(Engine::Redis)
        .user("cloakroom", "secret", "~cloakroom:* +@all -zadd -script|load -wait")
        .start();
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    std::fs::write(&password, "secret\n").unwrap();
    let store = format!(
        "url = \"{}\"\nusername = \"cloakroom\"\npassword_file = \"{}\"",
        server.url(),
        password.display()
    );
    let (code, stdout, stderr) = check(&store);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(stdout.contains("# store missing rights: zadd script|load wait\n"), "{stdout}");
    assert!(stderr.contains("ACL SETUSER NAME +zadd +script|load +wait\n"), "{stderr}");
    std::fs::write(&password, "another").unwrap();
    let (code, _, stderr) = check(&store);
    assert_eq!(code, Some(1));
    assert!(stderr.contains("cannot be reached: \"WRONGPASS\""), "{stderr}");
    assert!(!stderr.contains("another"), "{stderr}");
}

#[test]
fn the_master_that_sentinels_name_is_looked_at_and_each_node_of_a_cluster() {
    let sentinels = Sentinels::start(Engine::Redis, 1);
    let urls = |urls: &[String]| format!("url = {urls:?}\n");
    let store = urls(&sentinels.urls()) + "topology = \"sentinel\"\nmaster = \"mymaster\"";
    let (code, stdout, stderr) = check(&store);
    assert_eq!(code, Some(0), "{stderr}");
    let at = format!("topology: sentinel, at 127.0.0.1:{}", sentinels.master());
    assert_eq!(facts(&stdout)[0], at);
    assert_eq!(facts(&stdout)[2], "replicas: 1");
    let cluster = Cluster::start(Engine::Redis);
    let (code, stdout, stderr) = check(&(urls(&cluster.urls()) + "topology = \"cluster\""));
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(facts(&stdout)[0], "topology: cluster");
    assert_eq!(facts(&stdout)[2], "replicas: 1");
    assert_eq!(facts(&stdout)[5], "rights: all that are needed");
}

#[test]
fn a_server_that_is_not_there_is_a_failure_and_a_file_needs_no_connection() {
    // Nothing listens there.
    let (code, _, stderr) = check("url = \"redis://127.0.0.1:1\"");
    assert_eq!(code, Some(1));
    assert!(stderr.starts_with("cloakroom: the session store 127.0.0.1:1 cannot be reached: "));
    let (code, stdout, _) = check("");
    assert_eq!(code, Some(0));
    assert!(stdout.starts_with("# store: none, sessions are in cookies\n"), "{stdout}");
}

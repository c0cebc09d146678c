//! `cloakroom key` while a sidecar is running: keys are added, sign and are removed, and no session
//! ends early. An error changes nothing.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::log::Log;
use crate::support::metrics::Metrics;
use crate::support::{
    Answer, Backend, Builder, Message, Protocol, Request, SECRET, SetCookie, client, eventually,
    mint, token,
};

mod leaked;

const DICT: &str = r#"{"n":1}"#;

/// A directory with a configuration and its key files.
struct House(TempDir);

impl House {
    /// With these `[[keys]]` and other tables, and the test secret in `session_key`.
    fn new(backend: &str, keys: &str, tables: &str) -> Self {
        let house = Self(tempfile::tempdir().unwrap());
        fs::write(house.path("session_key"), SECRET).unwrap();
        fs::set_permissions(house.path("session_key"), fs::Permissions::from_mode(0o600)).unwrap();
        let text = Builder::new(backend).keys(keys).with(tables).text();
        fs::write(house.path("cloakroom.toml"), text).unwrap();
        house
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self) -> String {
        fs::read_to_string(self.path("cloakroom.toml")).unwrap()
    }

    /// The ids of the keys, in order.
    fn ids(&self) -> Vec<String> {
        let text: toml::Table = self.text().parse().unwrap();
        let id = |key: &toml::Value| key.get("id").map_or("", |id| id.as_str().unwrap()).to_owned();
        text["keys"].as_array().unwrap().iter().map(id).collect()
    }

    /// Every file with its content.
    fn content(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let files = fs::read_dir(self.0.path()).unwrap().map(|file| file.unwrap().path());
        files.map(|file| (file.clone(), fs::read(file).unwrap_or_default())).collect()
    }

    /// `cloakroom key ACTION --config cloakroom.toml …`: the exit code and the output.
    fn key(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let (action, rest) = arguments.split_first().expect("an action");
        let output = Command::new(env!("CARGO_BIN_EXE_cloakroom"))
            .args(["key", *action, "--config", "cloakroom.toml"])
            .args(rest)
            .current_dir(self.0.path())
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    }

    /// The same, expecting success.
    fn done(&self, arguments: &[&str]) -> String {
        let (code, said) = self.key(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {said}");
        said
    }

    /// The same, expecting an error without changes.
    fn refused(&self, arguments: &[&str]) -> String {
        let before = self.content();
        let (code, said) = self.key(arguments);
        assert!(matches!(code, Some(1 | 2)), "{arguments:?}: {said}");
        assert_eq!(self.content(), before, "{arguments:?}: {said}");
        said
    }
}

/// A running sidecar with the configuration of a house.
struct Running {
    child: Child,
    log: Log,
}

impl Running {
    fn start(house: &House) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cloakroom"))
            .args(["run", "--config", "cloakroom.toml"])
            .current_dir(house.0.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Log::of(&mut child);
        // What is changed before this is not a reload.
        log.wait("cloakroom is up", 0);
        Self { child, log }
    }

    fn exchange(&self, listener: &str, request: &Request) -> Message {
        let line = self.log.wait(listener, 0);
        let address = line["address"].as_str().unwrap().parse().unwrap();
        client::exchange(address, Protocol::Http11, request)
    }

    fn get(&self, token: &str) -> Message {
        self.exchange("listening", &Request::get("/").session(token))
    }

    fn metric(&self, series: &str) -> Option<f64> {
        let message = self.exchange("admin listening", &Request::get("/metrics"));
        Metrics::parse(message.text()).get(series)
    }

    fn counts(&self, series: &str, value: f64) {
        eventually(series, || (self.metric(series) == Some(value)).then_some(()));
    }

    /// Waits for reload number `number`, from 0, and returns the signing key.
    fn reloaded(&self, number: usize) -> Value {
        let line = self.log.wait("reloaded", number);
        let reloads = f64::from(u32::try_from(number).unwrap()) + 1.0;
        self.counts(r#"cloakroom_config_reloads_total{outcome="success"}"#, reloads);
        line["signing_key"].clone()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The `kid` of a token.
fn kid(token: &str) -> Option<String> {
    let header = token::unbase64(token.split('.').next().unwrap());
    let header: Value = serde_json::from_slice(&header).unwrap();
    header["kid"].as_str().map(str::to_owned)
}

const FILE: &str = "[[keys]]\nsecret_file = \"session_key\"\n";

/// From signed to sealed, in one step and in two, and back.
#[test]
fn sealing_and_signing_follow_each_other_and_end_no_session() {
    let backend = Backend::new(Answer::ok(&[("X-Session-Save", DICT)]));
    let house = House::new(backend.url(), FILE, "[session]\nttl = \"14d\"");
    let running = Running::start(&house);
    let mut tokens = vec![mint(DICT)];
    let mut goes_on = || {
        let mut fresh = String::new();
        for token in &tokens {
            fresh = SetCookie::token(&running.get(token));
            assert_eq!(backend.last().values("X-Session"), [DICT]);
        }
        tokens.push(fresh.clone());
        fresh
    };
    let is_sealed = |token: &str| token.matches('.').count() == 4;

    let said = house.done(&["rotate", "--algorithm", "A256GCM", "--id", "seals"]);
    assert!(said.contains("a new key, seals, for A256GCM."), "{said}");
    assert!(house.text().contains("secret_encoding = \"base64\""), "{}", house.text());
    assert_eq!(running.reloaded(0), "seals");
    assert!(is_sealed(&goes_on()));

    house.done(&["promote", "2"]);
    assert_eq!(running.reloaded(1), "1");
    assert!(!is_sealed(&goes_on()));

    // The default algorithm is that of the first key.
    house.done(&["add", "--algorithm", "A256GCM", "--id", "next"]);
    house.done(&["promote", "next"]);
    assert_eq!(house.ids(), ["next", "", "seals"]);
    let says_so =
        || (running.metric(r#"cloakroom_key_uses_total{key="next",use="sign"}"#)).map(|_| ());
    eventually("the next key", says_so);
    eventually("a seal of it", || (kid(&goes_on()).as_deref() == Some("next")).then_some(()));
    house.done(&["rotate", "--id", "last"]);
    let keys: toml::Table = house.text().parse().unwrap();
    assert_eq!(keys["keys"][0]["algorithm"].as_str(), Some("A256GCM"));
}

#[test]
fn rotation_ends_no_session() {
    let backend = Backend::new(Answer::ok(&[("X-Session-Save", DICT)]));
    let house = House::new(backend.url(), FILE, "[session]\nttl = \"14d\"");
    let running = Running::start(&house);
    let old = mint(DICT);
    let signed_by_old = SetCookie::token(&running.get(&old));
    assert_eq!(kid(&signed_by_old), None);

    let said = house.done(&["rotate", "--id", "new"]);
    assert!(said.contains("key retire --config cloakroom.toml 2\n"), "{said}");
    assert_eq!(running.reloaded(0), "new");
    for token in [&old, &signed_by_old] {
        let signed_by_new = SetCookie::token(&running.get(token));
        assert_eq!(backend.last().values("X-Session"), [DICT]);
        assert_eq!(kid(&signed_by_new).as_deref(), Some("new"));
        running.get(&signed_by_new);
        assert_eq!(backend.last().values("X-Session"), [DICT]);
    }
    running.counts(r#"cloakroom_key_uses_total{key="2",use="verify"}"#, 2.0);
    running.counts(r#"cloakroom_key_uses_total{key="new",use="verify"}"#, 2.0);

    let said = house.done(&["retire", "2"]);
    assert!(said.contains("session_key still exists"), "{said}");
    assert_eq!(house.ids(), ["new"]);
    assert_eq!(running.reloaded(1), "new");
    running.get(&old);
    assert_eq!(backend.last().values("X-Session"), ["{}"]);
}

#[test]
fn added_key_verifies_until_it_is_promoted() {
    let backend = Backend::new(Answer::ok(&[("X-Session-Save", DICT)]));
    let house = House::new(backend.url(), FILE, "");
    let running = Running::start(&house);
    let said = house.done(&["add", "--id", "next"]);
    assert!(said.contains("cloakroom key promote --config cloakroom.toml next\n"), "{said}");
    assert_eq!(house.ids(), ["", "next"]);
    assert_eq!(running.reloaded(0), "1");
    assert_eq!(kid(&SetCookie::token(&running.get(&mint(DICT)))), None);

    house.done(&["promote", "next"]);
    assert_eq!(house.ids(), ["next", ""]);
    assert_eq!(running.reloaded(1), "next");
    assert_eq!(kid(&SetCookie::token(&running.get(&mint(DICT)))).as_deref(), Some("next"));

    house.done(&["promote", "2"]);
    assert_eq!(house.ids(), ["", "next"]);
    assert_eq!(running.reloaded(2), "1");
    assert_eq!(kid(&SetCookie::token(&running.get(&mint(DICT)))), None);
    assert!(house.done(&["promote", "1"]).contains("nothing is changed"));
}

#[test]
fn new_key_is_named_after_the_day_and_overwrites_nothing() {
    let house = House::new("http://127.0.0.1:1", FILE, "");
    for _ in 0..3 {
        house.done(&["rotate"]);
    }
    let ids = house.ids();
    let day = ids[2].clone();
    assert_eq!(ids, [format!("{day}-3"), format!("{day}-2"), day.clone(), String::new()]);
    assert_eq!(day.len(), "2026-11-23".len());
    for id in &ids[..3] {
        let file = house.path(&format!("session_key-{id}"));
        assert_eq!(fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    house.done(&["retire", &format!("{day}-2")]);
    house.done(&["rotate"]);
    assert_eq!(house.ids()[0], format!("{day}-4"), "a file of that name is still there");
    let said = house.refused(&["rotate", "--id", &format!("{day}-2")]);
    assert!(said.contains("exists and is not overwritten"), "{said}");
    let said = house.refused(&["rotate", "--id", &day]);
    assert!(said.contains("there is a key of this name"), "{said}");
}

#[test]
fn key_pairs_follow_key_pairs_or_secrets() {
    let backend = Backend::new(Answer::ok(&[("X-Session-Save", DICT)]));
    let house = House::new(backend.url(), FILE, "");
    house.done(&["rotate", "--id", "a", "--algorithm", "ES256"]);
    let said = house.done(&["rotate", "--id", "b"]);
    assert!(said.contains("session_key-b.pub: its public half"), "{said}");
    assert!(said.contains("key, b, for ES256"), "{said}");
    assert!(house.path("session_key-a").exists() && house.path("session_key-a.pub").exists());
    let running = Running::start(&house);
    let saved = SetCookie::token(&running.get(&mint(DICT)));
    assert_eq!(kid(&saved).as_deref(), Some("b"));
    running.get(&saved);
    assert_eq!(backend.last().values("X-Session"), [DICT]);

    let private = "private_key_file = \"session_key-a\"";
    let public = house.text().replace(private, "public_key_file = \"session_key-a.pub\"");
    fs::write(house.path("cloakroom.toml"), public).unwrap();
    assert!(house.refused(&["promote", "a"]).contains("key a is a public key: it cannot sign"));
}

#[test]
fn file_keeps_all_else_its_mode_and_its_link() {
    let house = House::new("http://127.0.0.1:1", FILE, "# the end");
    let text = house.text().replace("[[keys]]", "# all keys\n\n# mine\n[[keys]] # 1");
    fs::rename(house.path("cloakroom.toml"), house.path("real.toml")).unwrap();
    fs::write(house.path("real.toml"), &text).unwrap();
    fs::set_permissions(house.path("real.toml"), fs::Permissions::from_mode(0o640)).unwrap();
    symlink("real.toml", house.path("cloakroom.toml")).unwrap();
    let before = fs::metadata(house.path("real.toml")).unwrap();

    house.done(&["rotate", "--id", "new"]);
    assert!(fs::symlink_metadata(house.path("cloakroom.toml")).unwrap().is_symlink());
    let after = fs::metadata(house.path("real.toml")).unwrap();
    assert_eq!(after.mode(), before.mode());
    assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
    assert_ne!(after.ino(), before.ino(), "it is replaced, not written over");
    let table =
        "[[keys]]\nid = \"new\"\nalgorithm = \"HS256\"\nsecret_file = \"session_key-new\"\n";
    let mine = "# mine\n[[keys]] # 1";
    assert_eq!(house.text(), text.replace(mine, &format!("{table}\n{mine}")));
    assert_eq!(house.content().len(), 4, "nothing else is left: {:?}", house.content().keys());

    house.done(&["promote", "2"]);
    house.done(&["retire", "new"]);
    assert_eq!(house.text(), text);
}

#[test]
fn secret_that_is_in_no_file_is_followed_by_one_in_a_directory_of_choice() {
    let inline = format!("[[keys]]\nsecret = \"{SECRET}\"\n");
    let house = House::new("http://127.0.0.1:1", &inline, "");
    let said = house.refused(&["rotate"]);
    assert!(said.contains("the first key is in the configuration: say with --dir"), "{said}");
    fs::create_dir(house.path("keys")).unwrap();
    house.done(&["rotate", "--id", "new", "--dir", "keys"]);
    assert!(house.path("keys/session_key-new").exists());
    let real = fs::canonicalize(house.path("keys")).unwrap();
    assert!(
        house.text().contains(&format!("secret_file = \"{}/session_key-new\"", real.display()))
    );
}

#[test]
fn faulty_configuration_is_left_alone() {
    for (keys, tables, named) in [
        (FILE, "[session]\ntll = \"14d\"", "did you mean session.ttl?"),
        ("[[keys]]\nsecret_file = \"missing\"\n", "", "secret_file: file not found"),
        ("[[keys]]\nsecret = \"short\"\n", "", "at least 32"),
        ("[[keys]\n", "", "cloakroom.toml:"),
    ] {
        let house = House::new("http://127.0.0.1:1", keys, tables);
        for action in ["rotate", "add"] {
            let said = house.refused(&[action, "--dir", "."]);
            assert!(said.contains(named), "{said}");
        }
        for action in ["promote", "retire"] {
            assert!(house.refused(&[action, "1"]).contains(named));
        }
    }
    let house = House::new("http://127.0.0.1:1", FILE, "");
    fs::remove_file(house.path("cloakroom.toml")).unwrap();
    assert!(house.refused(&["rotate"]).contains("cannot be read"));
}

/// In an incident, a fault in another file must not keep a leaked key in use.
#[test]
fn faulty_file_that_is_no_key_is_not_read() {
    for content in [None, Some("no-session-id at all\n")] {
        let house =
            House::new("http://127.0.0.1:1", FILE, "[session]\nrevoked_file = \"revoked\"\n");
        if let Some(content) = content {
            fs::write(house.path("revoked"), content).unwrap();
        }
        house.done(&["rotate", "--id", "new"]);
        house.done(&["retire", "2"]);
        assert_eq!(house.ids(), ["new"]);
    }
}

/// Otherwise the folder's owner could choose any file by a symlink.
#[test]
fn owner_of_what_a_symlink_leads_to_gets_no_key() {
    let house = House::new("http://127.0.0.1:1", FILE, "");
    fs::rename(house.path("session_key"), house.path("elsewhere")).unwrap();
    symlink("elsewhere", house.path("session_key")).unwrap();
    let is_root = nix::unistd::geteuid().is_root();
    if is_root {
        std::os::unix::fs::chown(house.path("elsewhere"), Some(4711), Some(4711)).unwrap();
    }
    let said = house.done(&["rotate", "--id", "new"]);
    assert!(said.contains("as the old one is a symlink"), "{said}");
    let uid = |name: &str| fs::metadata(house.path(name)).unwrap().uid();
    assert_eq!(uid("session_key-new"), nix::unistd::geteuid().as_raw());
    // The owner of a regular file is used.
    if is_root {
        fs::remove_file(house.path("session_key")).unwrap();
        fs::rename(house.path("elsewhere"), house.path("session_key")).unwrap();
        let text = house.text().replacen("session_key-new", "session_key", 1);
        fs::write(house.path("cloakroom.toml"), text).unwrap();
        house.done(&["rotate", "--id", "next"]);
        assert_eq!(uid("session_key-next"), 4711);
    }
}

#[test]
fn what_goes_wrong_later_leaves_nothing_behind() {
    // Like a directory that cannot be written to, which would not stop root.
    let house = House::new("http://127.0.0.1:1", FILE, "");
    let said = house.refused(&["rotate", "--dir", "missing"]);
    assert!(said.contains("missing/session_key-"), "{said}");
    // The key has already been written.
    let array = "keys = [{ secret_file = \"session_key\" }]\n";
    let text = format!("{array}listen = \"127.0.0.1:0\"\nbackend = \"http://127.0.0.1:1\"\n");
    fs::write(house.path("cloakroom.toml"), text).unwrap();
    let said = house.refused(&["rotate"]);
    assert!(said.contains("give each key a table of its own under [[keys]]"), "{said}");
}

#[test]
fn first_key_stays() {
    let keys = format!("{FILE}\n[[keys]]\nid = \"old\"\nsecret_file = \"session_key\"\n");
    let house = House::new("http://127.0.0.1:1", &keys, "");
    let said = house.refused(&["retire", "1"]);
    assert!(said.contains("key 1 signs: promote another one first"), "{said}");
    for action in ["promote", "retire"] {
        let said = house.refused(&[action, "2"]);
        assert!(said.contains("no key of the name 2: there are 1, old"), "{said}");
    }
    house.done(&["retire", "old"]);
    assert!(house.refused(&["retire", "1"]).contains("key 1 is the only one"));
    assert!(house.path("session_key").exists());
}

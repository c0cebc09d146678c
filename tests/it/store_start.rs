//! A store: with which the sidecar starts, and with which it does not.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::{Backend, Builder, SetCookie, Sidecar, Volume, Way, say};

fn with_store(builder: Builder, file: &Path) -> Builder {
    let url = format!("[store]\nurl = \"file:{}\"\n", file.display());
    builder.with(&format!("[session]\nttl = \"1h\"\n{url}"))
}

#[test]
fn the_file_is_made_for_its_owner_only() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sessions.db");
    let sidecar = with_store(Sidecar::before(&Backend::plain()), &file).start();
    assert_eq!(sidecar.count("cloakroom_store_up"), 1.0);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_cannot_be_used_is_one_line_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sessions.db");
    let refused = |file: &Path| {
        let (code, stderr) = with_store(Builder::new("http://127.0.0.1:1"), file).fail();
        assert_eq!(code, Some(2), "{stderr}");
        assert_eq!(stderr.matches("cloakroom: session file").count(), 1, "{stderr}");
        stderr
    };
    let stderr = refused(&folder.path().join("nowhere/sessions.db"));
    assert!(stderr.contains("its folder does not exist"), "{stderr}");
    std::fs::write(&file, "something else".repeat(100)).unwrap();
    assert!(refused(&file).contains("not a session file of cloakroom's"));
    std::fs::remove_file(&file).unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    assert!(refused(&file).contains("everybody can write to its folder"));
}

#[test]
fn a_reload_takes_what_it_can_and_names_what_needs_a_start() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sessions.db");
    let backend = Backend::saying();
    let builder = || with_store(Sidecar::before(&backend), &file);
    let mut volume = Volume::of(Way::Rename, "cloakroom.toml", &builder().text());
    let sidecar = builder().file(volume.path("cloakroom.toml")).start();
    let ticket = SetCookie::token(&sidecar.send(&say("Save", r#"{"n":1}"#)));
    let text = builder().text().replace("sessions.db", "other.db");
    let text = text.replace("ttl = \"1h\"\n", "max_bytes = 10\n");
    let more = "holds = \"revocations\"\nprefix = \"p:\"\ntimeout = \"1s\"\n";
    volume.put(&[("cloakroom.toml", &format!("{text}\n{more}"))]);
    sidecar.wait_for_log("reloaded", 0);
    let lines: Vec<serde_json::Value> =
        sidecar.log().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let keys: Vec<&str> = lines
        .iter()
        .filter(|line| line["message"] == "this changes with the next start only")
        .map(|line| line["key"].as_str().unwrap())
        .collect();
    let needed = "session.ttl, which the store needs";
    assert_eq!(keys, ["store.url", "store.holds", "store.prefix", needed]);
    // The session is where it was, and what could change has.
    assert_eq!(sidecar.get("/", Some(&ticket)).text(), r#"{"n":1}"#);
    let long = say("Save", r#"{"n":1234567890}"#).session(&ticket);
    assert_eq!(sidecar.send(&long).status(), 502);
    assert!(!folder.path().join("other.db").exists());
    // Without any store at all.
    volume.put(&[("cloakroom.toml", &Sidecar::before(&backend).text())]);
    sidecar.wait_for_log("reloaded", 1);
    assert_eq!(sidecar.get("/", Some(&ticket)).text(), r#"{"n":1}"#);
}

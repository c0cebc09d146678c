//! Stores with which the sidecar starts, and those with which it does not.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::{
    Answer, Backend, Builder, Request, SetCookie, Sidecar, Volume, Way, eventually, say,
};

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

/// The error for a file that cannot be used.
fn refused(file: &Path) -> String {
    let (code, stderr) = with_store(Builder::new("http://127.0.0.1:1"), file).fail();
    assert_eq!(code, Some(2), "{stderr}");
    assert_eq!(stderr.matches("cloakroom: session file").count(), 1, "{stderr}");
    stderr
}

#[test]
fn a_file_that_cannot_be_used_is_one_line_and_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sessions.db");
    let stderr = refused(&folder.path().join("nowhere/sessions.db"));
    assert!(stderr.contains("its directory does not exist"), "{stderr}");
    std::fs::write(&file, "something else".repeat(100)).unwrap();
    assert!(refused(&file).contains("not a session file of cloakroom's"));
    std::fs::remove_file(&file).unwrap();
    std::fs::set_permissions(folder.path(), Permissions::from_mode(0o777)).unwrap();
    assert!(refused(&file).contains("everybody can write to its directory"));
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
        .filter(|line| {
            line["message"] == "restart required: this change takes effect at the next start"
        })
        .map(|line| line["key"].as_str().unwrap())
        .collect();
    let needed = "session.ttl, which the store needs";
    assert_eq!(keys, ["store.url", "store.holds", "store.prefix", needed]);
    // The store is the same, but settings that can change have changed.
    assert_eq!(sidecar.get("/", Some(&ticket)).text(), r#"{"n":1}"#);
    let long = say("Save", r#"{"n":1234567890}"#).session(&ticket);
    assert_eq!(sidecar.send(&long).status(), 502);
    assert!(!folder.path().join("other.db").exists());
    // Without a store.
    volume.put(&[("cloakroom.toml", &Sidecar::before(&backend).text())]);
    sidecar.wait_for_log("reloaded", 1);
    assert_eq!(sidecar.get("/", Some(&ticket)).text(), r#"{"n":1}"#);
}

#[test]
fn a_file_of_a_later_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sessions.db");
    drop(with_store(Sidecar::before(&Backend::plain()), &file).start());
    let later = rusqlite::Connection::open(&file).unwrap();
    later.pragma_update(None, "user_version", 99).unwrap();
    drop(later);
    assert!(refused(&file).contains("written by a later version of cloakroom (layout 99, this"));
}

#[test]
fn a_damaged_file_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sessions.db");
    drop(with_store(Sidecar::before(&Backend::plain()), &file).start());
    let mut bytes = std::fs::read(&file).unwrap();
    let behind = bytes.len().min(200);
    bytes[behind..].fill(0x5A);
    std::fs::write(&file, &bytes).unwrap();
    assert!(refused(&file).contains("damaged: restore it from a backup"));
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
}

#[test]
fn a_file_that_goes_while_it_is_used_is_one_line_and_its_return_another() {
    let folder = tempfile::tempdir().unwrap();
    let (file, aside) = (folder.path().join("sessions.db"), folder.path().join("aside.db"));
    let backend = Backend::new(Answer::ok(&[("X-Session-Save", "{\"n\":1}")]));
    let sidecar = with_store(Sidecar::before(&backend), &file).start();
    let wait_for = |status: u16| {
        eventually("the answer to a save", || {
            (sidecar.send(&Request::get("/")).status() == status).then_some(())
        });
    };
    const GONE: &str = "the session file was moved, removed or replaced: put it back, or restart";
    const BACK: &str = "the session file is back";
    wait_for(200);
    for round in 0..2 {
        std::fs::rename(&file, &aside).unwrap();
        if round == 1 {
            // A copy in its place is not the same file.
            std::fs::copy(&aside, &file).unwrap();
        }
        (0..3).for_each(|_| wait_for(503));
        std::fs::rename(&aside, &file).unwrap();
        wait_for(200);
        sidecar.wait_for_log(GONE, round);
        sidecar.wait_for_log(BACK, round);
    }
    let log = sidecar.log();
    assert_eq!((log.matches(GONE).count(), log.matches(BACK).count()), (2, 2), "{log}");
}

//! The disk is full: sessions can be read and ended, saves are refused, and everything works again
//! when there is space.

use std::path::Path;
use std::process::Command;

use crate::backend::Echo;
use crate::support::{Builder, Message, Request, SetCookie, Sidecar, eventually};

/// A small file system in memory, mounted on its own folder.
struct Disk(tempfile::TempDir);

impl Disk {
    fn of(megabytes: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m,mode=0700"), "tmpfs"])
            .arg(folder.path())
            .status();
        assert!(mounted.is_ok_and(|status| status.success()), "a tmpfs takes root");
        Self(folder)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.path()).status();
    }
}

fn dict(number: usize) -> String {
    format!(r#"{{"number":{number},"notes":"{}"}}"#, "x".repeat(7000))
}

fn save(sidecar: &Sidecar, number: usize) -> Message {
    sidecar.send(&Request::get("/").with("Answer-X-Session-Save", dict(number)))
}

fn seen(sidecar: &Sidecar, ticket: &str) -> String {
    let answer = sidecar.get("/", Some(ticket));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.text().lines().nth(1).unwrap_or_default().to_owned()
}

#[test]
#[ignore = "it mounts a file system, which takes root: see tests/run"]
fn store_full() {
    let disk = Disk::of(4);
    let backend = Echo::start();
    let store = format!(
        "[store]\nurl = \"file:{}/sessions.db\"\ntimeout = \"5s\"\n",
        disk.path().display()
    );
    let sidecar = Builder::new(&backend.url())
        .forget_access()
        .with(&format!("{store}[session]\nttl = \"1h\"\n"))
        .start();
    // Filled by its own sessions.
    let mut tickets = Vec::new();
    let refused = loop {
        let answer = save(&sidecar, tickets.len());
        if answer.status() != 200 {
            break answer;
        }
        tickets.push(SetCookie::token(&answer));
        assert!(tickets.len() < 1000, "no end to 4 MB");
    };
    assert_eq!((refused.status(), SetCookie::of(&refused)), (503, None));
    assert!(tickets.len() > 100, "{}", tickets.len());
    for (number, ticket) in tickets.iter().enumerate() {
        assert_eq!(seen(&sidecar, ticket), dict(number));
    }
    let full = r#"cloakroom_store_errors_total{kind="full"}"#;
    assert!(sidecar.count(full) >= 1.0);
    // Log-outs free space.
    for ticket in tickets.drain(..50) {
        let log_out = Request::get("/").with("Answer-X-Session-Delete", "1").session(&ticket);
        let answer = sidecar.send(&log_out);
        assert!(answer.status() == 200 && SetCookie::of(&answer).unwrap().deletes());
        assert_eq!(seen(&sidecar, &ticket), "{}");
    }
    eventually("a save", || {
        let answer = save(&sidecar, 1000);
        (answer.status() == 200).then(|| tickets.push(SetCookie::token(&answer)))
    });
    // Filled by another file.
    let filler = disk.path().join("filler");
    let _ = std::fs::write(&filler, vec![0; 4 << 20]);
    let mut number = 2000;
    eventually("a save that is refused", || {
        number += 1;
        let answer = save(&sidecar, number);
        (answer.status() == 503).then_some(())
    });
    let last = tickets.last().unwrap();
    assert_eq!(seen(&sidecar, last), dict(1000));
    // There may be no space to write the end: then it must not be reported as done.
    let log_out = Request::get("/").with("Answer-X-Session-Delete", "1").session(last);
    let there = match sidecar.send(&log_out).status() {
        200 => "{}".into(),
        503 => dict(1000),
        status => panic!("{status}"),
    };
    assert_eq!(seen(&sidecar, last), there);
    std::fs::remove_file(&filler).unwrap();
    eventually("a save", || (save(&sidecar, 3000).status() == 200).then_some(()));
    let told = |text: &str| sidecar.log().matches(text).count();
    println!(
        "store_full: {} sessions of 7 kB in 4 MB, told {} times that it is full and {} that it is not",
        tickets.len(),
        told("the session file cannot be written"),
        told("the session file can be written again"),
    );
    drop(sidecar);
    // Without write access it cannot even be opened.
    let mount = Command::new("mount").args(["-o", "remount,ro"]).arg(disk.path()).status();
    assert!(mount.unwrap().success());
    let builder = Builder::new(&backend.url()).with(&format!("{store}[session]\nttl = \"1h\"\n"));
    let (code, said) = builder.fail();
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("sessions.db: cannot be written: make it and its directory writable"));
    assert_eq!(said.matches("cloakroom: session file").count(), 1, "{said}");
}

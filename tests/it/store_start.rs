//! A store: with which the sidecar starts, and with which it does not.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::support::{Backend, Builder, Sidecar};

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

//! Which files are opened, and the errors for the others.

use std::cell::Cell;
use std::os::unix::fs::PermissionsExt as _;

use super::*;

fn refused(path: &Path) -> String {
    FileStore::open(path, options(PATIENCE)).unwrap_err().to_string()
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(suffix);
    name.into()
}

#[test]
fn only_the_owner_can_read_the_file_and_those_beside_it() {
    let store = fixture();
    store.apply(create(1, row(1, "a")));
    for suffix in ["", "-wal", "-shm"] {
        assert_eq!(mode(&beside(&store.path, suffix)), 0o600, "{suffix}");
    }
}

#[test]
fn a_file_that_others_could_read_is_closed_to_them() {
    let Fixture { store, path, _folder } = fixture();
    drop(store);
    set_mode(&path, 0o644);
    let _store = FileStore::open(&path, options(PATIENCE)).unwrap();
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn nothing_is_left_beside_the_file_when_the_last_one_closes_it() {
    let Fixture { store, path, _folder } = fixture();
    wait(store.apply(create(1, row(1, "a")), NOW)).unwrap();
    let other = FileStore::open(&path, options(PATIENCE)).unwrap();
    drop(store);
    assert_eq!(wait(other.load(id(1), NOW)), Ok(Loaded::Found(row(1, "a"))));
    drop(other);
    assert!(!beside(&path, "-wal").exists());
    assert!(!beside(&path, "-shm").exists());
}

#[test]
fn a_folder_that_everybody_can_write_to_is_refused_and_links_do_not_hide_it() {
    let folder = TempDir::new().unwrap();
    let open = folder.path().join("open");
    std::fs::create_dir(&open).unwrap();
    set_mode(&open, 0o777);
    let path = open.join("sessions.db");
    let said = refused(&path);
    assert!(said.contains("everybody can write to its directory"), "{said}");
    assert!(said.contains("sessions.db"), "{said}");
    assert!(!path.exists());
    let link = folder.path().join("link.db");
    std::fs::write(&path, "").unwrap();
    std::os::unix::fs::symlink(&path, &link).unwrap();
    assert!(refused(&link).contains("everybody can write to its directory"));
    // As for upgrade_socket, a sticky bit does not help: another user could create the file first.
    set_mode(&open, 0o1777);
    assert!(refused(&path).contains("everybody can write to its directory"));
    set_mode(&open, 0o770);
    assert!(FileStore::open(&path, options(PATIENCE)).is_ok());
}

#[test]
fn what_is_no_session_file_says_what_it_is() {
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name);
    assert!(refused(&at("nowhere/sessions.db")).contains("directory does not exist"));
    std::fs::create_dir(at("folder")).unwrap();
    assert!(refused(&at("folder")).contains("not a file"));
    for garbage in ["x", &"garbage ".repeat(1000)] {
        std::fs::write(at("garbage"), garbage).unwrap();
        assert!(refused(&at("garbage")).contains("not a session file of cloakroom's"));
        assert_eq!(std::fs::read_to_string(at("garbage")).unwrap(), garbage);
    }
    let other = rusqlite::Connection::open(at("other")).unwrap();
    other.execute_batch("CREATE TABLE t(x)").unwrap();
    assert!(refused(&at("other")).contains("not a session file of cloakroom's"));
    other.execute_batch("PRAGMA application_id = 7; PRAGMA user_version = 1").unwrap();
    assert!(refused(&at("other")).contains("not a session file of cloakroom's"));
}

#[test]
fn an_empty_file_is_a_new_one() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sessions.db");
    std::fs::write(&path, "").unwrap();
    let store = FileStore::open(&path, options(PATIENCE)).unwrap();
    assert_eq!(wait(store.apply(create(1, row(1, "a")), NOW)), Ok(DONE));
}

#[test]
fn a_file_of_a_later_version_is_refused_and_not_changed() {
    let Fixture { store, path, _folder } = fixture();
    drop(store);
    let direct = rusqlite::Connection::open(&path).unwrap();
    direct.execute_batch("PRAGMA user_version = 2; PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(direct);
    let before = std::fs::read(&path).unwrap();
    let said = refused(&path);
    assert!(said.contains("a later version of cloakroom (layout 2, this one knows 1)"), "{said}");
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_damaged_file_is_refused() {
    let Fixture { store, path, _folder } = fixture();
    drop(store);
    let mut bytes = std::fs::read(&path).unwrap();
    // The first page's table of contents.
    bytes[100..200].fill(0xFF);
    std::fs::write(&path, bytes).unwrap();
    let said = refused(&path);
    assert!(said.contains("damaged: restore it from a backup"), "{said}");
}

#[test]
fn many_may_make_one_file_at_once() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("sessions.db");
    let stores: Vec<FileStore> = std::thread::scope(|scope| {
        let open = || FileStore::open(&path, options(PATIENCE)).unwrap();
        let opening: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
        opening.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    assert_eq!(wait(stores[0].apply(create(1, row(1, "a")), NOW)), Ok(DONE));
    for store in &stores {
        assert_eq!(wait(store.load(id(1), NOW)), Ok(Loaded::Found(row(1, "a"))));
    }
}

/// SQLite itself does not wait for this lock: each of two that open a new file at once may have it.
#[test]
fn a_file_that_another_process_is_about_to_write_without_a_log_is_waited_for() {
    let Fixture { store, path, _folder } = fixture();
    drop(store);
    let other = rusqlite::Connection::open(&path).unwrap();
    other.execute_batch("PRAGMA journal_mode = delete; BEGIN IMMEDIATE").unwrap();
    let place = Location::prepare(&path).unwrap();
    let attempts = Cell::new(0);
    let opened = schema::patiently(|| {
        attempts.set(attempts.get() + 1);
        let opened = schema::prepare(&place);
        if attempts.get() == 1 {
            assert!(matches!(opened, Err(Reason::Locked)));
            other.execute_batch("COMMIT").unwrap();
        }
        opened
    });
    assert!(opened.is_ok());
    assert_eq!(attempts.get(), 2);
}

//! Each kind of store, for tests that apply to all of them.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

use super::engine::{Cluster, Engine, Reply, Server};
use super::{Builder, Sidecar, eventually};

/// A time limit in `[store]` that calls keep on a busy machine too.
pub const PATIENT: &str = "timeout = \"5s\"\n";

/// A store for one test, in a private folder.
pub struct Home<'a> {
    folder: TempDir,
    kind: Kind<'a>,
    /// Separates tests that share a cluster.
    prefix: String,
}

enum Kind<'a> {
    File,
    Server(Box<Server>),
    Cluster(&'a Cluster),
}

impl<'a> Home<'a> {
    /// In a file.
    pub fn file() -> Self {
        Self::of(Kind::File)
    }

    /// In a server that keeps its data when it is killed.
    pub fn server(engine: Engine) -> Self {
        // Without compression, which could hide text from `bytes`.
        let server = Server::of(engine).append_only().set("rdbcompression no").start();
        Self::of(Kind::Server(Box::new(server)))
    }

    /// In a private part of a cluster.
    pub fn cluster(cluster: &'a Cluster) -> Self {
        Self::of(Kind::Cluster(cluster))
    }

    fn of(kind: Kind<'a>) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        let prefix = format!("test-{}:", COUNT.fetch_add(1, Ordering::Relaxed));
        Self { folder, kind, prefix }
    }

    /// The folder, also for other files of the test.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The file, if the store is one.
    pub fn path(&self) -> PathBuf {
        self.folder().join("sessions.db")
    }

    /// The table `[store]`; further keys may follow.
    pub fn store(&self) -> String {
        match &self.kind {
            Kind::File => format!("[store]\nurl = \"file:{}\"\n{PATIENT}", self.path().display()),
            Kind::Server(server) => format!("[store]\nurl = {:?}\n{PATIENT}", server.url()),
            Kind::Cluster(cluster) => format!(
                "[store]\nurl = {:?}\ntopology = \"cluster\"\nprefix = {:?}\n{PATIENT}",
                cluster.urls(),
                self.prefix
            ),
        }
    }

    /// The tables `[store]` and `[session]`; further keys may follow.
    pub fn tables(&self) -> String {
        format!("{}[session]\nttl = \"1h\"\nsubject = \"user\"\n", self.store())
    }

    /// Starts a sidecar with this store, and waits until it is connected.
    pub fn start(&self, builder: Builder) -> Sidecar {
        let sidecar = builder.start();
        if !matches!(self.kind, Kind::File) {
            eventually("a sidecar that is ready", || {
                (sidecar.admin("/readyz").status() == 200).then_some(())
            });
        }
        sidecar
    }

    /// Whether ended sessions stay ended if the server fails; a server without replicas cannot
    /// promise this.
    pub fn outlives_its_server(&self) -> bool {
        !matches!(self.kind, Kind::Server(_))
    }

    /// Makes the store unreachable.
    pub fn go_away(&self) {
        match &self.kind {
            Kind::File => fs::rename(self.path(), self.path().with_extension("away")).unwrap(),
            Kind::Server(server) => server.kill(),
            Kind::Cluster(_) => panic!("others use it"),
        }
    }

    /// Makes it reachable again, with its data.
    pub fn come_back(&self) {
        match &self.kind {
            Kind::File => fs::rename(self.path().with_extension("away"), self.path()).unwrap(),
            Kind::Server(server) => server.start(),
            Kind::Cluster(_) => panic!("others use it"),
        }
    }

    /// All its data, including names.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match &self.kind {
            Kind::File => {
                for entry in fs::read_dir(self.folder()).unwrap() {
                    bytes.extend(fs::read(entry.unwrap().path()).unwrap());
                }
            }
            Kind::Server(server) => {
                for key in server.keys() {
                    let Reply::Bytes(value) = server.ask(&["DUMP", &key]) else {
                        panic!("{key} has gone");
                    };
                    bytes.extend([key.as_bytes(), &value].concat());
                }
            }
            Kind::Cluster(_) => panic!("others use it"),
        }
        bytes
    }

    /// The revision of the only session in it.
    pub fn revision(&self) -> i64 {
        match &self.kind {
            Kind::File => {
                let file = rusqlite::Connection::open(self.path()).unwrap();
                file.query_row("SELECT rev FROM session", [], |row| row.get(0)).unwrap()
            }
            Kind::Server(server) => revision_in(server, &server.keys()),
            Kind::Cluster(cluster) => {
                let mut keys = cluster.keys();
                keys.retain(|key| key.starts_with(&self.prefix));
                let holder = |server: &&Server| !server.ask(&["GET", &keys[0]]).is_error();
                revision_in(cluster.servers.iter().find(holder).unwrap(), &keys)
            }
        }
    }
}

/// The first eight bytes of a value are its revision.
fn revision_in(server: &Server, keys: &[String]) -> i64 {
    let mut sessions = keys.iter().filter(|key| key.contains(":s:"));
    let (Some(key), None) = (sessions.next(), sessions.next()) else { panic!("{keys:?}") };
    let Reply::Bytes(value) = server.ask(&["GETRANGE", key, "0", "7"]) else { panic!("{key}") };
    i64::from_be_bytes(value.try_into().unwrap())
}

/// Makes a test of each function for each kind of store. Tests with Valkey are ignored by default,
/// because not every system has it.
#[allow(unused_macros, reason = "only tests/it has use for it")]
macro_rules! in_each_home {
    ($($name:ident)*) => {
        mod file {
            $(#[test] fn $name() { super::$name(&crate::support::Home::file()); })*
        }
        mod redis {
            use crate::support::{Home, engine::Engine};
            $(#[test] fn $name() { super::$name(&Home::server(Engine::Redis)); })*
        }
        mod valkey {
            use crate::support::{Home, engine::Engine};
            $(
                #[test]
                #[ignore = "it takes Valkey: see tests/run"]
                fn $name() { super::$name(&Home::server(Engine::Valkey)); }
            )*
        }
    };
}

/// Makes one test of all these functions, which use one cluster in turn.
#[allow(unused_macros, reason = "only tests/it has use for it")]
macro_rules! in_a_cluster {
    ($($name:ident)*) => {
        mod cluster {
            use crate::support::{Home, engine::{Cluster, Engine}};

            fn each(engine: Engine) {
                let cluster = Cluster::start(engine);
                $(
                    println!(stringify!($name));
                    super::$name(&Home::cluster(&cluster));
                )*
            }

            #[test]
            fn each_of_them_holds() {
                each(Engine::Redis);
            }

            #[test]
            #[ignore = "it takes Valkey: see tests/run"]
            fn each_of_them_holds_with_valkey() {
                each(Engine::Valkey);
            }
        }
    };
}

#[allow(unused_imports, reason = "only tests/it has use for them")]
pub(crate) use {in_a_cluster, in_each_home};

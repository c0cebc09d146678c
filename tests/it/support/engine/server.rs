//! A single server.

use std::fs::{self, File};
use std::io::Result;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::thread;

use tempfile::TempDir;

use super::port::Port;
use super::resp::{Link, Reply};
use super::{Engine, until};

/// The password of the tests' own user, if users have passwords.
const OPERATOR: &str = "of-the-tests";

/// A server under construction.
#[derive(Debug)]
pub struct Builder {
    engine: Engine,
    is_sentinel: bool,
    settings: String,
    tls: Option<Port>,
    has_users: bool,
}

/// A server that can be killed and restarted with the same address and data.
#[derive(Debug)]
pub struct Server {
    engine: Engine,
    is_sentinel: bool,
    folder: TempDir,
    port: Port,
    tls: Option<Port>,
    has_users: bool,
    child: Mutex<Option<Child>>,
}

impl Builder {
    /// Adds a line to its configuration file.
    pub fn set(mut self, line: &str) -> Self {
        self.settings.push_str(line);
        self.settings.push('\n');
        self
    }

    /// Writes each change to a file before answering, so that nothing is lost when it is killed.
    pub fn append_only(self) -> Self {
        self.set("appendonly yes\nappendfsync always")
    }

    /// Also listens with TLS, on another port, with this certificate.
    pub fn tls(mut self, cert: &Path, key: &Path) -> Self {
        let port = Port::free();
        let number = port.number();
        self.tls = Some(port);
        self.set(&format!(
            "tls-port {number}\ntls-cert-file {}\ntls-key-file {}\ntls-auth-clients no",
            cert.display(),
            key.display()
        ))
    }

    /// Accepts only client certificates of this authority.
    pub fn client_ca(self, ca: &Path) -> Self {
        let line = format!("tls-ca-cert-file {}\ntls-auth-clients yes", ca.display());
        self.set(&line)
    }

    /// Adds a user with this password and these rights, as in `ACL SETUSER`. Anonymous clients are
    /// then refused.
    pub fn user(mut self, name: &str, password: &str, rights: &str) -> Self {
        self.has_users = true;
        self.set(&format!("user {name} on >{password} {rights}"))
    }

    /// As a replica, logs in at its master as the user of the tests.
    pub fn replicates_as_operator(self) -> Self {
        self.set(&format!("masterauth {OPERATOR}"))
    }

    pub fn start(mut self) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let port = Port::free();
        if self.has_users {
            self = self.set(&format!("user default on >{OPERATOR} ~* &* +@all"));
        }
        // Changes of the configuration at run time are written to this file.
        let settings = format!(
            "bind 127.0.0.1\nport {}\ndir {}\nlogfile {}\nsave \"\"\n{}",
            port.number(),
            folder.path().display(),
            folder.path().join("log").display(),
            self.settings
        );
        let settings = match self.is_sentinel {
            true => settings.replace("save \"\"\n", ""),
            false => settings,
        };
        fs::write(folder.path().join("conf"), settings).unwrap();
        let Self { engine, is_sentinel, tls, has_users, .. } = self;
        let server =
            Server { engine, is_sentinel, folder, port, tls, has_users, child: Mutex::default() };
        server.start();
        server
    }
}

impl Server {
    pub fn of(engine: Engine) -> Builder {
        let settings = String::new();
        Builder { engine, is_sentinel: false, settings, tls: None, has_users: false }
    }

    pub(super) fn sentinel(engine: Engine) -> Builder {
        Builder { is_sentinel: true, ..Self::of(engine) }
    }

    pub fn engine(&self) -> Engine {
        self.engine
    }

    pub fn port(&self) -> u16 {
        self.port.number()
    }

    /// The process id, while it is running.
    pub fn id(&self) -> u32 {
        self.child().as_ref().expect("it runs").id()
    }

    /// The URL for a configuration, with the TLS port if it has one.
    pub fn url(&self) -> String {
        match &self.tls {
            Some(port) => self.url_of(port.number(), true),
            None => self.url_of(self.port(), false),
        }
    }

    /// The URL with another port: that of a proxy.
    pub fn url_at(&self, port: u16) -> String {
        self.url_of(port, self.tls.is_some())
    }

    fn url_of(&self, port: u16, tls: bool) -> String {
        format!("{}://127.0.0.1:{port}", self.engine.scheme(tls))
    }

    /// The port for clients, for a proxy in front of it.
    pub fn client_port(&self) -> u16 {
        self.tls.as_ref().map_or(self.port(), Port::number)
    }

    /// Sends a command on a new connection.
    pub fn ask<A: AsRef<[u8]>>(&self, words: &[A]) -> Reply {
        self.try_ask(words).unwrap_or_else(|error| panic!("{error}\n{}", self.log()))
    }

    /// The same, if the server may not answer.
    pub fn try_ask<A: AsRef<[u8]>>(&self, words: &[A]) -> Result<Reply> {
        self.link()?.ask(words)
    }

    /// Writes, and waits until a replica has the data.
    pub fn write_replicated<A: AsRef<[u8]>>(&self, words: &[A]) -> Reply {
        let mut link = self.link().unwrap();
        let reply = link.ask(words).unwrap();
        // WAIT only covers writes of this connection.
        assert_eq!(link.ask(&["WAIT", "1", "5000"]).unwrap().number(), 1);
        reply
    }

    /// A connection as the tests' own user.
    pub fn link(&self) -> Result<Link> {
        let mut link = Link::to(self.port())?;
        if self.has_users {
            link.ask(&["AUTH", "default", OPERATOR])?;
        }
        Ok(link)
    }

    /// Changes a setting while it runs.
    pub fn configure(&self, name: &str, value: &str) {
        assert_eq!(self.ask(&["CONFIG", "SET", name, value]).text(), "OK", "{name} {value}");
    }

    /// A line of `INFO`: `role`, `connected_clients`, `used_memory`.
    pub fn info(&self, name: &str) -> String {
        let info = self.ask(&["INFO", "everything"]).text();
        let mut lines = info.lines().filter_map(|line| line.split_once(':'));
        let line = lines.find(|(key, _)| *key == name);
        line.unwrap_or_else(|| panic!("no {name} in {info}")).1.to_owned()
    }

    /// All key names.
    pub fn keys(&self) -> Vec<String> {
        self.ask(&["KEYS", "*"]).list().iter().map(Reply::text).collect()
    }

    /// Sends `STOP` or `CONT`, to make it hang and continue.
    pub fn signal(&self, name: &str) {
        let kill = Command::new("kill").arg(format!("-{name}")).arg(self.id().to_string()).status();
        assert!(kill.is_ok_and(|status| status.success()), "kill -{name}");
    }

    /// Kills it, as in a power failure, except that the system still writes its data.
    pub fn kill(&self) {
        let mut child = self.child().take().expect("it runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Restarts it with the same address and data, and waits until it answers.
    pub fn start(&self) {
        self.spawn();
        until("a server that answers", || {
            let ended = self.child().as_mut().expect("it runs").try_wait().unwrap();
            if let Some(status) = ended {
                panic!("{:?}: {status}\n{}", self.engine, self.log());
            }
            self.try_ask(&["PING"]).is_ok_and(|reply| reply.text() == "PONG")
        });
    }

    /// Starts it without waiting.
    pub fn spawn(&self) {
        assert!(self.child().is_none(), "it runs");
        let mut command = Command::new(self.engine.binary());
        command.arg(self.file("conf"));
        if self.is_sentinel {
            command.arg("--sentinel");
        }
        let errors = File::create(self.file("errors")).unwrap();
        let child = command
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(errors.try_clone().unwrap())
            .stderr(errors)
            .spawn();
        let child = child.unwrap_or_else(|error| {
            panic!("{:?} does not start: {error}: {}", self.engine, self.engine.remedy())
        });
        *self.child() = Some(child);
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap()
    }

    /// A file in its folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Its log.
    pub fn log(&self) -> String {
        ["errors", "log"]
            .map(|name| fs::read_to_string(self.file(name)).unwrap_or_default())
            .concat()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.get_mut().ok().and_then(Option::take) {
            let _ = child.kill();
            let _ = child.wait();
        }
        if thread::panicking() {
            eprintln!("--- the log of {:?} at {} ---\n{}", self.engine, self.port(), self.log());
        }
    }
}

//! Starts the real binary with the test's own configuration.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::log::Log;
use super::sidecar::Sidecar;
use super::{SECRET, WAIT};

/// A configuration under construction.
pub struct Builder {
    listen: String,
    listeners: usize,
    backend: String,
    top: String,
    log: String,
    admin: String,
    keys: String,
    tables: String,
    env: Vec<(String, String)>,
    file: Option<PathBuf>,
    arguments: Vec<String>,
    keeps_access: bool,
    descriptors: Option<usize>,
}

impl Builder {
    /// In front of the backend at this URL.
    pub fn new(backend: &str) -> Self {
        Self {
            listen: r#""127.0.0.1:0""#.into(),
            listeners: 1,
            backend: backend.into(),
            top: String::new(),
            log: "format = \"json\"\n".into(),
            admin: "listen = \"127.0.0.1:0\"\n".into(),
            keys: format!("[[keys]]\nsecret = \"{SECRET}\"\n"),
            tables: String::new(),
            env: Vec::new(),
            file: None,
            arguments: Vec::new(),
            keeps_access: true,
            descriptors: None,
        }
    }

    /// Replaces `listen` by a TOML array of these addresses.
    pub fn listen(mut self, addresses: &[String]) -> Self {
        self.listen = format!("{addresses:?}");
        self.listeners = addresses.len();
        self
    }

    /// Expects this number of further listeners, which `[tls]` names.
    pub fn tls_listeners(mut self, count: usize) -> Self {
        self.listeners += count;
        self
    }

    /// Adds top-level keys.
    pub fn top(mut self, lines: &str) -> Self {
        self.top.push_str(lines);
        self.top.push('\n');
        self
    }

    /// Adds tables: `[session]`, `[[routes]]` and so on.
    pub fn with(mut self, tables: &str) -> Self {
        self.tables.push_str(tables);
        self.tables.push('\n');
        self
    }

    /// Adds to `[log]`.
    pub fn log(mut self, lines: &str) -> Self {
        self.log.push_str(lines);
        self.log.push('\n');
        self
    }

    /// Adds to `[admin]`.
    #[allow(dead_code, reason = "only tests/it has use for it")]
    pub fn admin(mut self, lines: &str) -> Self {
        self.admin.push_str(lines);
        self.admin.push('\n');
        self
    }

    /// Replaces every `[[keys]]`.
    pub fn keys(mut self, tables: &str) -> Self {
        tables.clone_into(&mut self.keys);
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Uses this existing file instead of the text built here.
    pub fn file(mut self, path: PathBuf) -> Self {
        self.file = Some(path);
        self
    }

    /// Adds an argument to the command line.
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Drops access lines from the log as they arrive.
    #[allow(dead_code, reason = "only tests/faults has loads")]
    pub fn forget_access(mut self) -> Self {
        self.keeps_access = false;
        self
    }

    /// Limits the number of file descriptors.
    #[allow(dead_code, reason = "only tests/faults takes them away")]
    pub fn descriptors(mut self, most: usize) -> Self {
        self.descriptors = Some(most);
        self
    }

    /// The text of the file.
    pub fn text(&self) -> String {
        let Self { listen, backend, top, log, admin, keys, tables, .. } = self;
        format!(
            "listen = {listen}\nbackend = \"{backend}\"\n{top}\n[admin]\n{admin}\n\
             [log]\n{log}\n{keys}\n{tables}"
        )
    }

    /// Starts it and waits until every listener is ready.
    pub fn start(self) -> Sidecar {
        let directory = tempfile::tempdir().unwrap();
        let begun = Instant::now();
        let mut child = self.spawn(directory.path());
        let log =
            if self.keeps_access { Log::of(&mut child) } else { Log::without_access(&mut child) };
        Sidecar::of(child, log, directory, begun, self.listeners)
    }

    /// Starts it, expecting that it exits: its exit code and standard error. None if it keeps
    /// running.
    pub fn fail(self) -> (Option<i32>, String) {
        let directory = tempfile::tempdir().unwrap();
        let mut child = self.spawn(directory.path());
        let log = Log::of(&mut child);
        let begun = Instant::now();
        let code = loop {
            if let Some(status) = child.try_wait().expect("a child") {
                break status.code();
            }
            if begun.elapsed() > WAIT || log.text().contains("cloakroom is up") {
                child.kill().expect("a child");
                child.wait().expect("a child");
                break None;
            }
            thread::sleep(Duration::from_millis(5));
        };
        log.wait_for_end();
        (code, log.text())
    }

    fn spawn(&self, directory: &Path) -> Child {
        let file = self.file.clone().unwrap_or_else(|| {
            let file = directory.join("cloakroom.toml");
            std::fs::write(&file, self.text()).unwrap();
            file
        });
        let binary = env!("CARGO_BIN_EXE_cloakroom");
        let mut command = match self.descriptors {
            Some(most) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("ulimit -n {most}; exec \"$0\" \"$@\""), binary]);
                shell
            }
            None => Command::new(binary),
        };
        command
            .arg("run")
            .arg("--config")
            .arg(&file)
            .args(&self.arguments)
            .envs(self.env.iter().cloned())
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts")
    }
}

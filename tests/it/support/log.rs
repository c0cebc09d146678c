//! The log of a process, as it is written.

use std::io::{BufRead as _, BufReader};
use std::process::Child;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};
use serde_json::Value;

use super::WAIT;

/// The standard error of a process.
pub struct Log(Arc<Lines>);

#[derive(Default)]
struct Lines {
    state: Mutex<(Vec<String>, bool)>,
    changed: Condvar,
    /// Held while reading is stalled.
    reading: Mutex<()>,
}

impl Log {
    /// The whole log.
    pub fn of(child: &mut Child) -> Self {
        Self::with(child, |_| true)
    }

    /// Without access lines, which would fill the memory under load.
    pub fn without_access(child: &mut Child) -> Self {
        Self::with(child, |line| !line.contains(r#""target":"cloakroom::access""#))
    }

    fn with(child: &mut Child, keeps: fn(&str) -> bool) -> Self {
        let stderr = child.stderr.take().expect("standard error");
        let lines = Arc::new(Lines::default());
        let collected = Arc::clone(&lines);
        thread::spawn(move || {
            for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
                let line = String::from_utf8_lossy(&line);
                drop(collected.reading.lock());
                if keeps(&line) {
                    collected.add(line.into_owned());
                }
            }
            collected.state.lock().1 = true;
            collected.changed.notify_all();
        });
        Self(lines)
    }

    /// Stops reading while the result lives.
    pub fn stall(&self) -> impl Sized + '_ {
        self.0.reading.lock()
    }

    /// All of it so far.
    pub fn text(&self) -> String {
        self.0.state.lock().0.join("\n")
    }

    /// The lines that are JSON.
    pub fn lines(&self) -> Vec<Value> {
        let state = self.0.state.lock();
        state.0.iter().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// Waits for the line number `number` with this message, counted from 0.
    pub fn wait(&self, message: &str, number: usize) -> Value {
        let begun = Instant::now();
        let mut state = self.0.state.lock();
        loop {
            let lines = state.0.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            if let Some(line) = lines.filter(|line| line["message"] == message).nth(number) {
                return line;
            }
            let said = || state.0.join("\n");
            assert!(!state.1, "the sidecar ended without {message:?}:\n{}", said());
            assert!(begun.elapsed() < WAIT, "no {message:?} within {WAIT:?}:\n{}", said());
            self.0.changed.wait_for(&mut state, WAIT / 10);
        }
    }

    /// Waits until the process closes its standard error.
    pub fn wait_for_end(&self) {
        let mut state = self.0.state.lock();
        self.0.changed.wait_while_for(&mut state, |state| !state.1, WAIT);
        assert!(state.1, "standard error stays open");
    }
}

impl Lines {
    fn add(&self, line: String) {
        self.state.lock().0.push(line);
        self.changed.notify_all();
    }
}

//! Ports that a server can reuse after a restart: a port chosen by the system might be taken by
//! then.

use std::fs::{self, File};
use std::net::TcpListener;
use std::sync::atomic::{AtomicU16, Ordering};

/// Below the range from which the system chooses.
const FIRST: u16 = 20_000;
const COUNT: u16 = 10_000;

/// A port of 127.0.0.1 reserved among all tests and processes while this lives.
#[derive(Debug)]
pub struct Port {
    number: u16,
    _lock: File,
}

impl Port {
    pub fn free() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let folder = std::env::temp_dir().join("cloakroom-tests-ports");
        fs::create_dir_all(&folder).unwrap();
        // The first port to try, different for each process.
        let start = std::process::id() as u16 % 250 * 40;
        for _ in 0..COUNT {
            let number = FIRST + (start + NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT;
            let lock = File::create(folder.join(number.to_string())).unwrap();
            if lock.try_lock().is_ok() && TcpListener::bind(("127.0.0.1", number)).is_ok() {
                return Self { number, _lock: lock };
            }
        }
        panic!("no port is free from {FIRST} on");
    }

    pub fn number(&self) -> u16 {
        self.number
    }
}

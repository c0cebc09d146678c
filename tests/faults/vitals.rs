//! The resources of a process, from /proc.

use std::fs;
use std::time::Duration;

/// The values at one time.
#[derive(Clone, Copy, Debug)]
pub struct Vitals {
    /// Resident memory in bytes: current and maximum.
    pub rss: u64,
    pub peak_rss: u64,
    /// Open descriptors.
    pub descriptors: usize,
    pub threads: u64,
    /// User and system time so far.
    pub cpu: Duration,
}

impl Vitals {
    pub fn of(process: u32) -> Self {
        let read = |name: &str| fs::read_to_string(format!("/proc/{process}/{name}")).unwrap();
        let status = read("status");
        let number = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).expect(name);
            let number = line.trim_start_matches(':').split_whitespace().next().expect(name);
            number.parse::<u64>().expect(name)
        };
        // The process name in parentheses may contain spaces.
        let stat = read("stat");
        let (_, stat) = stat.rsplit_once(')').expect("a name");
        let ticks = |field: usize| {
            let field = stat.split_whitespace().nth(field).expect("a field");
            field.parse::<u64>().expect("a number")
        };
        Self {
            rss: number("VmRSS") * 1024,
            peak_rss: number("VmHWM") * 1024,
            descriptors: fs::read_dir(format!("/proc/{process}/fd")).unwrap().count(),
            threads: number("Threads"),
            // A tick is 10 ms on every Linux.
            cpu: Duration::from_millis((ticks(11) + ticks(12)) * 10),
        }
    }
}

/// `12.3 MB`
pub fn megabytes(bytes: u64) -> String {
    format!("{:.1} MB", bytes as f64 / 1e6)
}

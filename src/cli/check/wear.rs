//! Warns about keys that have sealed too much and should be replaced. Asks the running sidecar,
//! which counts the seals.

use std::io::{Read, Write};
use std::time::Duration;

use crate::cli::health::{connect_tcp, connect_unix};
use crate::config::{Config, Listen};
use crate::keys::MANY_SEALS;
use crate::keys::source::KeySpec;

/// The time limit for each step; no answer is not an error.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Larger than all metrics.
const MOST_BYTES: u64 = 4 * 1024 * 1024;

/// The warnings, one line per key. None if the sidecar is not running or has no admin listener.
pub(super) fn warnings(config: &Config) -> Vec<String> {
    let Some(admin) = &config.admin else { return Vec::new() };
    if !config.keys.iter().any(|key| key.algorithm.seals()) {
        return Vec::new();
    }
    metrics(admin).map(|text| worn(&config.keys, &text)).unwrap_or_default()
}

fn worn(keys: &[KeySpec], metrics: &str) -> Vec<String> {
    let mut warnings = Vec::new();
    for (index, key) in keys.iter().enumerate().filter(|(_, key)| key.algorithm.seals()) {
        let number = (index + 1).to_string();
        let label = key.id.as_deref().unwrap_or(&number);
        let seals = seals(label, metrics);
        if seals >= MANY_SEALS {
            warnings.push(format!(
                "key {label} has sealed {seals} sessions since the sidecar started, and {MANY_SEALS} \
                 are enough: replace it with cloakroom key rotate"
            ));
        }
    }
    warnings
}

fn seals(label: &str, metrics: &str) -> u64 {
    let label = label.replace('\\', r"\\").replace('"', "\\\"").replace('\n', "\\n");
    let series = format!("cloakroom_key_uses_total{{key=\"{label}\",use=\"sign\"}} ");
    let value = metrics.lines().find_map(|line| line.strip_prefix(series.as_str()));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or(0)
}

fn metrics(admin: &Listen) -> std::io::Result<String> {
    match admin {
        Listen::Tcp(address) => ask(connect_tcp(*address, TIMEOUT)?),
        Listen::Unix(path) => ask(connect_unix(path, TIMEOUT)?),
    }
}

fn ask(mut stream: impl Read + Write) -> std::io::Result<String> {
    stream.write_all(b"GET /metrics HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    stream.take(MOST_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;
    use crate::config::file::{Overrides, parse};
    use std::net::TcpListener;
    use std::path::Path;

    fn config(admin: &str) -> Config {
        let sealing = "algorithm = 'A256GCM'\nsecret_env = 'A'\n";
        let text = format!(
            "listen = '[::1]:0'\nbackend = 'http://app'\n\
             [[keys]]\nid = 'a\"\\b'\n{sealing}[[keys]]\nsecret_env = 'B'\n\
             [[keys]]\n{sealing}[[keys]]\nid = 'young'\n{sealing}{admin}"
        );
        parse(&text, Path::new("f"), &Overrides::default()).unwrap().config
    }

    const METRICS: &str = "# TYPE cloakroom_key_uses_total counter\n\
        cloakroom_key_uses_total{key=\"a\\\"\\\\b\",use=\"sign\"} 2147483648\n\
        cloakroom_key_uses_total{key=\"a\\\"\\\\b\",use=\"verify\"} 7\n\
        cloakroom_key_uses_total{key=\"2\",use=\"sign\"} 9000000000\n\
        cloakroom_key_uses_total{key=\"3\",use=\"sign\"} 2147483647\n\
        cloakroom_key_uses_total{key=\"3\",use=\"verify\"} 9000000000\n";

    #[test]
    fn a_key_that_has_sealed_very_many_is_named_and_no_other() {
        let warnings = worn(&config("").keys, METRICS);
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        assert!(
            warnings[0].starts_with("key a\"\\b has sealed 2147483648 sessions"),
            "{warnings:?}"
        );
    }

    #[test]
    fn the_running_sidecar_is_asked() {
        let admin = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = admin.local_addr().unwrap();
        let config = config(&format!("[admin]\nlisten = '{address}'\n"));
        let server = std::thread::spawn(move || {
            let (mut stream, _) = admin.accept().unwrap();
            let mut request = [0; 64];
            let length = stream.read(&mut request).unwrap();
            assert!(request[..length].starts_with(b"GET /metrics HTTP/1.0\r\n"));
            write!(stream, "HTTP/1.0 200 OK\r\n\r\n{METRICS}").unwrap();
        });
        assert_eq!(warnings(&config).len(), 1);
        server.join().unwrap();
        // The server has stopped.
        assert!(warnings(&config).is_empty());
    }
}

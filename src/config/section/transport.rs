//! `[tls]`, `[backend_tls]`, `[health_check]`, and the settings of sockets.

use std::path::PathBuf;

use toml::Value;

use crate::config::expected::Expected;
use crate::config::reader::{Place, Read, Table};
use crate::config::value::{file_path, from_text, some_time, whole, word};
use crate::config::{BackendTls, HealthCheck, Listen, TlsFiles};

/// `[tls]`, with the position of each listener.
pub(in crate::config) struct Tls {
    pub(in crate::config) files: TlsFiles,
    pub(in crate::config) listen: Vec<(Place, Listen)>,
}

pub(in crate::config) fn tls(table: &mut Table<'_, '_>) -> Read<Option<Tls>> {
    let line = table.place().line();
    let cert = table.discreet("cert", file_path);
    let key = table.discreet("key", file_path);
    let listen = table.one_or_more("listen", from_text::<Listen>);
    let (cert, key, listen) = (cert?, key?, listen?.unwrap_or_default());
    match (cert, key) {
        (Some(cert), Some(key)) => Ok(Some(Tls { files: TlsFiles { cert, key, line }, listen })),
        (None, None) if listen.is_empty() => Ok(None),
        (cert, _) => {
            let missing = if cert.is_some() { "key" } else { "cert" };
            Err(table.missing(missing, "a PEM file; TLS needs both cert and key"))
        }
    }
}

pub(in crate::config) fn backend_tls(table: &mut Table<'_, '_>) -> Read<BackendTls> {
    let ca_file = table.discreet("ca_file", file_path);
    let server_name = table.optional("server_name", server_name);
    let line = table.at("ca_file").line();
    Ok(BackendTls { ca_file: ca_file?, server_name: server_name?, line })
}

pub(in crate::config) fn health_check(table: &mut Table<'_, '_>) -> Read<Option<HealthCheck>> {
    let path = table.optional("path", target);
    let interval = table.or("interval", "5s", some_time);
    let timeout = table.or("timeout", "2s", some_time);
    let failures = table.or("failures", 2, whole(1..=1000));
    let (interval, timeout, failures) = (interval?, timeout?, failures?);
    Ok(path?.map(|path| HealthCheck { path, interval, timeout, failures }))
}

/// `"0660"`: octal digits, as for chmod.
pub(in crate::config) fn socket_mode(value: &Value) -> Result<u32, Expected> {
    let digits = value.as_str().filter(|text| matches!(text.len(), 3 | 4));
    digits
        .filter(|text| text.bytes().all(|byte| (b'0'..=b'7').contains(&byte)))
        .and_then(|text| u32::from_str_radix(text, 8).ok())
        .filter(|mode| *mode <= 0o777)
        .ok_or(Expected::SocketMode)
}

/// Must be absolute, so that it does not depend on the working directory.
pub(in crate::config) fn absolute_path(value: &Value) -> Result<PathBuf, Expected> {
    let path = path(value)?;
    // The maximum length of a socket's path.
    let fits = path.is_absolute() && path.as_os_str().len() <= 107;
    if fits { Ok(path) } else { Err(Expected::SocketPath) }
}

fn path(value: &Value) -> Result<PathBuf, Expected> {
    word(value).map(PathBuf::from)
}

/// A name or an address, as in certificates.
fn server_name(value: &Value) -> Result<String, Expected> {
    let name = word(value)?;
    match tokio_rustls::rustls::pki_types::ServerName::try_from(name.as_str()) {
        Ok(_) => Ok(name),
        Err(_) => Err(Expected::ServerName),
    }
}

/// A path with an optional query (RFC 9112 section 3.2.1).
fn target(value: &Value) -> Result<String, Expected> {
    let target = word(value)?;
    let fits = target.starts_with('/') && target.bytes().all(|byte| byte.is_ascii_graphic());
    if fits { Ok(target) } else { Err(Expected::Target) }
}

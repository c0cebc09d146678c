//! `[store]` with Redis or Valkey: the servers and the connection settings.

use std::path::PathBuf;

use toml::Value;

use crate::config::address::host_and_port;
use crate::config::expected::Expected;
use crate::config::reader::{Place, Read, Table};
use crate::config::value::{choice, file_path, word};
use crate::store::server::{Node, ServerSpec, Topology};

/// The servers in `url`.
pub(super) struct Servers {
    /// Port 0 if none is given.
    nodes: Vec<Node>,
    tls: bool,
    database: u16,
}

const SCHEMES: [(&str, bool); 4] =
    [("redis", false), ("rediss", true), ("valkey", false), ("valkeys", true)];

/// Keys for connections to servers.
const KEYS: [&str; 9] = [
    "topology",
    "master",
    "username",
    "password_file",
    "sentinel_username",
    "sentinel_password_file",
    "ca_file",
    "client_cert",
    "client_key",
];

/// The default port.
const PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// Refuses the keys for servers if `url` names none.
pub(super) fn refuse_keys(table: &mut Table<'_, '_>, is_file: bool) {
    for key in KEYS {
        let message =
            format!("store.{key} is for a server: remove it, because store.url is a file");
        table.refuse_key(key, is_file.then_some(message.as_str()));
    }
}

/// The servers in `url`; None if it does not name servers.
pub(super) fn servers(value: &Value) -> Option<Result<Servers, Expected>> {
    let urls = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    let is_server = |value: &Value| {
        let scheme = value.as_str().and_then(|text| text.split_once(':'));
        scheme.is_some_and(|(scheme, _)| SCHEMES.iter().any(|(name, _)| *name == scheme))
    };
    urls.iter().any(is_server).then(|| all(urls))
}

fn all(urls: &[Value]) -> Result<Servers, Expected> {
    if !cfg!(feature = "redis") {
        return Err(Expected::StoreFileAsBuilt);
    }
    let mut all: Option<Servers> = None;
    for url in urls {
        let one = one(url)?;
        match &mut all {
            None => all = Some(one),
            Some(all) if (all.tls, all.database) != (one.tls, one.database) => {
                return Err(Expected::StoreServersAlike);
            }
            Some(all) => all.nodes.extend(one.nodes),
        }
    }
    all.ok_or(Expected::StoreServer)
}

/// `redis://host:port/database`
fn one(url: &Value) -> Result<Servers, Expected> {
    let text = word(url).map_err(|_| Expected::StoreServer)?;
    let (scheme, rest) = text.split_once("://").ok_or(Expected::StoreServer)?;
    let tls = SCHEMES.iter().find(|(name, _)| *name == scheme).map(|(_, tls)| *tls);
    let tls = tls.ok_or(Expected::StoreServer)?;
    if rest.contains('@') {
        return Err(Expected::StoreServerWithoutCredentials);
    }
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let database = match database {
        "" => 0,
        digits if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map_err(|_| Expected::StoreServer)?
        }
        _ => return Err(Expected::StoreServerWithDatabase),
    };
    if authority.contains(['?', '#']) {
        return Err(Expected::StoreServer);
    }
    let (host, port) = host_and_port(authority, 0)?;
    Ok(Servers { nodes: vec![Node { host, port }], tls, database })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Single,
    Sentinel,
    Cluster,
}

/// Reads the other keys for servers.
pub(super) fn spec(table: &mut Table<'_, '_>, servers: Servers, url: &Place) -> Read<ServerSpec> {
    let kinds =
        [("single", Kind::Single), ("sentinel", Kind::Sentinel), ("cluster", Kind::Cluster)];
    let kind = table.or("topology", "single", choice(&kinds));
    let master = table.optional("master", word);
    let username = table.optional("username", word);
    let password_file = table.discreet("password_file", file_path);
    let sentinel_username = table.optional("sentinel_username", word);
    let sentinel_password_file = table.discreet("sentinel_password_file", file_path);
    let ca_file = table.discreet("ca_file", file_path);
    let client_cert = table.discreet("client_cert", file_path);
    let client_key = table.discreet("client_key", file_path);
    refuse_unfit(table, &servers, kind.as_ref().ok().copied(), url);
    let client = both(table, "client_cert", client_cert?, "client_key", client_key?);
    let (kind, master, username) = (kind?, master?, username?);
    let (password_file, ca_file) = (password_file?, ca_file?);
    let (sentinel_username, sentinel_password_file) = (sentinel_username?, sentinel_password_file?);
    let topology = match kind {
        Kind::Single => Topology::Single,
        Kind::Cluster => Topology::Cluster,
        Kind::Sentinel => match master {
            Some(master) => Topology::Sentinel { master },
            None => return Err(table.missing("master", "the name that the sentinels know it by")),
        },
    };
    let default = if kind == Kind::Sentinel { SENTINEL_PORT } else { PORT };
    let Servers { mut nodes, tls, database } = servers;
    for node in nodes.iter_mut().filter(|node| node.port == 0) {
        node.port = default;
    }
    let client = client?;
    Ok(ServerSpec {
        nodes,
        topology,
        tls,
        database,
        username,
        password_file,
        sentinel_username,
        sentinel_password_file,
        ca_file,
        client,
        line: url.line(),
    })
}

fn both(
    table: &mut Table<'_, '_>,
    one: &str,
    first: Option<PathBuf>,
    other: &str,
    second: Option<PathBuf>,
) -> Read<Option<(PathBuf, PathBuf)>> {
    match (first, second) {
        (Some(first), Some(second)) => Ok(Some((first, second))),
        (None, None) => Ok(None),
        (Some(_), None) => {
            Err(table.missing(other, &format!("the file that belongs to store.{one}")))
        }
        (None, Some(_)) => {
            Err(table.missing(one, &format!("the file that belongs to store.{other}")))
        }
    }
}

/// Refuses keys that conflict.
fn refuse_unfit(table: &mut Table<'_, '_>, servers: &Servers, kind: Option<Kind>, url: &Place) {
    let Some(kind) = kind else { return };
    let mut refuse = |key: &str, message: &str| {
        if table.has(key) {
            let place = table.at(key);
            table.document().consequence(&place, format!("store.{key} {message}"));
        }
    };
    if kind != Kind::Sentinel {
        for key in ["master", "sentinel_username", "sentinel_password_file"] {
            refuse(key, "is for store.topology = \"sentinel\"");
        }
    }
    if !servers.tls {
        for key in ["ca_file", "client_cert", "client_key"] {
            refuse(key, "is for TLS: store.url = \"rediss://…\" or \"valkeys://…\"");
        }
    }
    for (name, password) in
        [("username", "password_file"), ("sentinel_username", "sentinel_password_file")]
    {
        if table.has(name) && !table.has(password) {
            table.missing(password, &format!("the file with the password of store.{name}"));
        }
    }
    if kind == Kind::Single && servers.nodes.len() > 1 {
        let message = "store.url names several servers: store.topology has to say whether they are \
                       sentinels (\"sentinel\") or nodes of a cluster (\"cluster\")";
        table.document().consequence(url, message);
    }
    if kind == Kind::Cluster && servers.database != 0 {
        let message = "store.url names a database, and a cluster has none but 0";
        table.document().consequence(url, message);
    }
}

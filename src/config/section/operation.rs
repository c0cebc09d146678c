//! `trusted_proxies`, `strip`, `odd_header_names`, `[log]`, `[admin]`, `[limits]` and `[timeouts]`.

use log::LevelFilter;

use crate::config::expected::Expected;
use crate::config::reader::{Place, Read, Table};
use crate::config::value::{choice, file_path, from_text, seconds, some_time, text, truth, whole};
use crate::config::{Limits, Listen, Log, LogFormat, OddNames, Timeouts, TokenFile};
use crate::session::header::FieldName;
use crate::visit::forwarded::TrustedProxies;

pub(in crate::config) fn trusted_proxies(table: &mut Table<'_, '_>) -> Read<TrustedProxies> {
    let entries =
        table.list("trusted_proxies", "an array of networks such as \"10.0.0.0/8\"", text)?;
    let (places, entries): (Vec<Place>, Vec<String>) = entries.into_iter().unzip();
    TrustedProxies::new(&entries).map_err(|faults| {
        table.document().faults(faults.into_iter().filter_map(|(index, expected)| {
            let place = places.get(index)?;
            Some((place.clone(), format!("{}: expected {expected}", place.path())))
        }))
    })
}

/// Requests do not work without these.
const NEEDED: [&str; 13] = [
    "Connection",
    "Content-Length",
    "Content-Type",
    "Cookie",
    "Expect",
    "Forwarded",
    "Host",
    "Transfer-Encoding",
    "Upgrade",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Proto",
    "X-Request-Id",
];

pub(in crate::config) fn strip(table: &mut Table<'_, '_>) -> Read<Vec<FieldName>> {
    let name = |value: &toml::Value| {
        let field = FieldName::parse(value.as_str().unwrap_or_default())?;
        match NEEDED.iter().find(|name| field.is_alias(name.as_bytes())) {
            Some(name) => Err(Expected::NeedlessField(name)),
            None => Ok(field),
        }
    };
    let names = table.list("strip", "an array of header names such as \"X-Remote-User\"", name)?;
    Ok(names.into_iter().map(|(_, name)| name).collect())
}

pub(in crate::config) fn odd_header_names(table: &mut Table<'_, '_>) -> Read<OddNames> {
    let choices =
        [("remove", OddNames::Remove), ("refuse", OddNames::Refuse), ("pass", OddNames::Pass)];
    table.or("odd_header_names", "remove", choice(&choices))
}

pub(in crate::config) fn log(table: &mut Table<'_, '_>) -> Read<Log> {
    let formats = [("json", LogFormat::Json), ("text", LogFormat::Text)];
    let levels = [
        ("off", LevelFilter::Off),
        ("error", LevelFilter::Error),
        ("warn", LevelFilter::Warn),
        ("info", LevelFilter::Info),
        ("debug", LevelFilter::Debug),
        ("trace", LevelFilter::Trace),
    ];
    let format = table.or("format", "json", choice(&formats));
    let level = table.or("level", "info", choice(&levels));
    let access = table.or("access", true, truth);
    let user = table.or("user", false, truth);
    let trace = table.or("trace", false, truth);
    Ok(Log { format: format?, level: level?, access: access?, user: user?, trace: trace? })
}

/// `[admin]`
pub(in crate::config) struct Admin {
    pub(in crate::config) listen: Option<(Place, Listen)>,
    pub(in crate::config) token_file: Option<TokenFile>,
}

pub(in crate::config) fn admin(table: &mut Table<'_, '_>) -> Read<Admin> {
    let listen = table.optional("listen", from_text::<Listen>);
    let token_file = table.discreet("token_file", file_path);
    let (listen, token_file) = (listen?, token_file?);
    if token_file.is_some() && listen.is_none() {
        let example =
            "admin.token_file needs an address to listen on, e.g. listen = \"127.0.0.1:9090\"";
        return Err(table.missing("listen", example));
    }
    let line = table.at("token_file").line();
    Ok(Admin {
        listen: listen.map(|listen| (table.at("listen"), listen)),
        token_file: token_file.map(|path| TokenFile { path, line }),
    })
}

pub(in crate::config) fn limits(table: &mut Table<'_, '_>) -> Read<Limits> {
    let head_bytes = table.or("head_bytes", 32 * 1024, whole(1024..=MOST_HEAD_BYTES));
    let cookie_bytes = table.or("cookie_bytes", 128 * 1024, whole(1024..=MOST_HEAD_BYTES));
    let request_line_bytes = table.or("request_line_bytes", 8 * 1024, whole(64..=MOST_HEAD_BYTES));
    let header_fields = table.or("header_fields", 100, whole(8..=MOST_HEADER_FIELDS));
    let connections = table.or("connections", 10_000, whole(1..=1_000_000));
    let body_bytes = table.optional("body_bytes", whole(0..=usize::MAX));
    Ok(Limits {
        head_bytes: head_bytes?,
        cookie_bytes: cookie_bytes?,
        request_line_bytes: request_line_bytes?,
        header_fields: header_fields?,
        connections: connections?,
        body_bytes: body_bytes?,
    })
}

/// Half of pingora's maximum, because the two limits of a head add up.
const MOST_HEAD_BYTES: usize = 512 * 1024;
const MOST_HEADER_FIELDS: usize = 250;

pub(in crate::config) fn timeouts(table: &mut Table<'_, '_>) -> Read<Timeouts> {
    let head = table.or("head", "10s", some_time);
    let body = table.or("body", "60s", some_time);
    let backend_connect = table.or("backend_connect", "3s", some_time);
    let backend_read = table.or("backend_read", "60s", some_time);
    let backend_write = table.or("backend_write", "60s", some_time);
    let backend_idle = table.or("backend_idle", "20s", some_time);
    let upgraded = table.or("upgraded", "1h", some_time);
    // HTTP/1.0 clients are told this in seconds.
    let keep_alive = table.or("keep_alive", "60s", seconds);
    Ok(Timeouts {
        head: head?,
        body: body?,
        backend_connect: backend_connect?,
        backend_read: backend_read?,
        backend_write: backend_write?,
        backend_idle: backend_idle?,
        upgraded: upgraded?,
        keep_alive: keep_alive?,
    })
}

//! `[store]`

use std::path::PathBuf;
use std::time::Duration;

use toml::Value;

use crate::config::expected::Expected;
use crate::config::reader::{Place, Read, Table};
use crate::config::value::{choice, some_time, word};
use crate::config::{Config, OnOutage, StoreConfig};
use crate::session::{Holds, ticket};

/// `[store]`, and where it says what is kept there.
pub(in crate::config) struct Store {
    pub(in crate::config) place: Place,
    pub(in crate::config) config: StoreConfig,
}

const TIMEOUT: Duration = Duration::from_millis(250);
const PREFIX: &str = "cloakroom:";

/// The schemes of the servers that a later version can use.
const SERVERS: [&str; 4] = ["redis", "rediss", "valkey", "valkeys"];

/// Keys that say how such a server is reached.
const OF_SERVERS: [&str; 9] = [
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

pub(in crate::config) fn store(table: &mut Table<'_, '_>) -> Read<Option<Store>> {
    let kept = [("sessions", Holds::Sessions), ("revocations", Holds::Revocations)];
    let on_outages = [("refuse", OnOutage::Refuse), ("pass", OnOutage::Pass)];
    let path = table.optional("url", file);
    let holds = table.or("holds", "sessions", choice(&kept));
    let on_outage = table.or("on_outage", "refuse", choice(&on_outages));
    let timeout = table.or("timeout", "250ms", some_time);
    let prefix = table.or("prefix", PREFIX, word);
    let place = table.at("holds");
    // Where the url is faulty it may be one of a server, and these keys right.
    for key in OF_SERVERS {
        let message =
            format!("store.{key} is for a server: leave it out where store.url is a file");
        table.refuse_key(key, path.is_ok().then_some(message.as_str()));
    }
    let (path, holds, on_outage) = (path?, holds?, on_outage?);
    let (timeout, prefix) = (timeout?, prefix?);
    let Some(path) = path else {
        let is_default = (holds, on_outage) == Default::default()
            && (timeout, prefix.as_str()) == (TIMEOUT, PREFIX);
        return if is_default {
            Ok(None)
        } else {
            let example = "url = \"file:/var/lib/cloakroom/sessions.db\" or so";
            Err(table.missing("url", example))
        };
    };
    let config = StoreConfig { path, holds, on_outage, timeout, prefix };
    Ok(Some(Store { place, config }))
}

/// `file:` and a path, as it is: nothing in it is an escape.
fn file(value: &Value) -> Result<PathBuf, Expected> {
    let is_server = |value: &Value| {
        let scheme = value.as_str().and_then(|text| text.split_once(':'));
        scheme.is_some_and(|(scheme, _)| SERVERS.contains(&scheme))
    };
    let urls = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
    if urls.iter().any(is_server) {
        return Err(Expected::StoreFileNotServer);
    }
    let text = word(value).map_err(|_| Expected::StoreFile)?;
    let path = text.strip_prefix("file:").ok_or(Expected::StoreFile)?;
    let path = match path.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        Some(_) => return Err(Expected::StoreFileWithoutHost),
        None => path,
    };
    if path.is_empty() || path.ends_with('/') {
        return Err(Expected::StoreFile);
    }
    // Who writes these means a query or an escape.
    if path.contains(['?', '#', '%']) {
        return Err(Expected::StoreFileWithoutEscapes);
    }
    Ok(PathBuf::from(path))
}

/// Refuses what does not go with a store.
pub(in crate::config) fn refuse_unfit(table: &mut Table<'_, '_>, config: &Config, place: &Place) {
    let policy = &config.session;
    if policy.store != Some(Holds::Sessions) {
        return;
    }
    if policy.ttl.is_none() {
        let message = "store.holds = \"sessions\" needs session.ttl: \
                       sessions that never end would fill the store";
        table.document().consequence(place, message);
    }
    let Some(key) = config.keys.first() else { return };
    let longest = ticket::longest(policy, key.algorithm, key.id.as_deref());
    if longest > policy.max_cookie_bytes {
        let message = format!(
            "store.holds = \"sessions\" needs session.max_cookie_bytes = {longest} at least: its \
             cookies are that long"
        );
        table.document().consequence(place, message);
    }
}

//! `[store]`

use std::path::PathBuf;
use std::time::Duration;

use toml::Value;

use super::server;
use crate::config::expected::Expected;
use crate::config::reader::{Place, Read, Table};
use crate::config::value::{choice, some_time, word};
use crate::config::{Config, OnOutage, StoreConfig, StoreHome};
use crate::session::{Holds, ticket};

/// `[store]`, with the position of `holds`.
pub(in crate::config) struct Store {
    pub(in crate::config) place: Place,
    pub(in crate::config) config: StoreConfig,
}

const TIMEOUT: Duration = Duration::from_millis(250);
const PREFIX: &str = "cloakroom:";

pub(in crate::config) fn store(table: &mut Table<'_, '_>) -> Read<Option<Store>> {
    let kept = [("sessions", Holds::Sessions), ("revocations", Holds::Revocations)];
    let on_outages = [("refuse", OnOutage::Refuse), ("pass", OnOutage::Pass)];
    let url_place = table.at("url");
    let url = table.optional("url", url);
    let holds = table.or("holds", "sessions", choice(&kept));
    let on_outage = table.or("on_outage", "refuse", choice(&on_outages));
    let timeout = table.or("timeout", "250ms", some_time);
    let prefix = table.or("prefix", PREFIX, prefix);
    let place = table.at("holds");
    let home = match url {
        Ok(Some(Url::Servers(servers))) => server::spec(table, servers, &url_place)
            .map(|spec| Some(StoreHome::Server(Box::new(spec)))),
        other => {
            // A faulty url may be meant to name a server, so these keys may be right.
            server::refuse_keys(table, other.is_ok());
            other.map(|url| match url {
                Some(Url::File(path)) => Some(StoreHome::File(path)),
                Some(Url::Servers(_)) | None => None,
            })
        }
    };
    let (home, holds, on_outage) = (home?, holds?, on_outage?);
    let (timeout, prefix) = (timeout?, prefix?);
    let Some(home) = home else {
        let is_default = (holds, on_outage) == Default::default()
            && (timeout, prefix.as_str()) == (TIMEOUT, PREFIX);
        return if is_default {
            Ok(None)
        } else {
            let example =
                "where the sessions are stored, e.g. url = \"file:/var/lib/cloakroom/sessions.db\"";
            Err(table.missing("url", example))
        };
    };
    let config = StoreConfig { home, holds, on_outage, timeout, prefix };
    Ok(Some(Store { place, config }))
}

/// The type of `url`.
enum Url {
    File(PathBuf),
    Servers(server::Servers),
}

fn url(value: &Value) -> Result<Url, Expected> {
    match server::servers(value) {
        Some(servers) => servers.map(Url::Servers),
        None => file(value).map(Url::File),
    }
}

/// In a cluster, braces decide about the place of keys.
fn prefix(value: &Value) -> Result<String, Expected> {
    let text = word(value)?;
    if text.contains(['{', '}']) { Err(Expected::NoBraces) } else { Ok(text) }
}

/// `file:` and a path, without escapes.
fn file(value: &Value) -> Result<PathBuf, Expected> {
    let text = word(value).map_err(|_| Expected::Store)?;
    let path = text.strip_prefix("file:").ok_or(Expected::Store)?;
    let path = match path.strip_prefix("//") {
        Some(path) if path.starts_with('/') => path,
        Some(_) => return Err(Expected::StoreFileWithoutHost),
        None => path,
    };
    if path.is_empty() || path.ends_with('/') {
        return Err(Expected::StoreFile);
    }
    // These characters suggest a query or an escape.
    if path.contains(['?', '#', '%']) {
        return Err(Expected::StoreFileWithoutEscapes);
    }
    Ok(PathBuf::from(path))
}

/// Refuses settings that conflict with a store.
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

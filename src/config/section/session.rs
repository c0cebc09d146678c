//! `[session]`

use std::path::PathBuf;
use std::time::Duration;

use toml::Value;

use crate::config::OnBadSave;
use crate::config::expected::Expected;
use crate::config::reader::{Read, Table};
use crate::config::value::{
    choice, duration, file_path, from_text, moment, seconds, some_time, truth, whole, word,
};
use crate::routes::CrossSite;
use crate::session::OnConflict;
use crate::time::Timestamp;
use crate::visit::cross_site::Origin;

/// The keys of `[session]`.
pub(in crate::config) struct SessionTable {
    pub(in crate::config) max_cookie_bytes: usize,
    pub(in crate::config) max_bytes: usize,
    pub(in crate::config) on_bad_save: OnBadSave,
    pub(in crate::config) forward_cookie: bool,
    pub(in crate::config) vary: bool,
    pub(in crate::config) issuer: Option<String>,
    pub(in crate::config) audience: Option<String>,
    pub(in crate::config) leeway: Duration,
    pub(in crate::config) lifetime: Lifetime,
    pub(in crate::config) not_before: Option<Timestamp>,
    pub(in crate::config) revoked_file: Option<PathBuf>,
    pub(in crate::config) subject: Option<Vec<String>>,
    pub(in crate::config) on_conflict: OnConflict,
    pub(in crate::config) cross_site: CrossSite,
    pub(in crate::config) trusted_origins: Vec<Origin>,
    pub(in crate::config) recheck: Option<Duration>,
}

pub(super) const CROSS_SITES: [(&str, CrossSite); 2] =
    [("allow", CrossSite::Allow), ("refuse", CrossSite::Refuse)];

/// The keys for the lifetime of a session.
pub(in crate::config) struct Lifetime {
    pub(in crate::config) ttl: Option<Duration>,
    pub(in crate::config) refresh_after: Option<Duration>,
    pub(in crate::config) absolute_ttl: Option<Duration>,
    pub(in crate::config) require_exp: bool,
}

/// Much more than browsers store; limits the work of signing and verifying.
const MOST_COOKIE_BYTES: usize = 65536;

/// Much more than servers accept in a field.
const MOST_BYTES: usize = 1024 * 1024;

pub(in crate::config) fn session(table: &mut Table<'_, '_>) -> Read<SessionTable> {
    let on_bad_saves = [("fail", OnBadSave::Fail), ("ignore", OnBadSave::Ignore)];
    let max_cookie_bytes = table.or("max_cookie_bytes", 4096, whole(1..=MOST_COOKIE_BYTES));
    let max_bytes = table.or("max_bytes", 8192, whole(1..=MOST_BYTES));
    let on_bad_save = table.or("on_bad_save", "fail", choice(&on_bad_saves));
    let forward_cookie = table.or("forward_cookie", false, truth);
    let vary = table.or("vary", true, truth);
    let issuer = table.optional("issuer", word);
    let audience = table.optional("audience", word);
    let leeway = table.or("leeway", "0s", duration);
    let lifetime = lifetime(table);
    let not_before = table.optional("not_before", moment);
    let revoked_file = table.discreet("revoked_file", file_path);
    let subject = table.optional("subject", path_into_dict);
    let on_conflicts = [
        ("rebase", OnConflict::Rebase),
        ("fail", OnConflict::Fail),
        ("overwrite", OnConflict::Overwrite),
    ];
    let on_conflict = table.or("on_conflict", "rebase", choice(&on_conflicts));
    let cross_site = table.or("cross_site", "allow", choice(&CROSS_SITES));
    let trusted_origins = table.list("trusted_origins", "an array of origins", from_text);
    let recheck = table.or("recheck", "30s", recheck);
    Ok(SessionTable {
        recheck: recheck?,
        cross_site: cross_site?,
        trusted_origins: trusted_origins?.into_iter().map(|(_, origin)| origin).collect(),
        subject: subject?,
        on_conflict: on_conflict?,
        not_before: not_before?,
        revoked_file: revoked_file?,
        max_cookie_bytes: max_cookie_bytes?,
        max_bytes: max_bytes?,
        on_bad_save: on_bad_save?,
        forward_cookie: forward_cookie?,
        vary: vary?,
        issuer: issuer?,
        audience: audience?,
        leeway: leeway?,
        lifetime: lifetime?,
    })
}

fn lifetime(table: &mut Table<'_, '_>) -> Read<Lifetime> {
    let ttl = table.optional("ttl", seconds);
    let refresh_after = table.optional("refresh_after", some_time);
    let absolute_ttl = table.optional("absolute_ttl", seconds);
    let require_exp = table.or("require_exp", false, truth);

    let mut fault = |key: &str, message: &str| {
        let place = table.at(key);
        let message = format!("session.{key} {message}");
        table.document().consequence(&place, message);
    };
    match (&ttl, &refresh_after) {
        (Ok(None), Ok(Some(_))) => {
            fault(
                "refresh_after",
                "needs session.ttl: only a session that expires can be refreshed",
            );
        }
        (Ok(Some(ttl)), Ok(Some(after))) if after >= ttl => {
            fault(
                "refresh_after",
                "must be shorter than session.ttl: no token gets older than that",
            );
        }
        _ => {}
    }
    Ok(Lifetime {
        ttl: ttl?,
        refresh_after: refresh_after?,
        absolute_ttl: absolute_ttl?,
        require_exp: require_exp?,
    })
}

/// None turns it off.
fn recheck(value: &Value) -> Result<Option<Duration>, Expected> {
    match value.as_str() {
        Some("off") => Ok(None),
        _ => some_time(value).map(Some).map_err(|expected| Expected::OrOff(Box::new(expected))),
    }
}

/// Keys separated by dots, or an array of keys, which may contain dots.
fn path_into_dict(value: &Value) -> Result<Vec<String>, Expected> {
    let path: Option<Vec<String>> = match value {
        Value::String(path) => Some(path.split('.').map(str::to_owned).collect()),
        Value::Array(keys) => keys.iter().map(|key| key.as_str().map(str::to_owned)).collect(),
        _ => None,
    };
    let path = path.filter(|path| !path.is_empty() && path.iter().all(|key| !key.is_empty()));
    path.ok_or(Expected::DictPathOrKeys)
}

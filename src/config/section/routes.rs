//! `[[routes]]`

use toml::Value;

use super::session::CROSS_SITES;
use crate::config::reader::{Place, Read, Table};
use crate::config::value::{choice, text, truth};
use crate::routes::{Access, Guard, Route, Routes};
use crate::session::view::View;

/// A route and the place of its `path`.
struct Placed {
    route: Route,
    path: Place,
}

pub(in crate::config) fn routes(table: &mut Table<'_, '_>) -> Read<Routes> {
    let read = table.tables("routes", route)?.unwrap_or_default();
    let (routes, faulty): (Vec<_>, Vec<_>) = read.into_iter().partition(Result::is_ok);
    let routes: Vec<Placed> = routes.into_iter().flatten().collect();
    let built = Routes::new(routes.iter().map(|placed| placed.route.clone()).collect());
    let built = built.map_err(|faults| {
        table.document().faults(faults.into_iter().filter_map(|(index, message)| {
            let place = &routes.get(index)?.path;
            Some((place.clone(), format!("{}: {message}", place.path())))
        }))
    })?;
    if let Some(Err(reported)) = faulty.into_iter().next() {
        return Err(reported);
    }
    Ok(built)
}

fn route(table: &mut Table<'_, '_>) -> Read<Placed> {
    let path = table.required("path", "a prefix such as path = \"/static/\"", path);
    let session = table.or("session", "on", choice(&[("on", true), ("off", false)]));
    let require = table.or("require", false, truth);
    let login = table.optional("login", login_path);
    let cross_site = table.optional("cross_site", choice(&CROSS_SITES));
    let keys = table.optional("keys", keys);

    if let (Ok(false), Ok(true)) = (session, require) {
        let place = table.at("require");
        let message = format!("{} = true does not go with session = \"off\"", place.path());
        return Err(table.document().fault(&place, message));
    }
    if let (Ok(false), Ok(Some(_))) = (require, &login) {
        let place = table.at("login");
        let message = format!("{} needs require = true", place.path());
        return Err(table.document().consequence(&place, message));
    }
    if let (Ok(false), Ok(Some(_))) = (&session, &keys) {
        let place = table.at("keys");
        let message = format!("{} does not go with session = \"off\"", place.path());
        return Err(table.document().fault(&place, message));
    }
    let login = login?;
    let access = match (session?, require?) {
        (_, true) => Access::Required { login },
        (true, false) => Access::Open,
        (false, false) => Access::Off,
    };
    let guard = Guard { cross_site: cross_site?, view: keys? };
    Ok(Placed { route: Route { path: path?, access, guard }, path: table.at("path") })
}

/// Keys at the top of the dict.
fn keys(value: &Value) -> Result<View, String> {
    let keys = value.as_array().and_then(|keys| {
        keys.iter().map(|key| key.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    });
    keys.map(View::new).ok_or_else(|| "an array of keys of the dict, such as [\"user\"]".into())
}

fn path(value: &Value) -> Result<String, String> {
    let path = text(value)?;
    if path.starts_with('/') { Ok(path) } else { Err("a path that starts with \"/\"".into()) }
}

/// On this host: a browser takes `//other` and `/\other` for another.
fn login_path(value: &Value) -> Result<String, String> {
    let path = path(value)?;
    if path.starts_with("//") || path.contains('\\') {
        return Err("a path on this host, such as \"/login\"".into());
    }
    if path.contains('#') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err("a path as it stands in a URL: printable ASCII, all else as %XX".into());
    }
    Ok(path)
}

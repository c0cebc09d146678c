//! `[[routes]]`

use toml::Value;

use super::headers::dotted_path;
use super::session::CROSS_SITES;
use crate::config::Backend;
use crate::config::expected::Expected;
use crate::config::reader::{Place, Read, Table};
use crate::config::value::{choice, from_text, text, truth};
use crate::routes::{Guard, Methods, Route, RoutePolicy, Routes, SessionRule};
use crate::session::demand::{Demand, Scalar};
use crate::session::view::View;

/// A route, its own backend if any, and the position of its `path`.
struct Placed {
    route: Route,
    backend: Option<Backend>,
    path: Place,
}

/// All routes, and their backends without duplicates. These follow `backend`, which has index 0.
pub(in crate::config) fn routes(
    table: &mut Table<'_, '_>,
    first: Option<&Backend>,
) -> Read<(Routes, Vec<Backend>)> {
    let read = table.tables("routes", route)?.unwrap_or_default();
    let (routes, faulty): (Vec<_>, Vec<_>) = read.into_iter().partition(Result::is_ok);
    let mut routes: Vec<Placed> = routes.into_iter().flatten().collect();
    let mut backends = Vec::new();
    for placed in &mut routes {
        placed.route.policy.backend = placed.backend.take().map(|backend| {
            if first == Some(&backend) {
                return 0;
            }
            let known = backends.iter().position(|known| *known == backend);
            1 + known.unwrap_or_else(|| {
                backends.push(backend);
                backends.len() - 1
            })
        });
    }
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
    Ok((built, backends))
}

fn route(table: &mut Table<'_, '_>) -> Read<Placed> {
    let path = table.required("path", "the prefix of the route, e.g. path = \"/static/\"", path);
    let methods = table.optional("methods", methods);
    let session = table.or("session", "on", choice(&[("on", true), ("off", false)]));
    let require = table.or("require", false, require);
    let login = table.optional("login", login_path);
    let cross_site = table.optional("cross_site", choice(&CROSS_SITES));
    let keys = table.optional("keys", keys);
    let backend = table.optional("backend", from_text);
    let log = table.or("log", true, truth);

    if let (Ok(false), Ok(Some(demands))) = (&session, &require) {
        let place = table.at("require");
        let value = if demands.is_empty() { " = true" } else { "" };
        let message = format!("{}{value} does not go with session = \"off\"", place.path());
        return Err(table.document().fault(&place, message));
    }
    if let (Ok(None), Ok(Some(_))) = (&require, &login) {
        let place = table.at("login");
        let message = format!("{} needs require = true, or require with values", place.path());
        return Err(table.document().consequence(&place, message));
    }
    if let (Ok(false), Ok(Some(_))) = (&session, &keys) {
        let place = table.at("keys");
        let message = format!("{} does not go with session = \"off\"", place.path());
        return Err(table.document().fault(&place, message));
    }
    let login = login?;
    let rule = match (session?, require?) {
        (_, Some(demands)) => SessionRule::Required { login, demands },
        (true, None) => SessionRule::Open,
        (false, None) => SessionRule::Off,
    };
    let guard = Guard { cross_site: cross_site?, view: keys? };
    let policy = RoutePolicy { session: rule, backend: None, log: log?, guard };
    let methods = methods?.map_or(Methods::All, Methods::Only);
    let route = Route { path: path?, methods, policy };
    Ok(Placed { route, backend: backend?, path: table.at("path") })
}

/// Top-level keys of the dict.
fn keys(value: &Value) -> Result<View, Expected> {
    let keys = value.as_array().and_then(|keys| {
        keys.iter().map(|key| key.as_str().map(str::to_owned)).collect::<Option<Vec<_>>>()
    });
    keys.map(View::new).ok_or(Expected::DictKeys)
}

/// Method names, in upper case (RFC 9110 section 9.1).
fn methods(value: &Value) -> Result<Vec<String>, Expected> {
    let named = value.as_array().ok_or(Expected::Methods)?;
    let method = |value: &Value| match value.as_str() {
        Some("TRACE" | "TRACK" | "CONNECT") => Err(Expected::PassedOnMethods),
        Some(name) if is_method(name) => Ok(name.to_owned()),
        _ => Err(Expected::MethodsInCapitals),
    };
    let methods: Vec<String> = named.iter().map(method).collect::<Result<_, _>>()?;
    if methods.is_empty() {
        return Err(Expected::SomeMethods);
    }
    Ok(methods)
}

fn is_method(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
    name.bytes().next().is_some_and(|byte| byte.is_ascii_uppercase()) && name.bytes().all(fits)
}

/// The required values; None if no session is required.
fn require(value: &Value) -> Result<Option<Vec<Demand>>, Expected> {
    match value {
        Value::Boolean(required) => Ok(required.then(Vec::new)),
        Value::Table(table) if table.is_empty() => Err(Expected::Require),
        Value::Table(table) => {
            let demand = |(path, values): (&String, &Value)| {
                let told = |expected| Expected::For(path.clone(), Box::new(expected));
                let values = wanted(values).map_err(told)?;
                let path = dotted_path(&path.as_str().into()).map_err(told)?;
                Ok(Demand { path, values })
            };
            table.iter().map(demand).collect::<Result<_, _>>().map(Some)
        }
        _ => Err(Expected::Require),
    }
}

/// One value, or several alternatives.
fn wanted(value: &Value) -> Result<Vec<Scalar>, Expected> {
    match value {
        Value::Array(values) if values.is_empty() => Err(Expected::SomeValues),
        Value::Array(values) => values.iter().map(scalar).collect(),
        Value::Table(_) => Err(Expected::ValueOrArray),
        value => Ok(vec![scalar(value)?]),
    }
}

fn scalar(value: &Value) -> Result<Scalar, Expected> {
    match value {
        Value::String(text) => Ok(Scalar::Text(text.clone())),
        Value::Boolean(truth) => Ok(Scalar::Truth(*truth)),
        Value::Integer(number) => Ok(Scalar::Number(number.to_string())),
        Value::Float(number) if number.is_finite() => Ok(Scalar::Number(number.to_string())),
        _ => Err(Expected::Scalars),
    }
}

fn path(value: &Value) -> Result<String, Expected> {
    let path = text(value)?;
    if path.starts_with('/') { Ok(path) } else { Err(Expected::RoutePath) }
}

/// A path on this host: a browser reads `//other` and `/\other` as another host.
fn login_path(value: &Value) -> Result<String, Expected> {
    let path = path(value)?;
    if path.starts_with("//") || path.contains('\\') {
        return Err(Expected::LocalPath);
    }
    if path.contains('#') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Expected::UrlPath);
    }
    Ok(path)
}

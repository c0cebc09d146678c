//! `[cookie]`

use toml::Value;

use crate::config::expected::Expected;
use crate::config::reader::{Read, Table};
use crate::config::value::{choice, text, truth};
use crate::session::cookie::{
    CookieAttributes, CookieFault, CookieName, CookieParts, MAX_OLD_NAMES, SameSite, Secure,
};

pub(in crate::config) struct Cookie {
    pub(in crate::config) attributes: CookieAttributes,
    /// Whether the cookie is only sent over encrypted connections.
    pub(in crate::config) secure: Secure,
    pub(in crate::config) accept_names: Vec<CookieName>,
}

pub(in crate::config) fn cookie(table: &mut Table<'_, '_>) -> Read<Cookie> {
    let same_sites = [
        ("strict", SameSite::Strict),
        ("lax", SameSite::Lax),
        ("none", SameSite::None),
        ("unset", SameSite::Unset),
    ];
    let name = table.or("name", "session", cookie_name);
    let path = table.or("path", "/", text);
    let domain = table.optional("domain", text);
    let secure = table.or("secure", false, secure);
    let http_only = table.or("http_only", true, truth);
    let same_site = table.or("same_site", "lax", choice(&same_sites));
    let partitioned = table.or("partitioned", false, truth);
    let accept_names = table.or("accept_names", Vec::<Value>::new(), cookie_names);
    // Unreadable values are replaced by ones that fit all others, so that all real faults are
    // reported and no false ones.
    let parts = CookieParts {
        name: name?,
        path: path.clone().unwrap_or_else(|_| "/".into()),
        domain: domain.clone().unwrap_or(None),
        secure: secure.unwrap_or(Secure::Always),
        http_only: http_only.unwrap_or(true),
        same_site: same_site.unwrap_or(SameSite::Unset),
        partitioned: partitioned.unwrap_or(false),
    };
    let attributes = CookieAttributes::new(parts).map_err(|faults| {
        let located = faults.into_iter().map(|CookieFault { key, message }| {
            let place = if table.has(key) { table.at(key) } else { table.at("name") };
            // Most messages start with the key.
            let message = match message.starts_with("cookie.") {
                true => message,
                false => format!("cookie.{key}: {message}"),
            };
            (place, message)
        });
        let located: Vec<_> = located.collect();
        table.document().faults(located)
    });
    let (attributes, accept_names) = (attributes?, accept_names?);
    if accept_names.contains(attributes.name()) {
        let place = table.at("accept_names");
        let expected = "names other than cookie.name, which is always read";
        return Err(table.document().refuse(&place, None, expected));
    }
    Ok(Cookie { attributes, secure: secure?, accept_names })
}

fn secure(value: &Value) -> Result<Secure, Expected> {
    match (value.as_bool(), value.as_str()) {
        (Some(true), _) => Ok(Secure::Always),
        (Some(false), _) => Ok(Secure::Never),
        (None, Some("auto")) => Ok(Secure::Auto),
        _ => Err(Expected::Secure),
    }
}

fn cookie_names(value: &Value) -> Result<Vec<CookieName>, Expected> {
    let names = value.as_array().filter(|names| names.len() <= MAX_OLD_NAMES);
    names.ok_or(Expected::CookieNames)?.iter().map(cookie_name).collect()
}

fn cookie_name(value: &Value) -> Result<CookieName, Expected> {
    Ok(CookieName::parse(value.as_str().unwrap_or_default())?)
}

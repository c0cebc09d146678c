//! Name and attributes of the session cookie, as written to `Set-Cookie` (RFC 6265bis section 4.1).

// Only address types: the core has no sockets.
use core::net::{Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use super::{CookieName, name_and_value};
use crate::time::Timestamp;

/// The `SameSite` attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SameSite {
    /// Sent only with requests from the same site.
    Strict,
    /// Also sent when the user follows a link from another site.
    #[default]
    Lax,
    /// Always sent; browsers then require `Secure`.
    None,
    /// No attribute: the browser's default applies.
    Unset,
}

/// `cookie.secure`: whether the cookie is only sent over encrypted connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Secure {
    /// No `Secure` attribute.
    #[default]
    Never,
    /// Always `Secure`.
    Always,
    /// `Secure` if the client's own connection is encrypted.
    Auto,
}

/// How the client's connection is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Transport {
    /// Not encrypted.
    #[default]
    Clear,
    /// TLS, terminated here or at a trusted proxy.
    Tls,
}

/// Name and attributes of the session cookie. It is deleted with the same ones as it was set with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieAttributes {
    name: CookieName,
    /// All attributes except `Max-Age` and `Expires`, as written.
    suffix: String,
    /// The same for clients that use TLS.
    suffix_over_tls: String,
}

/// The `[cookie]` table, before its keys are checked against each other.
#[derive(Clone, Debug)]
pub struct CookieParts {
    /// `cookie.name`
    pub name: CookieName,
    /// `cookie.path`
    pub path: String,
    /// `cookie.domain`
    pub domain: Option<String>,
    /// `cookie.secure`
    pub secure: Secure,
    /// `cookie.http_only`
    pub http_only: bool,
    /// `cookie.same_site`
    pub same_site: SameSite,
    /// `cookie.partitioned`
    pub partitioned: bool,
}

impl CookieParts {
    /// A cookie of that name with the default attributes.
    #[must_use]
    pub fn named(name: CookieName) -> Self {
        Self {
            name,
            path: "/".into(),
            domain: None,
            secure: Secure::Never,
            http_only: true,
            same_site: SameSite::Lax,
            partitioned: false,
        }
    }
}

/// A combination of `[cookie]` keys that browsers would refuse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CookieFault {
    /// The key in `[cookie]` to change.
    pub key: &'static str,
    /// What is wrong and what to do.
    pub message: String,
}

impl CookieAttributes {
    /// Checks the keys against each other (RFC 6265bis sections 4.1.2 and 4.1.3).
    ///
    /// # Errors
    /// Every combination that a browser would refuse, not only the first one.
    pub fn new(parts: CookieParts) -> Result<Self, Vec<CookieFault>> {
        let faults = faults(&parts);
        if !faults.is_empty() {
            return Err(faults);
        }
        let suffix = suffix(&parts, parts.secure == Secure::Always);
        let suffix_over_tls = self::suffix(&parts, parts.secure != Secure::Never);
        Ok(Self { name: parts.name, suffix, suffix_over_tls })
    }

    fn suffix(&self, transport: Transport) -> &str {
        match transport {
            Transport::Clear => &self.suffix,
            Transport::Tls => &self.suffix_over_tls,
        }
    }

    /// The cookie's name.
    #[must_use]
    pub fn name(&self) -> &CookieName {
        &self.name
    }

    /// The length of name, `=` and value, which browsers limit to 4096 bytes.
    #[must_use]
    pub fn bytes_with(&self, token: &[u8]) -> usize {
        self.name.as_str().len() + 1 + token.len()
    }

    /// The `Set-Cookie` value that gives `token` to the client for `max_age` seconds, or until the
    /// browser is closed. `Expires` is written too: Java clients treat a cookie with only `Max-Age`
    /// as one of RFC 2965 and send it back in that form.
    #[must_use]
    pub fn issue(
        &self,
        token: &str,
        max_age: Option<u64>,
        now: Timestamp,
        transport: Transport,
    ) -> String {
        let name = &self.name;
        let suffix = self.suffix(transport);
        match max_age {
            Some(seconds) => {
                let expires = now.plus(Duration::from_secs(seconds)).to_http_date();
                format!("{name}={token}{suffix}; Max-Age={seconds}; Expires={expires}")
            }
            None => format!("{name}={token}{suffix}"),
        }
    }

    /// The `Set-Cookie` value that deletes the cookie.
    #[must_use]
    pub fn expire(&self, transport: Transport) -> String {
        self.expire_as(&self.name, transport)
    }

    /// The same for a cookie with another name.
    pub(in crate::session) fn expire_as(&self, name: &CookieName, transport: Transport) -> String {
        let suffix = self.suffix(transport);
        format!("{name}={suffix}; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
    }

    /// Whether a `Set-Cookie` value sets a cookie that the browser sends back under this name.
    #[must_use]
    pub fn is_set_by(&self, set_cookie: &[u8]) -> bool {
        let pair = set_cookie.split(|&byte| byte == b';').next().unwrap_or_default();
        match name_and_value(pair) {
            // If a cookie has no name, browsers send only its value (RFC 6265bis section 5.8.3).
            Some((b"", value)) => name_and_value(value).is_some_and(|(name, _)| self.is(name)),
            Some((name, _)) => self.is(name),
            None => false,
        }
    }

    fn is(&self, name: &[u8]) -> bool {
        name == self.name.as_str().as_bytes()
    }
}

fn suffix(parts: &CookieParts, secure: bool) -> String {
    let mut suffix = format!("; Path={}", parts.path);
    if let Some(domain) = &parts.domain {
        suffix.push_str("; Domain=");
        suffix.push_str(domain);
    }
    if secure {
        suffix.push_str("; Secure");
    }
    if parts.http_only {
        suffix.push_str("; HttpOnly");
    }
    suffix.push_str(match parts.same_site {
        SameSite::Strict => "; SameSite=Strict",
        SameSite::Lax => "; SameSite=Lax",
        SameSite::None => "; SameSite=None",
        SameSite::Unset => "",
    });
    if parts.partitioned {
        suffix.push_str("; Partitioned");
    }
    suffix
}

fn faults(parts: &CookieParts) -> Vec<CookieFault> {
    let mut faults = Vec::new();
    // "auto" is not enough: a cookie that browsers sometimes refuse is an error at the start.
    let secure = parts.secure == Secure::Always;
    let mut fault = |key, message: String| faults.push(CookieFault { key, message });
    // Browsers ignore the case of these prefixes (RFC 6265bis section 5.7).
    let name = parts.name.as_str();
    let lower = name.to_ascii_lowercase();
    let is_http = lower.starts_with("__http-") || lower.starts_with("__host-http-");
    let is_host = lower.starts_with("__host-");
    if (is_host || is_http || lower.starts_with("__secure-")) && !secure {
        fault("secure", format!("a cookie named {name:?} needs cookie.secure = true"));
    }
    if is_http && !parts.http_only {
        fault("http_only", format!("a cookie named {name:?} needs cookie.http_only = true"));
    }
    if is_host && parts.domain.is_some() {
        fault("domain", format!("a cookie named {name:?} must not have a domain"));
    }
    if is_host && parts.path != "/" {
        fault("path", format!("a cookie named {name:?} needs cookie.path = \"/\""));
    }
    if parts.same_site == SameSite::None && !secure {
        fault("same_site", "cookie.same_site = \"none\" needs cookie.secure = true".into());
    }
    if parts.partitioned && !secure {
        fault("partitioned", "cookie.partitioned = true needs cookie.secure = true".into());
    }
    if !parts.path.starts_with('/') {
        fault("path", format!("a path that starts with \"/\", not {:?}", parts.path));
    }
    if let Some(reason) = unfit(&parts.path) {
        fault("path", format!("{:?} {reason}", parts.path));
    }
    if let Some(message) = parts.domain.as_deref().and_then(domain_fault) {
        fault("domain", message);
    }
    faults
}

/// Why browsers drop a cookie with this `Domain` (RFC 6265bis sections 5.1.2 and 5.7), and what to
/// write instead. A browser reports no error, and no user would stay logged in.
fn domain_fault(domain: &str) -> Option<String> {
    if domain.is_empty() {
        return Some("a host name, not an empty string; leave the key out".into());
    }
    let host = domain.strip_prefix('.').unwrap_or(domain);
    let ip = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let reason = if let Some(reason) = unfit(domain) {
        reason
    } else if domain.contains(char::is_whitespace) {
        "contains white space: write the host name alone"
    } else if domain.contains("://") {
        "has a scheme: write the host name alone, as in \"example.com\""
    } else if domain.contains(['/', '?', '#', '\\']) {
        "has a path: write the host name alone, and the path as cookie.path"
    } else if domain.contains('*') {
        "has a wildcard: write \"example.com\", which includes every host below it"
    } else if ip.parse::<Ipv6Addr>().is_ok() {
        "is an IPv6 address, which browsers do not take here: remove the key"
    } else if domain.starts_with('.') && ip.parse::<Ipv4Addr>().is_ok() {
        "is an IP address with a dot before it: nothing is below an address; remove the key"
    } else if domain.contains(':') {
        "has a port: write the host name alone; cookies are the same on every port"
    } else if domain.contains('@') {
        "has a user name: write the host name alone"
    } else if host.is_empty() || host.split('.').any(str::is_empty) {
        "has a dot too many: write a host name as in \"example.com\""
    } else {
        return None;
    };
    Some(format!("{domain:?} {reason}"))
}

/// Why a text cannot be the value of a cookie attribute.
fn unfit(value: &str) -> Option<&'static str> {
    if value.contains(';') {
        Some("contains a \";\", which would end the attribute")
    } else if value.chars().any(|c| c.is_control() || !c.is_ascii()) {
        Some("contains a control character or one outside ASCII")
    } else {
        None
    }
}

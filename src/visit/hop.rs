//! Removes the fields of an answer that apply to the app's connection only (RFC 9110 section 7.6.1).

use http::header::CONNECTION;

use super::fields::{Fields, ResponseHead};
use crate::config::Config;

/// Removes the fields for the connection to the app, and those that `Connection` names. The carrier
/// replaces `Connection` itself.
pub(super) fn remove(response: &mut impl ResponseHead, config: &Config) {
    let is_switch = response.status() == 101;
    let mut has_connection = false;
    let mut removed = Vec::new();
    for name in response.names() {
        match name {
            b"connection" => has_connection = true,
            b"keep-alive" | b"proxy-connection" | b"te" => removed.push(name.to_vec()),
            // Without a switch the app only offers protocols, and the sidecar does not speak them.
            b"upgrade" if !is_switch => removed.push(name.to_vec()),
            _ => {}
        }
    }
    if has_connection {
        let named = options(response).map(<[u8]>::to_ascii_lowercase);
        removed
            .extend(named.filter(|name| !stays(name, is_switch) && !config.headers.is_own(name)));
    }
    for name in &removed {
        response.remove(name);
    }
}

/// The options in `Connection`.
pub(super) fn options(head: &impl Fields) -> impl Iterator<Item = &[u8]> {
    let options = head.all(&CONNECTION).flat_map(|value| value.split(|&byte| byte == b','));
    options.map(<[u8]>::trim_ascii).filter(|option| !option.is_empty())
}

/// Whether a field stays although `Connection` names it. Some options are not fields. An app must not
/// name the fields for framing, caches and cookies, because they are for all recipients.
fn stays(name: &[u8], is_switch: bool) -> bool {
    match name {
        b"close" | b"keep-alive" => true,
        b"connection" | b"content-length" | b"transfer-encoding" => true,
        b"cache-control" | b"vary" | b"set-cookie" => true,
        b"upgrade" => is_switch,
        _ => false,
    }
}

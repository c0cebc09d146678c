//! Cache headers (RFC 9111) of answers that depend on the session or change it.

use super::list;

/// The `Cache-Control` of an answer that sets or deletes the cookie, given the received fields.
/// None if these already forbid shared caching; else `private` with the other directives, without
/// `public` and `s-maxage`.
pub(crate) fn private<'a, I>(fields: impl Fn() -> I) -> Option<Vec<u8>>
where
    I: Iterator<Item = &'a [u8]>,
{
    let forbids = |directive: &[u8]| {
        directive.eq_ignore_ascii_case(b"no-store") || directive.eq_ignore_ascii_case(b"private")
    };
    if fields().flat_map(directives).any(forbids) {
        return None;
    }
    let mut value = b"private".to_vec();
    let allows = |directive: &&[u8]| {
        let name = directive.split(|&byte| byte == b'=').next().unwrap_or_default().trim_ascii();
        name.eq_ignore_ascii_case(b"public") || name.eq_ignore_ascii_case(b"s-maxage")
    };
    for directive in fields().flat_map(directives).filter(|directive| !allows(directive)) {
        value.extend_from_slice(b", ");
        value.extend_from_slice(directive);
    }
    Some(value)
}

/// The `Vary` of an answer; None to leave it unchanged. Members that name a field of the sidecar
/// are replaced by `Cookie`: the app sees those fields, but the client sends a cookie. With `add`,
/// on routes with sessions, `Cookie` is always included.
pub(crate) fn vary<'a, I>(
    fields: impl Fn() -> I,
    is_own: impl Fn(&[u8]) -> bool,
    add: bool,
) -> Option<Vec<u8>>
where
    I: Iterator<Item = &'a [u8]>,
{
    let covers = |member: &[u8]| member == b"*" || member.eq_ignore_ascii_case(b"cookie");
    let members = || fields().flat_map(directives);
    let has_own = members().any(&is_own);
    let is_covered = members().any(covers);
    if !has_own && (is_covered || !add) {
        return None;
    }
    let cookie = (!is_covered).then_some(&b"Cookie"[..]);
    let all: Vec<&[u8]> = members().filter(|member| !is_own(member)).chain(cookie).collect();
    Some(all.join(&b", "[..]))
}

/// Whether a field of that name, in lower case, can override `Cache-Control` for a shared cache:
/// `Surrogate-Control` and the targeted fields of RFC 9213, which CDNs name after themselves.
pub(crate) fn is_targeted(name: &[u8]) -> bool {
    matches!(name, b"surrogate-control" | b"cdn-cache-control")
        || name.ends_with(b"-cdn-cache-control")
}

fn directives(field: &[u8]) -> impl Iterator<Item = &[u8]> {
    list::members(field, b',')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn private_of(fields: &[&str]) -> Option<String> {
        private(|| fields.iter().map(|field| field.as_bytes()))
            .map(|value| String::from_utf8_lossy(&value).into_owned())
    }

    fn vary_of(fields: &[&str], add: bool) -> Option<String> {
        let is_own = |name: &[u8]| name.to_ascii_lowercase().starts_with(b"x-session");
        vary(|| fields.iter().map(|field| field.as_bytes()), is_own, add)
            .map(|value| String::from_utf8_lossy(&value).into_owned())
    }

    #[test]
    fn a_shared_cache_may_not_keep_an_answer_that_sets_the_cookie() {
        for (fields, expected) in [
            (&[][..], Some("private")),
            (&["public, max-age=60"], Some("private, max-age=60")),
            (&["PUBLIC", "S-MaxAge=5, max-age=60"], Some("private, max-age=60")),
            (&["max-age=60, s-maxage = 5"], Some("private, max-age=60")),
            (&["no-store"], None),
            (&["max-age=0, Private"], None),
            (&["private=\"set-cookie, x\", public"], Some("private, private=\"set-cookie, x\"")),
            (&["ext=\"a, no-store\""], Some("private, ext=\"a, no-store\"")),
            (&["ext=\"\\\", no-store\""], Some("private, ext=\"\\\", no-store\"")),
            (&["no-cache"], Some("private, no-cache")),
        ] {
            assert_eq!(private_of(fields).as_deref(), expected, "{fields:?}");
        }
    }

    #[test]
    fn vary_gains_cookie_once() {
        for (fields, expected) in [
            (&[][..], Some("Cookie")),
            (&["Accept-Encoding"], Some("Accept-Encoding, Cookie")),
            (&["Accept, Origin", "X-A"], Some("Accept, Origin, X-A, Cookie")),
            (&["accept, cookie"], None),
            (&["*"], None),
            (&["X-Cookie"], Some("X-Cookie, Cookie")),
        ] {
            assert_eq!(vary_of(fields, true).as_deref(), expected, "{fields:?}");
        }
    }

    #[test]
    fn own_fields_become_cookie_once() {
        for (fields, expected) in [
            (&["X-Session"][..], "Cookie"),
            (&["x-session, Accept, X-Session-Save"], "Accept, Cookie"),
            (&["X-Session", "Origin"], "Origin, Cookie"),
            (&["cookie, X-Session"], "cookie"),
            (&["X-Session, *"], "*"),
        ] {
            for add in [true, false] {
                assert_eq!(vary_of(fields, add).as_deref(), Some(expected), "{fields:?}");
            }
        }
        assert_eq!(vary_of(&["Origin"], false), None);
        assert_eq!(vary_of(&[], false), None);
    }
}

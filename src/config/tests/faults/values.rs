//! Values that no key accepts.

use super::each_has_one_fault;

#[test]
fn each_bad_value_is_named_with_what_was_expected() {
    each_has_one_fault(&[
        (
            "shutdown_timeout = 8",
            r#"4: shutdown_timeout = 8: expected a duration in quotes, such as "8s", "15m" or "14d""#,
        ),
        ("workers = 2.5", "4: workers = 2.5: expected a whole number from 1 to 1024"),
        (
            "workers = 99999999999999999999",
            "4: workers = 99999999999999999999: expected a number that fits 64 bits",
        ),
        (
            "trusted_proxies = 'x'",
            r#"4: trusted_proxies = "x": expected an array of networks such as "10.0.0.0/8""#,
        ),
        (
            "strip = 'X-Remote-User'",
            r#"4: strip = "X-Remote-User": expected an array of header names such as "X-Remote-User""#,
        ),
        (
            "strip = ['X-A', 'transfer_encoding']",
            r#"4: strip[2] = "transfer_encoding": expected a header that may be removed from every request; Transfer-Encoding may not"#,
        ),
        ("trusted_proxies = [\n'10.0.0.0/8',\n1]", "6: trusted_proxies[2] = 1: expected a string"),
        ("cookie = 1", "4: cookie = 1: expected a table, [cookie]"),
        ("[[cookie]]", "4: cookie = […]: expected a table, [cookie]"),
        (
            "[cookie]\n\n\nsame_site = 'sometimes'",
            r#"7: cookie.same_site = "sometimes": expected "strict", "lax", "none" or "unset""#,
        ),
        (
            "[cookie]\nname = 'a b'",
            r#"5: cookie.name = "a b": expected a token (letters, digits and !#$%&'*+-.^_`|~), but it contains ' '"#,
        ),
        (
            "[cookie]\nname = 'é'",
            r#"5: cookie.name = "é": expected a token (letters, digits and !#$%&'*+-.^_`|~), but it contains 'é'"#,
        ),
        (
            "[cookie]\nname = 1",
            "5: cookie.name = 1: expected a cookie name, in quotes and not empty",
        ),
        (
            "[headers]\nsession = 1",
            "5: headers.session = 1: expected a header name, in quotes and not empty",
        ),
        (
            "[session]\nmax_cookie_bytes = 0",
            "5: session.max_cookie_bytes = 0: expected a whole number from 1 to 65536",
        ),
        (
            "[session]\nmax_bytes = 0",
            "5: session.max_bytes = 0: expected a whole number from 1 to 1048576",
        ),
        ("[session]\nttl = '0s'", r#"5: session.ttl = "0s": expected a duration longer than zero"#),
        (
            "[session]\nttl = '1500ms'",
            r#"5: session.ttl = "1500ms": expected a duration in whole seconds"#,
        ),
        (
            "[session]\ncross_site = true",
            r#"5: session.cross_site = true: expected "allow" or "refuse""#,
        ),
        (
            "[session]\ntrusted_origins = ['https://a/']",
            r#"5: session.trusted_origins[1] = "https://a/": expected an origin as browsers send it, such as "https://pay.example": scheme, host and port, without a path"#,
        ),
        (
            "[session]\nissuer = ''",
            r#"5: session.issuer = "": must not be empty; remove the key to disable it"#,
        ),
        (
            "[log]\nlevel = 'INFO'",
            r#"5: log.level = "INFO": expected "off", "error", "warn", "info", "debug" or "trace""#,
        ),
        (
            "[timeouts]\nkeep_alive = '0s'",
            r#"5: timeouts.keep_alive = "0s": expected a duration longer than zero"#,
        ),
        (
            "[headers]\nencoding = 'xml'",
            r#"5: headers.encoding = "xml": expected "json" or "base64url""#,
        ),
        (
            "[headers]\nsave = 'set_cookie'",
            r#"5: headers.save = "set_cookie": expected another header name: Set-Cookie already has a meaning"#,
        ),
        (
            "[headers]\nsave = 'a b'",
            r#"5: headers.save = "a b": expected a header name, but it contains ' '"#,
        ),
        (
            "[headers.claims]\nX-User = 'a..b'",
            r#"5: headers.claims.X-User = "a..b": expected a path into the dict, such as "user.name", with a key on each side of a dot"#,
        ),
        (
            "[headers.claims]\n'X User' = 'a'",
            r#"5: headers.claims."X User" = "a": expected a header name, but it contains ' '"#,
        ),
        (
            "[headers.claims]\nX-User = 1",
            r#"5: headers.claims.X-User = 1: expected a path into the dict, such as "user.name", or a table such as { path = "roles", join = ",", encoding = "percent" }"#,
        ),
        (
            "[headers.claims]\nX-User = { join = ',' }",
            r#"5: headers.claims.X-User = {…}: expected a table such as { path = "roles", join = ",", encoding = "percent" }: path is missing"#,
        ),
        (
            "[headers.claims.X-User]\npath = 'a'\njoined = ','",
            r#"4: headers.claims.X-User = {…}: expected a table such as { path = "roles", join = ",", encoding = "percent" }; it has nothing named "joined""#,
        ),
        (
            "[headers.claims]\nX-User = { path = [] }",
            "5: headers.claims.X-User = {…}: expected as path an array of at least one key",
        ),
        (
            "[headers.claims]\nX-User = { path = ['a', 1] }",
            "5: headers.claims.X-User = {…}: expected as path a string",
        ),
        (
            "[headers.claims]\nX-User = { path = 'a', encoding = 'utf8' }",
            r#"5: headers.claims.X-User = {…}: expected as encoding "percent" or "base64url""#,
        ),
        (
            "[headers.claims]\nX-User = { path = 'a', join = '–' }",
            r#"5: headers.claims.X-User = {…}: expected as join printable ASCII, such as ",""#,
        ),
        (
            "[headers.claims]\nX-User = { path = 'a', join = '-', encoding = 'percent' }",
            r#"5: headers.claims.X-User = {…}: expected as join something that is not in percent-encoded text, such as ",""#,
        ),
        (
            "[[routes]]\nsession = 'off'",
            r#"4: missing key routes[1].path: the prefix of the route, e.g. path = "/static/""#,
        ),
        (
            "[[routes]]\npath = 'a'",
            r#"5: routes[1].path = "a": expected a path that starts with "/""#,
        ),
        (
            "[[routes]]\npath = '/'\nrequire = true\nlogin = '//evil'",
            r#"7: routes[1].login = "//evil": expected a path on this host, such as "/login""#,
        ),
        ("routes = 1", "4: routes: expected a table for each, [[routes]] in two brackets"),
        (
            "[routes]\npath = '/'",
            "4: routes: expected a table for each, [[routes]] in two brackets",
        ),
    ]);
}

#[test]
fn what_a_route_cannot_say_is_named_with_what_it_can() {
    each_has_one_fault(&[
        (
            r#"[[routes]]
path = '/a'
require = 1"#,
            r#"6: routes[1].require = 1: expected true, false, or a table such as { "user.role" = ["admin", "owner"] }"#,
        ),
        (
            r#"[[routes]]
path = '/a'
require = {}"#,
            r#"6: routes[1].require = {…}: expected true, false, or a table such as { "user.role" = ["admin", "owner"] }"#,
        ),
        (
            r#"[[routes]]
path = '/a'
require = { 'a..b' = 1 }"#,
            r#"6: routes[1].require = {…}: expected for "a..b" a path into the dict, such as "user.name", with a key on each side of a dot"#,
        ),
        (
            r#"[[routes]]
path = '/a'
require = { a = [] }"#,
            r#"6: routes[1].require = {…}: expected for "a" at least one value"#,
        ),
        (
            r#"[[routes]]
path = '/a'
require = { a = [[1]] }"#,
            r#"6: routes[1].require = {…}: expected for "a" strings, numbers and booleans only"#,
        ),
        (
            r#"[[routes]]
path = '/a'
require = { a = nan }"#,
            r#"6: routes[1].require = {…}: expected for "a" strings, numbers and booleans only"#,
        ),
        (
            r#"[[routes]]
path = '/a'
require = { user.role = 'admin' }"#,
            r#"6: routes[1].require = {…}: expected for "user" a value or an array of them; a path with dots stands in quotes, as in "user.role""#,
        ),
        (
            r#"[[routes]]
path = '/a'
methods = 'GET'"#,
            r#"6: routes[1].methods = "GET": expected an array of methods such as "GET""#,
        ),
        (
            r#"[[routes]]
path = '/a'
methods = []"#,
            r#"6: routes[1].methods = […]: expected an array of methods such as "GET", at least one; remove the key for all methods"#,
        ),
        (
            r#"[[routes]]
path = '/a'
methods = ['get']"#,
            r#"6: routes[1].methods = […]: expected an array of methods such as "GET", in capitals"#,
        ),
        (
            r#"[[routes]]
path = '/a'
methods = ['TRACE']"#,
            r#"6: routes[1].methods = […]: expected methods that are passed on, and not TRACE, TRACK or CONNECT"#,
        ),
        (
            r#"[[routes]]
path = '/a'
backend = 'http://me@new'"#,
            r#"6: routes[1].backend = "http://…@new": expected a URL without user or password"#,
        ),
        (
            r#"[[routes]]
path = '/a'
log = 'no'"#,
            r#"6: routes[1].log = "no": expected true or false, without quotes"#,
        ),
        (
            "[[routes]]\npath = '/'\nsession = 'off'\nrequire = { a = 1 }",
            r#"7: routes[1].require does not go with session = "off""#,
        ),
        (
            "[[routes]]\npath = '/a'\nmethods = ['GET']\n[[routes]]\npath = '/a/'\nmethods = ['PUT', 'GET']",
            r#"8: routes[2].path: duplicate route: another [[routes]] has "/a/" for GET already"#,
        ),
    ]);
}

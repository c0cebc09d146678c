//! One path, and how servers read it.

use super::*;

#[test]
fn escapes_are_decoded_and_slashes_merged_and_dots_resolved() {
    let admin = [
        "/%61dmin",
        "/%61%64%6D%69%6e/x",
        "//admin",
        "///admin//x",
        "/./admin",
        "/x/../admin",
        "/x/%2e%2e/admin",
        "/x/.%2E/admin",
        "/../admin",
        "/static/../admin/x",
        "/static//../admin",
        "/static/../../admin",
        "/admin/help/../x",
        "/x/..//admin",
    ];
    assert_all(&site(), &required("/login"), &admin);
    let cafe = ["/caf%C3%A9%201/x", "/caf%c3%a9 1", "/caf\u{e9}%201/"];
    assert_all(&site(), &SessionRule::Off, &cafe);
    assert_all(&site(), &SessionRule::Off, &["/static/x%20y.css", "/static/.well-known/x"]);
    assert_all(&site(), &SessionRule::Off, &["/static/a//b", "/static/./a", "/static/a%2fb;v=1"]);
}

#[test]
fn where_raw_and_resolved_path_differ_the_stricter_holds() {
    let site = site();
    // As sent: admin. Resolved: another route.
    let admin = ["/admin/../static/x", "/admin/../x", "/admin/%2e%2e/x", "/admin/.."];
    assert_all(&site, &required("/login"), &admin);
    assert_all(&site, &required("/login"), &["/admin/help/../../admin/x", "/admin/x/../help"]);
    // As sent: open, resolved: off; and the reverse.
    assert_all(
        &site,
        &SessionRule::Open,
        &["/x/../static/y", "/static/../y", "//static/y", "/st%61tic/y"],
    );
}

#[test]
fn every_reading_of_a_server_counts() {
    let admin = [
        // Path parameters.
        "/static/..;/admin/",
        "/static/..;x=1/admin/",
        "/admin;x=1/",
        "/admin;",
        "/admin%3bx/y",
        "/static/%2e%2e;/admin",
        "/static/..%3b/admin",
        "/;x/admin",
        // Backslashes.
        "/static\\..\\admin",
        "/\\admin",
        "/static/..\\admin",
        "/static%5c..%5cadmin",
        "\\admin",
        // Escaped slashes, which some servers treat as slashes.
        "/%2fadmin",
        "/admin%2fx",
        "/static%2f..%2fadmin",
        "/static/..%2fadmin",
        "/x%2fy/%2e%2e/admin",
        "/admin/x%2f..%2f..%2f..%2fstatic",
        // Encoded twice and more.
        "/%2561dmin",
        "/static/%252e%252e/admin",
        "/static/%252e%252e%252fadmin",
        "/static/%25252e%25252e%25252fadmin",
        "/static/..%253b/admin",
        "/static/..%255cadmin",
        // URL parsers, and strings in C.
        "//host/admin",
        "/\\host/admin",
        "/admin#x",
        "/admin%23x",
        "/admin%3fx",
        "/admin%00x",
        "/static/../admin%00.css",
        // A host after any number of slashes.
        "///x/admin",
        "/\\/x/admin",
        "/\\\\x\\admin",
        // Control characters and invalid UTF-8.
        "/admin%0a",
        "/static/x%0d",
        "/static/%250a",
        "/admin%ff",
        "/static/%e9",
        "/static/x%7f",
        // Front controllers.
        "/index.php/admin",
        "/static/Index.PHP/admin/x",
        "/a.cgi/b.aspx/admin",
        // Upper case.
        "/ADMIN",
        "/Admin/x",
        "/%41dmin",
        "/static/..;/ADMIN",
        // No leading slash.
        "admin/x",
        "../admin",
        "./admin",
    ];
    assert_all(&site(), &required("/login"), &admin);
}

#[test]
fn a_path_with_a_stray_percent_falls_under_the_strictest_route() {
    let targets = [
        "/admin/%",
        "/admin%",
        "/admin%2",
        "/admin%zz",
        "/x%/a/../admin",
        "/static/100%",
        "/static/%zz",
        "/%admin",
        "/static/%%61",
    ];
    assert_all(&site(), &required("/login"), &targets);
    // Valid after decoding, so these are normal paths.
    assert_all(&site(), &SessionRule::Off, &["/static/100%25", "/static/x?100%"]);
    assert_all(&site(), &SessionRule::Open, &["/admin%25"]);
    assert_eq!(site().rule(b"/admin/\xff%ff"), required("/login"));
    assert_eq!(site().rule(b"/\xff/admin"), required("/login"));
}

#[test]
fn of_two_logins_that_of_the_resolved_path_is_used() {
    let site = site();
    assert_all(&site, &required("/root-login"), &["/admin/x/../root", "/admin/%72oot"]);
    assert_all(&site, &required("/login"), &["/admin/root/../x", "/admin/root%2f..%2fx"]);
}

#[test]
fn a_path_past_the_limits_falls_under_the_strictest_route() {
    let hostile = "/%25255c;a/..;/./%252f//%253bx".repeat(40);
    let long = format!("/static/{}", ";a".repeat(MAX_READ_BYTES));
    for target in [hostile, long] {
        assert_eq!(
            routes(&[("/static", SessionRule::Off)]).rule(target.as_bytes()),
            SessionRule::Open
        );
        assert!(matches!(site().rule(target.as_bytes()), SessionRule::Required { .. }));
    }
    // A long URL in another script stays below the limits.
    let long = format!("/static/{}?q", "%E4%BD%A0".repeat(2000));
    assert_all(&site(), &SessionRule::Off, &[&long]);
}

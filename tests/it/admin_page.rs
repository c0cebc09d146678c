//! The operator's page of the admin listener.

use crate::support::{Backend, Request, Sidecar, mint};

#[test]
fn the_page_says_what_is_the_case_without_scripts() {
    let backend = Backend::plain();
    let sidecar = Sidecar::before(&backend).with("[session]\nttl = \"1h\"").start();
    sidecar.get("/", Some(&mint("{}")));
    sidecar.counts(r#"cloakroom_session_checks_total{outcome="valid"}"#, 1.0);
    let page = sidecar.admin("/");
    assert_eq!(page.status(), 200);
    assert_eq!(page.value("Content-Type").as_deref(), Some("text/html; charset=utf-8"));
    let text = page.text();
    for part in [
        backend.url(),
        "app, not checked",
        "HS256",
        "signs and verifies",
        r#"outcome=&quot;valid&quot;}">1</td>"#,
        "There is no [store]",
        "Set <code>admin.token_file</code>",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn the_page_asks_nobody_else_and_runs_nothing_inline() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let page = sidecar.admin("/");
    let policy = page.value("Content-Security-Policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("http"), "{policy}");
    let text = page.text();
    for inline in ["style=", " onclick", "<style", "<script>", "http://www", "https://"] {
        assert!(!text.contains(inline), "{inline}");
    }
    for (path, media_type) in [("/page.css", "text/css"), ("/page.js", "text/javascript")] {
        let file = sidecar.admin(path);
        assert_eq!(file.status(), 200);
        assert!(file.value("Content-Type").unwrap().starts_with(media_type));
        assert_eq!(file.value("X-Content-Type-Options").as_deref(), Some("nosniff"));
    }
    assert_eq!(sidecar.ask_admin(&Request::new("POST", "/")).status(), 405);
}

#[test]
fn a_browser_that_comes_by_a_name_of_somebodys_is_shown_nothing() {
    let backend = Backend::plain();
    let sidecar = Sidecar::start(&backend);
    let browsers =
        [("Accept-Language", "de"), ("Origin", "http://evil.example"), ("Sec-Fetch-Site", "none")];
    for target in ["/", "/metrics", "/healthz", "/readyz", "/page.js", "/sessions", "/nowhere"] {
        let ask = |host: &str, fields: &[(&str, &str)]| {
            let request = Request::get(target).with("Host", host);
            let request = fields.iter().fold(request, |it, (name, value)| it.with(name, value));
            sidecar.ask_admin(&request)
        };
        let shown = ask("localhost", &[]).status();
        for browser in browsers {
            let answer = ask("evil.example:9090", &[browser]);
            assert_eq!(answer.status(), 421, "{target} {browser:?}");
            assert!(answer.text().starts_with("Anybody could have made this name"));
            for host in ["localhost:9090", "127.0.0.1:9090", "[::1]", "cloakroom"] {
                assert_eq!(ask(host, &[browser]).status(), shown, "{target} {host}");
            }
        }
        // Prometheus, probes and curl may use any name.
        assert_eq!(ask("cloakroom.shop.svc:9090", &[]).status(), shown, "{target}");
    }
}

#[test]
fn a_faulty_configuration_is_shown_in_full_until_it_is_mended() {
    let backend = Backend::plain();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cloakroom.toml");
    let sound = Sidecar::before(&backend).text();
    std::fs::write(&path, &sound).unwrap();
    let sidecar = Sidecar::before(&backend).file(path.clone()).start();
    std::fs::write(&path, format!("{sound}\n[cookie]\nsame_site = \"<b>\"\n")).unwrap();
    sidecar.signal("HUP");
    sidecar.wait_for_log("the configuration is faulty: the previous one stays in force", 0);
    let text = sidecar.admin("/").text();
    assert!(text.contains("cookie.same_site = &quot;&lt;b&gt;&quot;"), "{text}");
    std::fs::write(&path, &sound).unwrap();
    sidecar.signal("HUP");
    sidecar.wait_for_log("reloaded", 0);
    crate::support::eventually("no fault", || {
        (!sidecar.admin("/").text().contains("same_site")).then_some(())
    });
}

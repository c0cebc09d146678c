//! Configuration files.

use std::path::Path;

use cloakroom::config::file::{Loaded, Overrides, parse};
use cloakroom::config::{Config, StoreHome};

const REDACTED: &str = "(redacted)";

/// A text is either a configuration or has printable faults. The effective configuration can be
/// printed, contains no secret, and means the same when it is read again.
pub fn config(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let read = |text: &str| parse(text, Path::new("c.toml"), &Overrides::default());
    let lines = 1 + text.matches('\n').count();
    let loaded = match read(text) {
        Ok(loaded) => loaded,
        Err(faults) => {
            assert!(!faults.is_empty(), "refused without a reason");
            for fault in faults {
                assert!((1..=lines).contains(&fault.line), "no such line: {fault}");
                assert!(!fault.message.contains(char::is_control), "{fault:?}");
                assert!(!fault.message.is_empty());
            }
            return;
        }
    };
    for warning in &loaded.warnings {
        assert!(!warning.contains(char::is_control), "{warning:?}");
    }
    for key in loaded.effective["keys"].as_array().expect("an array of keys") {
        assert!(key.get("secret").is_none_or(|secret| secret.as_str() == Some(REDACTED)));
    }

    let printed = toml::to_string(&loaded.effective).expect("a table can be printed");
    let again = read(&printed).unwrap_or_else(|faults| panic!("{faults:#?}\n{printed}"));
    assert_eq!(again.effective, loaded.effective, "what is in force");
    assert_eq!(again.warnings, loaded.warnings);
    assert_eq!(shown(&again), shown(&loaded), "what it means");

    for target in ["/", "/admin/x", "/static/../admin", "*", "//a%2fb;c"] {
        for method in ["GET", "POST", "post"] {
            let found =
                |config: &Config| format!("{:?}", config.routes.find(method, target.as_bytes()));
            assert_eq!(found(&again.config), found(&loaded.config), "{method} {target}");
        }
    }
}

/// Every part of the configuration except the line numbers of keys.
fn shown(loaded: &Loaded) -> String {
    // Without "..", so that a new part must be added here.
    let Config {
        listen,
        backend,
        route_backends,
        keys,
        headers,
        signature,
        session,
        revoked_file,
        forward_cookie,
        vary,
        on_bad_save,
        cross_site,
        trusted_origins,
        recheck,
        store,
        routes,
        trusted_proxies,
        strip,
        odd_header_names,
        admin,
        admin_token,
        log,
        limits,
        timeouts,
        shutdown_timeout,
        tls,
        backend_tls,
        health_check,
        socket_mode,
        upgrade_socket,
        workers,
    } = &loaded.config;
    let tls = tls.as_ref().map(|tls| (&tls.files.cert, &tls.files.key, &tls.listen));
    let store = store.clone().map(|mut store| {
        if let StoreHome::Server(spec) = &mut store.home {
            spec.line = 0;
        }
        store
    });
    let admin_token = admin_token.as_ref().map(|token| &token.path);
    // The printed form is sorted; the order of claims does not matter.
    let mut headers = headers.clone();
    headers.claims.sort_by(|one, other| one.field.as_str().cmp(other.field.as_str()));
    let keys: Vec<_> = keys
        .iter()
        .map(|key| (&key.id, key.algorithm, &key.source, key.encoding, key.allow_weak_secret))
        .collect();
    format!(
        "{:#?}",
        (
            (keys, listen, backend, route_backends, headers, session, routes),
            (revoked_file, forward_cookie, vary, on_bad_save, store),
            (
                cross_site,
                trusted_origins,
                recheck,
                signature.as_ref().map(|it| (&it.secret_file, &it.id, it.max_age))
            ),
            (trusted_proxies, strip, odd_header_names, admin, admin_token, log, limits, timeouts),
            (shutdown_timeout, workers),
            (tls, backend_tls, health_check, socket_mode, upgrade_socket),
        )
    )
}

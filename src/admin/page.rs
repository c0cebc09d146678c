//! The operator's page. It is part of the binary, loads nothing from other servers, and shows the
//! current state even without scripts. What needs the token is requested by its script with a
//! header: there is no cookie that another site could abuse.

use std::collections::HashMap;
use std::fmt::{Display, Write as _};

use http::header::{CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_FRAME_OPTIONS};
use http::{HeaderValue, Response, StatusCode};

use super::answer::answer;
use super::listening::Listening;
use crate::clock;
use crate::html::Text;
use crate::metrics::{Action, BackendError, Conflict};
use crate::session::cookie::Transport;
use crate::session::{Holds, Outcome};
use crate::state::{Shared, State};
use crate::store::operation::Outage;

const HEAD: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// No external sources, nothing inline, and no text parsed as markup.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

/// A file of the page.
pub(super) fn file(path: &str) -> Option<Response<Vec<u8>>> {
    match path {
        "/page.css" => Some(answer(StatusCode::OK, "text/css; charset=utf-8", STYLE)),
        "/page.js" => Some(answer(StatusCode::OK, "text/javascript; charset=utf-8", SCRIPT)),
        _ => None,
    }
}

/// The page with the current state. `ready` is the answer of `/readyz`.
pub(super) fn page(
    shared: &Shared,
    listening: &Listening,
    is_ready: bool,
    ready: &str,
) -> Response<Vec<u8>> {
    let state = shared.state.load_full();
    let metrics = String::from_utf8(shared.render_metrics()).unwrap_or_default();
    let figures = Figures::of(&metrics);
    let html = [
        HEAD.to_owned(),
        header(is_ready, ready),
        "<main id=\"main\" tabindex=\"-1\">\n".into(),
        plots(state.config.store.is_some()),
        ways(&state, listening),
        keys(&state, &figures),
        sessions(&figures),
        trouble(&figures),
        store(&state, &figures),
        reloads(shared, &figures),
        operate(&state),
        "</main>\n</body>\n</html>\n".into(),
    ]
    .concat();
    let mut response = answer(StatusCode::OK, "text/html; charset=utf-8", html);
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    response
}

/// The current values of the metrics by series.
struct Figures<'a>(HashMap<&'a str, &'a str>);

impl<'a> Figures<'a> {
    fn of(metrics: &'a str) -> Self {
        let lines = metrics.lines().filter(|line| !line.starts_with('#'));
        Self(lines.filter_map(|line| line.rsplit_once(' ')).collect())
    }

    /// A cell that the script updates.
    fn cell(&self, series: &str) -> String {
        let value = self.0.get(series).copied().unwrap_or("–");
        let series = Text(series);
        format!("<td class=\"number\" data-series=\"{series}\">{}</td>", Text(value))
    }
}

fn section(id: &str, title: &str, body: &str) -> String {
    format!("<section aria-labelledby=\"{id}\">\n<h2 id=\"{id}\">{title}</h2>\n{body}</section>\n")
}

fn row(name: impl Display, cells: &str) -> String {
    format!("<tr><th scope=\"row\">{}</th>{cells}</tr>\n", Text(name))
}

fn table(caption: [&str; 2], rows: &str) -> String {
    let [name, value] = caption;
    format!(
        "<table><thead><tr><th scope=\"col\">{name}</th><th scope=\"col\" class=\"number\">{value}\
         </th></tr></thead>\n<tbody>\n{rows}</tbody></table>\n"
    )
}

/// A table with a row for each value of a label.
fn by_label<'l>(
    figures: &Figures<'_>,
    [name, value]: [&str; 2],
    family: &str,
    label: &str,
    values: impl IntoIterator<Item = &'l str>,
) -> String {
    let mut rows = String::new();
    for one in values {
        rows += &row(one, &figures.cell(&format!("{family}{{{label}=\"{one}\"}}")));
    }
    table([name, value], &rows)
}

fn header(is_ready: bool, ready: &str) -> String {
    let class = if is_ready { "good" } else { "bad" };
    let now = clock::now().to_rfc3339();
    format!(
        "<header><h1>cloakroom</h1>\n<p>version {}</p>\n<p class=\"{class}\">{}</p>\n\
         <p>as of <time datetime=\"{now}\">{now}</time></p>\n\
         <p id=\"live\" role=\"status\"><noscript><span>reload for newer figures: scripts are off</span></noscript></p>\
         </header>\n",
        Text(env!("CARGO_PKG_VERSION")),
        Text(ready.trim_end()),
    )
}

fn plots(has_store: bool) -> String {
    let all = [
        ("requests", "Requests", "per s"),
        ("errors", "Answers of 500 and above", "per s"),
        ("latency", "Whole exchange, mean", "ms"),
        ("backend", "App, mean", "ms"),
        ("flight", "Requests under way", ""),
        ("connections", "Connections of clients", ""),
        ("writes", "Sessions written", "per s"),
        ("store", "Store, mean", "ms"),
    ];
    let mut figures = String::new();
    for (name, title, unit) in all {
        if name == "store" && !has_store {
            continue;
        }
        let _ = writeln!(
            figures,
            "<figure><figcaption>{title} <output data-value=\"{name}\">–</output></figcaption>\
             <svg data-plot=\"{name}\" data-unit=\"{unit}\" viewBox=\"0 0 300 60\" \
             preserveAspectRatio=\"none\" role=\"img\" aria-label=\"{title}, the last two minutes\">\
             </svg></figure>"
        );
    }
    format!(
        "<section class=\"wide\" id=\"plots\" aria-labelledby=\"live-figures\" hidden>\n\
         <h2 id=\"live-figures\">The last two minutes</h2>\n<div class=\"plots\">\n{figures}</div></section>\n"
    )
}

/// The listeners and the backends.
fn ways(state: &State, listening: &Listening) -> String {
    let mut rows = String::new();
    for (listen, transport) in &listening.clients {
        let how = if *transport == Transport::Tls { "TLS" } else { "in the clear" };
        rows += &row(listen, &format!("<td>clients, {how}</td>"));
    }
    rows += &row(&listening.admin, "<td>this page, metrics and health</td>");
    let is_checked = state.config.health_check.is_some();
    for app in state.apps.iter() {
        let (class, word) = match (is_checked, app.health.is_known(), app.health.is_good()) {
            (false, ..) => ("soft", "app, not checked"),
            (true, false, _) => ("soft", "app, not asked yet"),
            (true, true, true) => ("good", "app, healthy"),
            (true, true, false) => ("bad", "app, not healthy"),
        };
        rows += &row(&app.name, &format!("<td class=\"{class}\">{word}</td>"));
    }
    section(
        "ways",
        "Listeners and apps",
        &format!("<table class=\"free\"><tbody>\n{rows}</tbody></table>\n"),
    )
}

fn keys(state: &State, figures: &Figures<'_>) -> String {
    let mut rows = String::new();
    for (index, key) in state.keys.iter() {
        let label = state.keys.label(index);
        let what = if index.0 == 0 { "signs and verifies" } else { "verifies" };
        let uses = |kind: &str| {
            figures.cell(&format!("cloakroom_key_uses_total{{key=\"{label}\",use=\"{kind}\"}}"))
        };
        let cells = format!(
            "<td>{}, {what}</td>{}{}",
            Text(key.algorithm().name()),
            uses("sign"),
            uses("verify")
        );
        rows += &row(label, &cells);
    }
    let hint = match (state.keys.iter().count(), state.config.session.ttl) {
        (1, _) => "One key: nothing is being rotated.".to_owned(),
        (_, Some(ttl)) => format!(
            "An older key can go once session.ttl ({}) has passed since it last signed: no token of it \
             is good any more.",
            humantime::format_duration(ttl)
        ),
        (_, None) => "An older key can go when its “verified” stands still: without session.ttl, \
                      tokens of it never expire."
            .to_owned(),
    };
    let body = format!(
        "<div class=\"scroll\" role=\"group\" aria-labelledby=\"keys\" tabindex=\"0\"><table><thead><tr>\
         <th scope=\"col\">key</th><th scope=\"col\">what</th>\
         <th scope=\"col\" class=\"number\">signed</th><th scope=\"col\" class=\"number\">verified</th>\
         </tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n<p class=\"soft\">{}</p>\n",
        Text(hint)
    );
    section("keys", "Keys", &body)
}

fn sessions(figures: &Figures<'_>) -> String {
    let checks = by_label(
        figures,
        ["cookie was", "requests"],
        "cloakroom_session_checks_total",
        "outcome",
        Outcome::ALL.map(Outcome::label),
    );
    let writes = by_label(
        figures,
        ["answer", "sessions"],
        "cloakroom_session_writes_total",
        "action",
        Action::ALL.map(Action::label),
    );
    let conflicts = by_label(
        figures,
        ["conflict was", "writes"],
        "cloakroom_session_conflicts_total",
        "result",
        Conflict::ALL.map(Conflict::label),
    );
    [
        section("outcomes", "Outcomes", &checks),
        section("writes", "Writes", &writes),
        section("conflicts", "Conflicts", &conflicts),
    ]
    .concat()
}

fn trouble(figures: &Figures<'_>) -> String {
    let errors = by_label(
        figures,
        ["app failed by", "requests"],
        "cloakroom_backend_errors_total",
        "kind",
        BackendError::ALL.map(BackendError::label),
    );
    section("errors", "Trouble with apps", &errors)
}

fn store(state: &State, figures: &Figures<'_>) -> String {
    let body = match &state.config.store {
        None => "<p>There is no [store]: sessions are in cookies.</p>\n".to_owned(),
        Some(store) => {
            let holds = match store.holds {
                Holds::Sessions => "sessions",
                Holds::Revocations => "revocations",
            };
            let up = table(
                ["state", "now"],
                &row("answers (1) or not (0)", &figures.cell("cloakroom_store_up")),
            );
            let errors = by_label(
                figures,
                ["no answer because of", "calls"],
                "cloakroom_store_errors_total",
                "kind",
                Outage::ALL.map(Outage::label),
            );
            let home = &store.home;
            format!("<p>Holds {holds}, in <code>{}</code></p>\n{up}{errors}", Text(home))
        }
    };
    section("store", "Store", &body)
}

fn reloads(shared: &Shared, figures: &Figures<'_>) -> String {
    let mut body = by_label(
        figures,
        ["reload was a", "times"],
        "cloakroom_config_reloads_total",
        "outcome",
        ["success", "failure"],
    );
    if let Some((at, faults)) = &*shared.last_fault.lock() {
        let at = at.to_rfc3339();
        let _ = writeln!(
            body,
            "<p class=\"bad\">At {at} the configuration was faulty, and the one before is in force:</p>\
             <pre>{}</pre>",
            Text(faults.join("\n"))
        );
    }
    section("reloads", "Reloads", &body)
}

/// The part that needs the token.
fn operate(state: &State) -> String {
    let body = if state.admin_token.is_some() {
        OPERATE.to_owned()
    } else {
        "<p>Set <code>admin.token_file</code>, and sessions of a user can be ended and tokens explained \
         here.</p>\n"
            .to_owned()
    };
    format!(
        "<section class=\"wide\" aria-labelledby=\"operator\">\n<h2 id=\"operator\">Sessions and tokens</h2>\n\
         {body}</section>\n"
    )
}

const OPERATE: &str = include_str!("operate.html");

//! The pages of the shop as HTML. All input is escaped by [`Text`].

use std::fmt::Write as _;

use http::Request;

use super::article::{Article, SHELF};
use super::diary::Exchange;
use super::visitor::Visitor;
use crate::html::Text;

/// What the sidecar and the app sent each other, for the foot of each page.
pub(super) struct Wire<'a> {
    /// The value of `X-Session` for this page.
    pub(super) received: &'a str,
    /// The last form.
    pub(super) last: Option<&'a Exchange>,
    /// Whether the sessions are in a store.
    pub(super) has_store: bool,
}

/// A complete page around its main part.
pub(super) fn whole(
    title: &str,
    path: &str,
    visitor: &Visitor,
    wire: &Wire<'_>,
    main: &str,
) -> String {
    let mut links = String::new();
    for (to, name) in [
        ("/", "Home"),
        ("/counter", "Counter"),
        ("/basket", "Basket"),
        ("/inside", "What happened"),
    ] {
        let here = if to == path { r#" aria-current="page""# } else { "" };
        let pieces = visitor.basket().map(|(_, pieces)| pieces).sum::<u64>();
        let badge = match pieces {
            1.. if to == "/basket" => format!(r#" <b class="badge">{pieces}</b>"#),
            _ => String::new(),
        };
        let _ = write!(links, r#"<a href="{to}"{here}>{name}{badge}</a>"#);
    }
    let who = match visitor.name() {
        Some(name) => format!(
            r#"<span class="who">{}</span><form method="post" action="/logout"><button class="quiet">Log out</button></form>{}"#,
            Text(name),
            if wire.has_store { LOG_OUT_EVERYWHERE } else { "" }
        ),
        None => r#"<a class="button quiet" href="/login">Log in</a>"#.to_owned(),
    };
    format!(
        r##"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title} · Hat &amp; Coat</title>
<link rel="stylesheet" href="/style.css">
</head>
<body>
<a class="skip" href="#main">Skip to the content</a>
<header>
<div class="wide bar">
<a class="brand" href="/">{HANGER}<span>Hat &amp; Coat</span></a>
<div class="account">{who}</div>
<nav aria-label="Pages">{links}</nav>
</div>
</header>
<main id="main" class="wide">
{main}
{panel}
</main>
<footer><p class="wide">A demo of <strong>cloakroom</strong>: a sidecar that keeps the sessions of apps that have none.</p></footer>
</body>
</html>
"##,
        title = Text(title),
        panel = panel(wire),
    )
}

const LOG_OUT_EVERYWHERE: &str = r#"<form method="post" action="/logout-everywhere"><button class="quiet">Log out everywhere</button></form>"#;

const HANGER: &str = r#"<svg viewBox="0 0 48 48" aria-hidden="true"><path d="M19 15a5 5 0 1 1 7 4.6q-2 .9-2 3.4"/><path d="M24 23L43 36q2 3-2 3H7q-4 0-2-3z"/></svg>"#;

/// The foot of each page: both directions of the exchange.
fn panel(wire: &Wire<'_>) -> String {
    let sent = match wire.last {
        Some(last) => format!(
            "<p class=\"note\">With its answer to your last action, <code>{}</code>:</p>{}",
            Text(&last.request),
            control(last)
        ),
        None => r#"<p class="note">Nothing yet. Count, put something into the basket or log in, and look here again.</p>"#
            .to_owned(),
    };
    format!(
        r#"<section class="wire" aria-label="On the wire">
<div><h2>The app received</h2><p class="note">With the request for this page:</p>{}</div>
<div><h2>The app sent</h2>{sent}</div>
</section>"#,
        field("X-Session", wire.received)
    )
}

/// A header as sent. Allows line breaks after commas.
fn field(name: &str, value: &str) -> String {
    let value = Text(value).to_string().replace(',', ",<wbr>");
    format!(r#"<pre class="field"><b>{}:</b> {value}</pre>"#, Text(name))
}

fn control(exchange: &Exchange) -> String {
    exchange.sent.iter().map(|(name, value)| field(name, value)).collect()
}

/// The home page.
pub(super) fn home(visitor: &Visitor, has_store: bool) -> String {
    let keeps = match has_store {
        true => "keeps your session in a file, and the ticket for it in a signed cookie,",
        false => "keeps your session in a signed cookie",
    };
    let (greeting, first) = match visitor.name() {
        Some(name) => (format!("Good to see you, {}.", Text(name)), stay(visitor)),
        None => (
            "May we take your coat?".to_owned(),
            format!("<section class=\"card\"><h2>Log in</h2>{}</section>", login_form("")),
        ),
    };
    format!(
        r#"<div class="hero"><h1>{greeting}</h1>
<p class="lead">This shop has never heard of cookies. A sidecar stands at the door: it {keeps} and hands it to the shop as plain JSON in a header.</p></div>
{FLOW}
<div class="cards">
{first}
<section class="card"><h2>Counter</h2><p class="number">{count}</p><p class="note">An <code>X-Session-Save</code> replaces the whole session.</p>{button}</section>
<section class="card"><h2>Basket</h2>{basket}<p class="note">An <code>X-Session-Merge</code> changes one thing in it.</p><a class="button" href="/basket">To the shelf</a></section>
</div>"#,
        count = visitor.count(),
        button = count_button(),
        basket = basket_in_short(visitor),
    )
}

const FLOW: &str = r#"<ol class="flow" aria-label="The way of a session">
<li><strong>Browser</strong><span>keeps one cookie</span></li>
<li class="way"><span>Cookie</span><span>Set-Cookie</span></li>
<li class="sidecar"><strong>cloakroom</strong><span>verifies and signs</span></li>
<li class="way"><span>X-Session</span><span>X-Session-Save</span></li>
<li><strong>This shop</strong><span>reads and writes JSON</span></li>
</ol>"#;

/// The session of a visitor who has logged in.
fn stay(visitor: &Visitor) -> String {
    let (until, how) = if visitor.is_remembered() {
        ("30 days", "The cookie outlives the browser, as you asked at log-in.")
    } else {
        ("This visit", "The cookie ends with the browser.")
    };
    format!(
        r#"<section class="card"><h2>Your session</h2><p class="number">{until}</p><p class="note">{how}</p><a class="button" href="/inside">Look inside</a></section>"#
    )
}

fn count_button() -> &'static str {
    r#"<form method="post" action="/counter"><button>Count</button></form>"#
}

fn basket_in_short(visitor: &Visitor) -> String {
    let pieces: u64 = visitor.basket().map(|(_, pieces)| pieces).sum();
    format!(
        r#"<p class="number">{pieces}<small> {}</small></p>"#,
        if pieces == 1 { "thing" } else { "things" }
    )
}

/// The log-in page.
pub(super) fn login(typed: &str, problem: Option<&str>) -> String {
    let problem =
        problem.map(|problem| format!(r#"<p class="problem" role="alert">{}</p>"#, Text(problem)));
    format!(
        r#"<section class="card narrow"><h1>Log in</h1>{}{}</section>"#,
        problem.unwrap_or_default(),
        login_form(typed)
    )
}

fn login_form(typed: &str) -> String {
    format!(
        r#"<form method="post" action="/login" class="stack">
<label>Your name <input name="name" required maxlength="40" autocomplete="given-name" value="{}"></label>
<label class="check"><input type="checkbox" name="remember" value="1"> Remember me for 30 days</label>
<button>Log in</button>
<p class="note">Any name will do: there is no password here.</p>
</form>"#,
        Text(typed)
    )
}

/// The counter.
pub(super) fn counter(visitor: &Visitor, has_store: bool) -> String {
    let place = match has_store {
        true => "The number is in your session, which is in the sidecar's file.",
        false => "The number is nowhere but in your cookie.",
    };
    format!(
        r#"<section class="card narrow centre"><h1>Counter</h1>
<p class="number big">{}</p>
<div class="row">{}<form method="post" action="/counter"><input type="hidden" name="do" value="reset"><button class="quiet">Start over</button></form></div>
<p class="note">{place} The shop sees it come in and sends it back, one higher.</p></section>"#,
        visitor.count(),
        count_button()
    )
}

/// The shelf and the basket.
pub(super) fn basket(visitor: &Visitor, has_store: bool) -> String {
    let shelf: String = SHELF.iter().map(on_the_shelf).collect();
    let mut rows = String::new();
    for (article, pieces) in visitor.basket() {
        let _ = write!(
            rows,
            r#"<tr><td>{name}</td><td class="right">{pieces}</td><td class="right">€ {sum}</td><td class="right"><form method="post" action="/basket"><input type="hidden" name="article" value="{id}"><input type="hidden" name="do" value="remove"><button class="link" aria-label="Remove {name}">Remove</button></form></td></tr>"#,
            name = article.name,
            id = article.id,
            sum = pieces.saturating_mul(article.euros),
        );
    }
    let total = visitor.basket().fold(0_u64, |sum, (article, pieces)| {
        sum.saturating_add(pieces.saturating_mul(article.euros))
    });
    let basket = if rows.is_empty() {
        r#"<p class="note">Nothing in it yet.</p>"#.to_owned()
    } else {
        format!(
            r#"<table><thead><tr><th>Article</th><th class="right">Pieces</th><th class="right">Price</th><th><span class="hidden">Action</span></th></tr></thead><tbody>{rows}</tbody><tfoot><tr><th>Total</th><td></td><td class="right"><b>€ {total}</b></td><td></td></tr></tfoot></table>"#
        )
    };
    format!(
        r#"<h1>The shelf</h1><div class="shelf">{shelf}</div><section class="card"><h2>Your basket</h2>{basket}</section>{}"#,
        if has_store { greeting(visitor) } else { String::new() }
    )
}

fn greeting(visitor: &Visitor) -> String {
    let greeting = visitor.greeting();
    format!(
        r#"<section class="card"><h2>A greeting to go with it</h2><form method="post" action="/greeting" class="stack"><label>Your words, up to 6000 characters <textarea name="greeting" maxlength="6000" rows="4">{}</textarea></label><button>Keep</button></form><p class="note"><span class="number" id="greeting">{}</span> characters so far. A cookie holds 4096 bytes; your cookie holds a ticket, and the greeting is in the sidecar's file.</p></section>"#,
        Text(greeting),
        greeting.chars().count(),
    )
}

fn on_the_shelf(article: &Article) -> String {
    format!(
        r#"<section class="card article"><svg viewBox="0 0 48 48" aria-hidden="true">{}</svg><h2>{}</h2><p class="note">{}</p><div class="row"><span class="price">€ {}</span><form method="post" action="/basket"><input type="hidden" name="article" value="{}"><button aria-label="Add {}">Add</button></form></div></section>"#,
        article.drawing, article.name, article.note, article.euros, article.id, article.name,
    )
}

/// The page about requests and answers.
pub(super) fn inside(exchanges: &[Exchange], fields: &[(String, String)], host: &str) -> String {
    let past: String = exchanges.iter().map(exchange).collect();
    let past = if past.is_empty() {
        r#"<p class="note">You have not done anything yet.</p>"#.to_owned()
    } else {
        format!(r#"<ol class="past">{past}</ol>"#)
    };
    let mut rows = String::new();
    for (name, value) in fields {
        let mark = if name == "X-Session" { r#" class="marked""# } else { "" };
        let _ = write!(rows, "<tr{mark}><th>{}</th><td>{}</td></tr>", Text(name), Text(value));
    }
    format!(
        r#"<h1>What happened</h1>
<p class="lead">Your last actions, newest first: the header that the shop received, and the headers that it sent back. None of them reaches the browser.</p>
{past}
<section class="card"><h2>This request, as the shop received it</h2>
<p class="note">All of its headers. Look for <code>Cookie</code>: the sidecar has taken the session's out. Other cookies pass.</p>
<table class="fields"><tbody>{rows}</tbody></table></section>
<section class="card"><h2>Try to cheat</h2>
<p>A client that sends the header itself gets nowhere: the sidecar takes it away and puts its own in its place.</p>
<pre>curl -H 'X-Session: {{"name":"The boss"}}' http://{}/received.txt</pre></section>"#,
        Text(host)
    )
}

fn exchange(exchange: &Exchange) -> String {
    let meanings: String = exchange
        .sent
        .iter()
        .map(|(name, value)| format!("<li>{}</li>", meaning(name, value)))
        .collect();
    format!(
        r#"<li class="card"><h2><code>{}</code> <small>{}</small></h2><div class="halves"><div><h3>Received</h3>{}</div><div><h3>Sent</h3>{}</div></div><ul class="note">{meanings}</ul></li>"#,
        Text(&exchange.request),
        Text(&exchange.status),
        field("X-Session", &exchange.received),
        control(exchange),
    )
}

/// What the sidecar does for a control header.
fn meaning(name: &str, value: &str) -> &'static str {
    match name {
        "X-Session-Save" => "The sidecar signed the new session and set the cookie.",
        "X-Session-Merge" => {
            "The sidecar changed what is named here, left the rest as it was, signed it and set the cookie."
        }
        "X-Session-Max-Age" if value == "0" => "The cookie ends with the browser.",
        "X-Session-Max-Age" => "The cookie lives for that many seconds.",
        "X-Session-Delete" if value == "all" => {
            "The sidecar ended each session of this name, and deleted the cookie."
        }
        _ => "The sidecar deleted the cookie.",
    }
}

/// After the log-out.
pub(super) fn goodbye() -> &'static str {
    r#"<section class="card narrow centre"><h1>Goodbye</h1><p>You are logged out. The shop asked for it with one header, and the sidecar deleted the cookie.</p><div class="row"><a class="button" href="/">Come in again</a></div></section>"#
}

/// The 404 page.
pub(super) fn not_found() -> &'static str {
    r#"<section class="card narrow centre"><p class="number big">404</p><h1>Nothing hangs here</h1><p class="note">We have looked on every hook.</p><div class="row"><a class="button" href="/">Back to the door</a></div></section>"#
}

pub(super) fn not_ours() -> &'static str {
    r#"<section class="card narrow centre"><p class="number big">403</p><h1>Not our form</h1><p class="note">It was sent from a page of another site.</p><div class="row"><a class="button" href="/">Back to the door</a></div></section>"#
}

/// The headers of a request, sorted by name.
pub(super) fn fields(request: &Request<Vec<u8>>) -> Vec<(String, String)> {
    let mut fields: Vec<(String, String)> = request
        .headers()
        .iter()
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (in_title_case(name.as_str()), value)
        })
        .collect();
    fields.sort();
    fields
}

/// A request as plain text, for curl.
pub(super) fn as_text(request: &Request<Vec<u8>>) -> String {
    let mut text = format!("{} {}\n", request.method(), request.uri());
    for (name, value) in fields(request) {
        let _ = writeln!(text, "{name}: {value}");
    }
    text
}

/// `x-session` → `X-Session`
fn in_title_case(name: &str) -> String {
    let mut starts = true;
    name.chars()
        .map(|char| {
            let first = std::mem::replace(&mut starts, char == '-');
            if first { char.to_ascii_uppercase() } else { char }
        })
        .collect()
}

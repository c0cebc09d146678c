//! The shop. It knows nothing about cookies: it reads `X-Session` and answers with the control
//! headers, like any app behind the sidecar.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use pingora_core::apps::http_app::ServeHttp;
use pingora_core::protocols::http::ServerSession;
use serde_json::{Value, json};

use super::article;
use super::diary::{Diary, Exchange};
use super::form::Form;
use super::page::{self, Wire};
use super::reply::Reply;
use super::visitor::Visitor;

/// The maximum length of a form in bytes.
const LONGEST_FORM: usize = 96 * 1024;
/// The maximum length of a name in characters.
const LONGEST_NAME: usize = 40;
/// The maximum length of a greeting for a basket, in characters.
const LONGEST_GREETING: usize = 6000;
/// The maximum number of one article in a basket.
const MOST_PIECES: u64 = 99;
/// How many past exchanges the page "inside" shows.
const EXCHANGES_SHOWN: usize = 6;

/// The lifetime for "remember me" in seconds: 30 days.
const REMEMBERED: &str = "2592000";
/// Until the browser is closed.
const FORGOTTEN: &str = "0";

/// The shop, with a log of its recent answers.
#[derive(Debug, Default)]
pub(super) struct App {
    diary: Diary,
    /// Whether its sessions are in a store; changes only what it offers.
    has_store: bool,
}

#[async_trait]
impl ServeHttp for App {
    async fn response(&self, session: &mut ServerSession) -> Response<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            match session.read_request_body().await {
                Ok(Some(part)) if body.len() + part.len() > LONGEST_FORM => {
                    return Reply::plain(StatusCode::PAYLOAD_TOO_LARGE, "That form is too long.")
                        .into_response(false);
                }
                Ok(Some(part)) => body.extend_from_slice(&part),
                Ok(None) => break,
                Err(_) => {
                    return Reply::plain(StatusCode::BAD_REQUEST, "The form broke off.")
                        .into_response(false);
                }
            }
        }
        let head = session.req_header().as_owned_parts();
        self.answer(&Request::from_parts(head, body))
    }
}

impl App {
    /// A shop with sessions in cookies or in a store.
    pub(super) fn new(has_store: bool) -> Self {
        Self { diary: Diary::default(), has_store }
    }

    /// The answer to a request.
    pub(super) fn answer(&self, request: &Request<Vec<u8>>) -> Response<Vec<u8>> {
        let visitor = Visitor::of(request.headers().get("x-session"));
        let reply = match *request.method() {
            Method::GET | Method::HEAD => self.show(request, &visitor),
            Method::POST => self.act(request, &visitor),
            _ => Reply::method_not_allowed(),
        };
        reply.into_response(request.method() == Method::HEAD)
    }

    fn show(&self, request: &Request<Vec<u8>>, visitor: &Visitor) -> Reply {
        let exchanges = match visitor.diary_id() {
            Some(id) => self.diary.of(id, EXCHANGES_SHOWN),
            None => Vec::new(),
        };
        let path = request.uri().path();
        let has_store = self.has_store;
        let wire = Wire { received: received(request), last: exchanges.first(), has_store };
        let page = |title: &str, main: &str| {
            Reply::page(StatusCode::OK, &page::whole(title, path, visitor, &wire, main))
        };
        match path {
            "/" => page("Welcome", &page::home(visitor, has_store)),
            "/login" if visitor.name().is_some() => Reply::see_other("/"),
            "/login" => page("Log in", &page::login("", None)),
            "/counter" => page("Counter", &page::counter(visitor, has_store)),
            "/basket" => page("Basket", &page::basket(visitor, has_store)),
            "/inside" => {
                let main = page::inside(&exchanges, &page::fields(request), &host(request));
                page("What happened", &main)
            }
            "/received.txt" => Reply::plain(StatusCode::OK, &page::as_text(request)),
            "/goodbye" => {
                let deleted = match request.uri().query() {
                    Some("everywhere") => deletion("/logout-everywhere", "all"),
                    _ => deletion("/logout", "1"),
                };
                let wire = Wire { last: Some(&deleted), ..wire };
                let main = page::goodbye();
                Reply::page(StatusCode::OK, &page::whole("Goodbye", path, visitor, &wire, main))
            }
            "/style.css" => Reply::style(include_str!("style.css")),
            _ => {
                let main = page::not_found();
                let body = page::whole("Not found", path, visitor, &wire, main);
                Reply::page(StatusCode::NOT_FOUND, &body)
            }
        }
    }

    fn act(&self, request: &Request<Vec<u8>>, visitor: &Visitor) -> Reply {
        let form = Form::parse(request.body());
        let path = request.uri().path();
        // The first action of a visitor creates an id for the diary.
        let id = match visitor.diary_id() {
            Some(id) => Some(id.to_owned()),
            None => random_id(),
        };
        let place = json!(id);
        let deed = match path {
            // SameSite keeps forms of other sites from using the session, but not from replacing it
            // by their answers.
            _ if is_from_elsewhere(request) => Err(Refusal {
                status: StatusCode::FORBIDDEN,
                title: "Not our form",
                main: page::not_ours().to_owned(),
            }),
            "/login" => log_in(&form, visitor, &place),
            "/counter" => Ok(count(&form, visitor, &place)),
            "/basket" => change_basket(&form, visitor, &place, self.has_store),
            "/greeting" if self.has_store => greet(&form, visitor, &place),
            "/logout" => Ok(Deed { control: deletion(path, "1").sent, then: "/goodbye" }),
            "/logout-everywhere" if self.has_store => {
                Ok(Deed { control: deletion(path, "all").sent, then: "/goodbye?everywhere" })
            }
            _ => Err(Refusal {
                status: StatusCode::NOT_FOUND,
                title: "Not found",
                main: page::not_found().to_owned(),
            }),
        };
        match deed {
            Ok(deed) => {
                let reply = Reply::see_other(deed.then).with_control(deed.control);
                // The back button must not show private pages, even where no-store is not enough.
                let reply = if is_log_out(path) { reply.clearing_the_cache() } else { reply };
                if let Some(id) = id {
                    let exchange = Exchange {
                        request: format!("POST {path}"),
                        received: received(request).to_owned(),
                        status: reply.status.to_string(),
                        sent: reply.control.clone(),
                    };
                    self.diary.note(&id, exchange);
                }
                reply
            }
            Err(refusal) => {
                let has_store = self.has_store;
                let wire = Wire { received: received(request), last: None, has_store };
                let body = page::whole(refusal.title, path, visitor, &wire, &refusal.main);
                Reply::page(refusal.status, &body)
            }
        }
    }
}

fn is_log_out(path: &str) -> bool {
    path.starts_with("/logout")
}

/// The effect of a form.
struct Deed {
    control: Vec<(&'static str, String)>,
    then: &'static str,
}

/// Why a form has no effect.
struct Refusal {
    status: StatusCode,
    title: &'static str,
    main: String,
}

fn log_in(form: &Form, visitor: &Visitor, place: &Value) -> Result<Deed, Refusal> {
    let typed = form.get("name").unwrap_or_default();
    // A header is a single line, so a name must be too.
    let name: String = typed.chars().filter(|char| !char.is_control()).collect();
    let name = name.trim();
    let problem = match name.chars().count() {
        0 => Some("Please tell us a name."),
        1..=LONGEST_NAME => None,
        _ => Some("Please take a shorter name: 40 characters at most."),
    };
    if let Some(problem) = problem {
        return Err(Refusal {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            title: "Log in",
            main: page::login(name, Some(problem)),
        });
    }
    let (remember, max_age) = match form.get("remember") {
        Some(_) => (Value::Bool(true), REMEMBERED),
        None => (Value::Null, FORGOTTEN),
    };
    let dict = visitor.with(&json!({ "name": name, "remember": remember, "diary": place }));
    Ok(Deed {
        control: vec![("X-Session-Save", dict), ("X-Session-Max-Age", max_age.into())],
        then: "/",
    })
}

fn count(form: &Form, visitor: &Visitor, place: &Value) -> Deed {
    let count = match form.get("do") {
        Some("reset") => 0,
        _ => visitor.count().saturating_add(1),
    };
    let dict = visitor.with(&json!({ "count": count, "diary": place }));
    Deed { control: vec![("X-Session-Save", dict)], then: "/counter" }
}

fn change_basket(
    form: &Form,
    visitor: &Visitor,
    place: &Value,
    has_store: bool,
) -> Result<Deed, Refusal> {
    let Some(article) = form.get("article").and_then(article::find) else {
        return Err(Refusal {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            title: "Basket",
            main: page::basket(visitor, has_store),
        });
    };
    let pieces = match form.get("do") {
        Some("remove") => 0,
        _ => (visitor.pieces(article) + 1).min(MOST_PIECES),
    };
    let mut patch = Visitor::patch(article, pieces);
    if visitor.diary_id().is_none() {
        patch["diary"] = place.clone();
    }
    Ok(Deed { control: vec![("X-Session-Merge", patch.to_string())], then: "/basket" })
}

/// A greeting can be longer than a cookie.
fn greet(form: &Form, visitor: &Visitor, place: &Value) -> Result<Deed, Refusal> {
    let greeting = form.get("greeting").unwrap_or_default().trim();
    if greeting.chars().count() > LONGEST_GREETING {
        return Err(Refusal {
            status: StatusCode::UNPROCESSABLE_ENTITY,
            title: "Basket",
            main: page::basket(visitor, true),
        });
    }
    let mut patch = json!({ "greeting": (!greeting.is_empty()).then_some(greeting) });
    if visitor.diary_id().is_none() {
        patch["diary"] = place.clone();
    }
    Ok(Deed { control: vec![("X-Session-Merge", patch.to_string())], then: "/basket" })
}

/// The log-out, after which no dict can refer to the diary.
fn deletion(path: &str, whose: &str) -> Exchange {
    Exchange {
        request: format!("POST {path}"),
        received: String::new(),
        status: StatusCode::SEE_OTHER.to_string(),
        sent: vec![("X-Session-Delete", whose.into())],
    }
}

fn received(request: &Request<Vec<u8>>) -> &str {
    let value = request.headers().get("x-session");
    value.and_then(|value| value.to_str().ok()).unwrap_or("(nothing)")
}

/// The host name in the visitor's browser, if it is safe in a shell command.
fn host(request: &Request<Vec<u8>>) -> String {
    let host = request.headers().get("host").and_then(|host| host.to_str().ok());
    let is_plain = |host: &&str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".:-[]".contains(&byte);
        host.bytes().all(plain)
    };
    host.filter(is_plain).unwrap_or("127.0.0.1:8080").to_owned()
}

/// Whether a page of another site has sent the form (RFC 6454 section 7).
fn is_from_elsewhere(request: &Request<Vec<u8>>) -> bool {
    let Some(origin) = request.headers().get("origin") else {
        return false;
    };
    let host = request.headers().get("host").map(HeaderValue::as_bytes);
    let origin = origin.as_bytes();
    let scheme = [&b"http://"[..], b"https://"].into_iter().find(|s| origin.starts_with(s));
    scheme.is_none_or(|scheme| Some(&origin[scheme.len()..]) != host)
}

/// None if no random bytes are available; the diary then stays empty.
fn random_id() -> Option<String> {
    let mut bytes = [0; 9];
    getrandom::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests;

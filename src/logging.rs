//! Log lines on standard error, as JSON or text.
//!
//! No cookie, token, secret or dict is ever logged. Our own messages see to that where they are
//! written; what other crates write is let through only where it cannot quote a request.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{IsTerminal as _, Write as _};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use log::kv::{Key, Value, VisitSource, VisitValue};
use log::{Level, LevelFilter, Metadata, Record};

mod writer;

use writer::Writer;
pub(crate) use writer::dropped;

use crate::clock;
use crate::config::{Log, LogFormat};
use crate::printable::{is_plain, is_unprintable, push_escaped, push_json_escaped};
use crate::time::Timestamp;

/// Where the access lines come from; `log.access` switches them, `log.level` does not.
const ACCESS: &str = "cloakroom::access";

/// Sends what is logged to standard error from now on. Of several calls the first counts.
pub fn init(log: Log) {
    let text = match log.format {
        LogFormat::Json => None,
        LogFormat::Text => Some(Colour::of_stderr()),
    };
    // Without a thread each line is written where it comes up.
    let writer = Writer::start(std::io::stderr()).ok();
    let logger = Logger { text, level: log.level, access: log.access, writer };
    if log::set_boxed_logger(Box::new(logger)).is_ok() {
        let access = if log.access { LevelFilter::Info } else { LevelFilter::Off };
        log::set_max_level(log.level.max(access));
    }
}

/// Waits until what was logged is written.
pub fn flush() {
    log::logger().flush();
}

/// What the access line says of a request.
#[derive(Clone, Copy, Debug)]
pub struct AccessLine<'a> {
    /// The request method.
    pub method: &'a str,
    /// The request target as it was sent. Only its path is logged: queries carry secrets.
    pub target: &'a [u8],
    /// The status that the client got.
    pub status: u16,
    /// `HTTP/1.1`, `HTTP/2.0`
    pub protocol: &'a str,
    /// The whole exchange.
    pub duration: Duration,
    /// From the request handed on to the response head, where it came to that.
    pub backend: Option<Duration>,
    /// The app it was handed to, where there are several.
    pub app: Option<&'a str>,
    /// The outcome of the session check, on routes with sessions.
    pub outcome: Option<&'a str>,
    /// What was done to the session, if anything.
    pub action: Option<&'a str>,
    /// Bytes of response body sent.
    pub bytes: u64,
    /// The address that the request has come from, as `trusted_proxies` make it known; None is a
    /// unix socket.
    pub client: Option<IpAddr>,
    /// The address that connected; None is a unix socket.
    pub peer: Option<IpAddr>,
    /// Whose session it is, where that is to be logged.
    pub user: Option<&'a [u8]>,
    /// What the request is called: `X-Request-Id`.
    pub request_id: &'a str,
    /// The trace that it is part of: `traceparent`.
    pub trace_id: Option<&'a str>,
}

/// Writes the one line of a request.
pub fn access(line: &AccessLine<'_>) {
    let metadata = Metadata::builder().target(ACCESS).level(Level::Info).build();
    let logger = log::logger();
    if log::max_level() >= Level::Info && logger.enabled(&metadata) {
        line.with_record(|record| logger.log(record));
    }
}

impl AccessLine<'_> {
    fn with_record<T>(&self, use_: impl FnOnce(&Record<'_>) -> T) -> T {
        let method = escape(self.method.as_bytes());
        let path = escape(crate::routes::path_of(self.target));
        fn shown(address: &Option<IpAddr>) -> Value<'_> {
            match address {
                Some(address) => Value::from_display(address),
                None => Value::from("unix"),
            }
        }
        let mut fields: Vec<(&str, Value<'_>)> = Vec::with_capacity(MOST_FIELDS);
        fields.extend([
            ("method", Value::from(&*method)),
            ("path", Value::from(&*path)),
            ("status", Value::from(self.status)),
            ("protocol", Value::from(self.protocol)),
            ("duration_ms", Value::from(millis(self.duration))),
        ]);
        fields.extend(self.backend.map(|backend| ("backend_ms", Value::from(millis(backend)))));
        fields.extend(self.app.map(|app| ("backend", Value::from(app))));
        fields.extend(self.outcome.map(|outcome| ("outcome", Value::from(outcome))));
        fields.extend(self.action.map(|action| ("action", Value::from(action))));
        fields.push(("bytes", Value::from(self.bytes)));
        fields.push(("client", shown(&self.client)));
        fields.push(("peer", shown(&self.peer)));
        let user = self.user.map(escape);
        fields.extend(user.as_ref().map(|user| ("user", Value::from(user.as_str()))));
        fields.push(("request_id", Value::from(self.request_id)));
        fields.extend(self.trace_id.map(|id| ("trace_id", Value::from(id))));
        use_(
            &Record::builder()
                .target(ACCESS)
                .level(Level::Info)
                .args(format_args!("request"))
                .key_values(&fields)
                .build(),
        )
    }
}

/// How many fields an access line can have: room for all from the start.
const MOST_FIELDS: usize = 15;

/// Milliseconds to three digits.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// What a client sent, fit to be printed: what is unprintable and what is no UTF-8 as `%XX`.
fn escape(text: &[u8]) -> String {
    let mut escaped = String::with_capacity(text.len());
    if is_plain(text) {
        escaped.push_str(&String::from_utf8_lossy(text));
        return escaped;
    }
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            if is_unprintable(character) {
                let mut bytes = [0; 4];
                push_percent(&mut escaped, character.encode_utf8(&mut bytes).as_bytes());
            } else {
                escaped.push(character);
            }
        }
        push_percent(&mut escaped, chunk.invalid());
    }
    escaped
}

fn push_percent(escaped: &mut String, bytes: &[u8]) {
    for byte in bytes {
        // Writing to a String does not fail, here and below.
        let _ = write!(escaped, "%{byte:02X}");
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Colour {
    On,
    Off,
}

impl Colour {
    fn of_stderr() -> Self {
        // https://no-color.org: set, and not empty.
        let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        if std::io::stderr().is_terminal() && !refused { Self::On } else { Self::Off }
    }
}

struct Logger {
    /// None is JSON.
    text: Option<Colour>,
    level: LevelFilter,
    access: bool,
    writer: Option<Arc<Writer>>,
}

impl log::Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        match metadata.target() {
            ACCESS => self.access,
            target if is_own(target) => metadata.level() <= self.level,
            // At info and below, other crates write whole requests.
            target if never_quotes(target) => metadata.level() <= self.level.min(LevelFilter::Warn),
            // What their warnings say about a request the proxy says itself; a client that breaks
            // off is an error for them.
            _ => self.level >= LevelFilter::Debug && metadata.level() <= Level::Warn,
        }
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            let line = match self.text {
                None => json(record, clock::now()),
                Some(colour) => text(record, clock::now(), colour),
            };
            match &self.writer {
                Some(writer) => writer.push(&line),
                // Nobody is left to tell if it fails.
                None => _ = std::io::stderr().lock().write_all(line.as_bytes()),
            }
        }
    }

    fn flush(&self) {
        if let Some(writer) = &self.writer {
            writer.flush();
        }
    }
}

fn is_own(target: &str) -> bool {
    target == "cloakroom" || target.starts_with("cloakroom::")
}

/// Those of other crates whose warnings and errors never have to do with what is in a request:
/// they listen, accept and start threads, or lie below HTTP.
const NEVER_QUOTE: [&str; 6] = [
    "pingora_core::listeners",
    "pingora_core::server",
    "pingora_core::services",
    "pingora_runtime",
    "rustls",
    "tokio",
];

fn never_quotes(target: &str) -> bool {
    NEVER_QUOTE.iter().any(|module| {
        target.strip_prefix(module).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    })
}

/// The message, unless it is another crate's and may quote a request.
///
/// pingora 0.9.1 does: its errors have a context, which for a broken head is the first bytes of
/// it, `Cookie` or `Set-Cookie` included (`buf: GET / HTTP/1.1\r\nCookie: ...`), and its "Fail to
/// proxy" ends with the target, query and all. Such texts reach most of its warnings, so a message
/// with anything filled in is replaced by the place where it was written. What went wrong with a
/// request is for the proxy's own messages to say.
fn message<'a>(record: &Record<'a>) -> Cow<'a, str> {
    let target = record.target();
    let may_quote = !is_own(target) && !never_quotes(target);
    match (record.args().as_str(), record.line()) {
        (Some(literal), _) => Cow::Borrowed(literal),
        (None, _) if !may_quote => Cow::Owned(record.args().to_string()),
        (None, Some(line)) => Cow::Owned(format!(
            "details withheld, for they may quote a request; see line {line} of the source"
        )),
        (None, None) => Cow::Borrowed("details withheld, for they may quote a request"),
    }
}

/// `{"time":…,"level":…,"target":…,"message":…,` and the record's own fields `}`
fn json(record: &Record<'_>, now: Timestamp) -> String {
    let mut line = String::with_capacity(256);
    line.push_str("{\"time\":\"");
    push_time(&mut line, now);
    let level = record.level().as_str().to_ascii_lowercase();
    let _ = write!(line, "\",\"level\":\"{level}\",\"target\":");
    push_json(&mut line, record.target());
    line.push_str(",\"message\":");
    push_json(&mut line, message(record));
    if is_own(record.target()) {
        let _ = record.key_values().visit(&mut JsonFields(&mut line));
    }
    line.push_str("}\n");
    line
}

/// `2026-01-02T03:04:05.678Z INFO  message key=value`
fn text(record: &Record<'_>, now: Timestamp, colour: Colour) -> String {
    let (start, end) = match (colour, record.level()) {
        (Colour::Off, _) => ("", ""),
        (Colour::On, Level::Error) => ("\x1b[31m", "\x1b[0m"),
        (Colour::On, Level::Warn) => ("\x1b[33m", "\x1b[0m"),
        (Colour::On, Level::Info) => ("\x1b[32m", "\x1b[0m"),
        (Colour::On, Level::Debug | Level::Trace) => ("\x1b[2m", "\x1b[0m"),
    };
    let mut line = String::with_capacity(256);
    push_time(&mut line, now);
    let _ = write!(line, " {start}{:<5}{end} ", record.level().as_str());
    if is_own(record.target()) {
        // A line break would make room for a forged line, an escape sequence could rewrite the
        // terminal.
        push_escaped(&mut line, &message(record));
        let _ = record.key_values().visit(&mut TextFields(&mut line));
    } else {
        push_escaped(&mut line, &format!("{}: {}", record.target(), message(record)));
    }
    line.push('\n');
    line
}

/// RFC 3339 with milliseconds.
fn push_time(line: &mut String, now: Timestamp) {
    let time = UNIX_EPOCH + Duration::from_millis(now.as_millis());
    let _ = write!(line, "{}", humantime::format_rfc3339_millis(time));
}

fn push_json(line: &mut String, value: impl serde::Serialize) {
    match serde_json::to_string(&value) {
        Ok(json) => push_json_escaped(line, &json),
        Err(_) => line.push_str("null"),
    }
}

struct JsonFields<'a>(&'a mut String);

impl<'kvs> VisitSource<'kvs> for JsonFields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), log::kv::Error> {
        self.0.push(',');
        // A key that is ours already would make two of it.
        match key.as_str() {
            taken @ ("time" | "level" | "target" | "message") => {
                push_json(self.0, format!("{taken}_"));
            }
            key => push_json(self.0, key),
        }
        self.0.push(':');
        value.visit(JsonValue(self.0))
    }
}

struct JsonValue<'a>(&'a mut String);

impl JsonValue<'_> {
    fn push(&mut self, value: impl serde::Serialize) -> Result<(), log::kv::Error> {
        push_json(self.0, value);
        Ok(())
    }
}

impl<'kvs> VisitValue<'kvs> for JsonValue<'_> {
    fn visit_any(&mut self, value: Value<'_>) -> Result<(), log::kv::Error> {
        self.push(value.to_string())
    }

    fn visit_null(&mut self) -> Result<(), log::kv::Error> {
        self.push(())
    }

    fn visit_u64(&mut self, value: u64) -> Result<(), log::kv::Error> {
        self.push(value)
    }

    fn visit_i64(&mut self, value: i64) -> Result<(), log::kv::Error> {
        self.push(value)
    }

    fn visit_u128(&mut self, value: u128) -> Result<(), log::kv::Error> {
        self.push(value)
    }

    fn visit_i128(&mut self, value: i128) -> Result<(), log::kv::Error> {
        self.push(value)
    }

    fn visit_f64(&mut self, value: f64) -> Result<(), log::kv::Error> {
        self.push(value)
    }

    fn visit_bool(&mut self, value: bool) -> Result<(), log::kv::Error> {
        self.push(value)
    }

    fn visit_str(&mut self, value: &str) -> Result<(), log::kv::Error> {
        self.push(value)
    }
}

struct TextFields<'a>(&'a mut String);

impl<'kvs> VisitSource<'kvs> for TextFields<'_> {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), log::kv::Error> {
        self.0.push(' ');
        push_escaped(self.0, key.as_str());
        self.0.push('=');
        let value = value.to_string();
        let bare =
            |c: char| !c.is_whitespace() && !is_unprintable(c) && !matches!(c, '"' | '=' | '\\');
        if !value.is_empty() && value.chars().all(bare) {
            self.0.push_str(&value);
        } else {
            push_escaped(self.0, &format!("{value:?}"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;

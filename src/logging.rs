//! Log lines on standard error, as JSON or text.
//!
//! Cookies, tokens, secrets and dicts are never logged. Our own messages do not contain them;
//! messages of other crates are logged only where they cannot quote a request.

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

/// The target of access lines; `log.access` turns them on, independently of `log.level`.
const ACCESS: &str = "cloakroom::access";

/// Starts logging to standard error. Only the first call has an effect.
pub fn init(log: Log) {
    let text = match log.format {
        LogFormat::Json => None,
        LogFormat::Text => Some(Colour::of_stderr()),
    };
    // If no thread can be started, each line is written directly.
    let writer = Writer::start(std::io::stderr()).ok();
    let logger = Logger { text, level: log.level, access: log.access, writer };
    if log::set_boxed_logger(Box::new(logger)).is_ok() {
        let access = if log.access { LevelFilter::Info } else { LevelFilter::Off };
        log::set_max_level(log.level.max(access));
    }
}

/// Waits until everything logged has been written.
pub fn flush() {
    log::logger().flush();
}

/// The contents of an access line.
#[derive(Clone, Copy, Debug)]
pub struct AccessLine<'a> {
    /// The request method.
    pub method: &'a str,
    /// The request target as sent. Only its path is logged, because queries may contain secrets.
    pub target: &'a [u8],
    /// The status of the answer.
    pub status: u16,
    /// `HTTP/1.1`, `HTTP/2.0`
    pub protocol: &'a str,
    /// The duration of the whole exchange.
    pub duration: Duration,
    /// The time from sending the request to receiving the response head, if there was one.
    pub backend: Option<Duration>,
    /// The app that it was sent to, if there are several.
    pub app: Option<&'a str>,
    /// The outcome of the session check, on routes with sessions.
    pub outcome: Option<&'a str>,
    /// What was done to the session, if anything.
    pub action: Option<&'a str>,
    /// Bytes of response body sent.
    pub bytes: u64,
    /// The address of the client, according to `trusted_proxies`; None is a unix socket.
    pub client: Option<IpAddr>,
    /// The address of the peer; None is a unix socket.
    pub peer: Option<IpAddr>,
    /// The user of the session, if this is logged.
    pub user: Option<&'a [u8]>,
    /// The request's id: `X-Request-Id`.
    pub request_id: &'a str,
    /// The request's trace: `traceparent`.
    pub trace_id: Option<&'a str>,
}

/// Writes the access line of a request.
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

/// The maximum number of fields in an access line, for its capacity.
const MOST_FIELDS: usize = 15;

/// Milliseconds with three decimals.
fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

/// A client's text, made printable: unprintable characters and invalid UTF-8 become `%XX`.
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
        // Writing to a String cannot fail, here and below.
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
            // At info and below, other crates log whole requests.
            target if never_quotes(target) => metadata.level() <= self.level.min(LevelFilter::Warn),
            // The proxy itself logs what their warnings say about a request; and they log an error
            // for each client that disconnects.
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
                // An error cannot be reported.
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

/// Other crates whose warnings and errors never quote a request: they listen, accept and start
/// threads, or work below HTTP.
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

/// The message, unless it comes from another crate and may quote a request.
///
/// pingora 0.9.1 quotes requests: for an invalid head, the error contains its first bytes,
/// including `Cookie` or `Set-Cookie` (`buf: GET / HTTP/1.1\r\nCookie: ...`), and "Fail to proxy"
/// ends with the target and its query. Most of its warnings can contain such texts, so a message
/// with arguments is replaced by its position in the source. The proxy's own messages describe the
/// error.
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
        // A line break would allow a forged line, and an escape sequence could change the terminal.
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
        // A key that the line already has would be a duplicate.
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

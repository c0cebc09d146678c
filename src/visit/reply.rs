//! The answers that the sidecar makes itself. They never set or delete the cookie.

use http::StatusCode;
use http::header::ACCEPT;

use super::fields::Fields;
use super::request_id;

/// An answer of the sidecar's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    text: &'static str,
    /// The target of a 303.
    location: Option<String>,
}

impl Reply {
    pub(crate) const BAD_REQUEST: Self = Self::new(400, "The request is malformed.");
    pub(crate) const UNAUTHORIZED: Self = Self::new(401, "A session is required; please log in.");
    pub(crate) const CROSS_SITE: Self =
        Self::new(403, "Requests from other sites are not accepted here.");
    pub(crate) const FORBIDDEN: Self = Self::new(403, "This session does not have access.");
    pub(crate) const METHOD_NOT_ALLOWED: Self = Self::new(405, "This method is not allowed.");
    pub(crate) const STORE_AWAY: Self =
        Self::new(503, "The session store does not answer; please try again.");
    pub(crate) const STOPPING: Self =
        Self::new(503, "The service is restarting; please try again.");
    pub(crate) const WANTS_TLS: Self = Self::new(400, "This port speaks HTTPS, not HTTP.");

    pub(crate) const fn new(status: u16, text: &'static str) -> Self {
        Self { status, text, location: None }
    }

    /// For a request that is refused while it is being read.
    pub(crate) const fn refusing(status: u16) -> Self {
        let text = match status {
            408 => "The request did not arrive in time.",
            413 => "The request is too large.",
            414 => "The URL is too long.",
            431 => "The request headers are too large.",
            400 => return Self::BAD_REQUEST,
            _ => "The request failed.",
        };
        Self::new(status, text)
    }

    pub(crate) fn see_other(location: String) -> Self {
        Self { location: Some(location), ..Self::new(303, "Please log in.") }
    }

    pub(crate) fn body(&self, form: Form, id: &str) -> String {
        let Self { status, text, .. } = self;
        match form {
            Form::Text => format!("{status} {text}\nrequest {id}\n"),
            // Neither the text nor the id needs escaping.
            Form::Json | Form::Problem => format!(
                "{{\"status\":{status},\"title\":\"{}\",\"detail\":\"{text}\",\
                 \"request_id\":\"{id}\"}}\n",
                self.reason()
            ),
        }
    }

    fn reason(&self) -> &'static str {
        let status = StatusCode::from_u16(self.status).ok();
        status.and_then(|status| status.canonical_reason()).unwrap_or_default()
    }

    /// The whole answer, for a connection that is closed after it.
    pub(crate) fn to_http1(&self, id: &str) -> Vec<u8> {
        let (status, reason) = (self.status, self.reason());
        let body = self.body(Form::Text, id);
        let (length, media_type, name) = (body.len(), Form::Text.media_type(), request_id::NAME);
        format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: {media_type}\r\n\
             Content-Length: {length}\r\nCache-Control: no-store\r\n{name}: {id}\r\n\
             Connection: close\r\n\r\n{body}",
        )
        .into_bytes()
    }

    /// The fields of the answer, and its body.
    pub(crate) fn render(&self, form: Form, id: &str) -> (Vec<(&'static str, String)>, String) {
        let body = self.body(form, id);
        let mut fields = vec![
            ("Content-Type", form.media_type().to_owned()),
            ("Content-Length", body.len().to_string()),
            ("Cache-Control", "no-store".to_owned()),
            (request_id::NAME, id.to_owned()),
        ];
        match self.status {
            // RFC 9110 section 15.5.2 requires a challenge.
            401 => fields.push(("WWW-Authenticate", "Cookie realm=\"session\"".to_owned())),
            405 => fields.push(("Allow", ALLOWED.to_owned())),
            503 => fields.push(("Retry-After", "1".to_owned())),
            _ => {}
        }
        if let Some(location) = &self.location {
            fields.push(("Location", location.clone()));
        }
        (fields, body)
    }
}

/// The methods that are forwarded.
const ALLOWED: &str = "GET, HEAD, POST, PUT, DELETE, OPTIONS, PATCH";

/// The format of an error answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// Plain text.
    Text,
    /// A JSON object with the members of RFC 9457.
    Json,
    /// The same, with the media type of RFC 9457.
    Problem,
}

impl Form {
    /// Text, unless the client accepts JSON but not HTML, as programs do and browsers do not.
    pub(crate) fn wanted(head: &impl Fields) -> Self {
        let mut form = Self::Text;
        for accept in head.all(&ACCEPT) {
            for media_type in media_types(accept) {
                match media_type {
                    range if range.eq_ignore_ascii_case(b"text/html") => return Self::Text,
                    range if range.eq_ignore_ascii_case(b"application/problem+json") => {
                        form = Self::Problem;
                    }
                    range
                        if form == Self::Text
                            && range.eq_ignore_ascii_case(b"application/json") =>
                    {
                        form = Self::Json;
                    }
                    _ => {}
                }
            }
        }
        form
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; charset=utf-8",
            Self::Json => "application/json",
            Self::Problem => "application/problem+json",
        }
    }
}

/// The media types in a value of `Accept` (RFC 9110 section 12.5.1), without weights.
fn media_types(accept: &[u8]) -> impl Iterator<Item = &[u8]> {
    let ranges = accept.split(|&byte| byte == b',');
    ranges.map(|range| range.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii())
}

#[cfg(test)]
mod tests {
    use http::HeaderMap;

    use super::*;

    #[test]
    fn programs_get_json_and_browsers_a_sentence() {
        for (accept, form) in [
            ("", Form::Text),
            ("*/*", Form::Text),
            ("application/json", Form::Json),
            ("application/JSON;q=0.9, */*", Form::Json),
            ("application/json, application/problem+json", Form::Problem),
            ("text/html,application/xhtml+xml,application/json", Form::Text),
            ("application/json, text/html;q=0.1", Form::Text),
        ] {
            let mut headers = HeaderMap::new();
            if let Ok(value) = accept.parse() {
                headers.insert(ACCEPT, value);
            }
            assert_eq!(Form::wanted(&headers), form, "{accept}");
        }
    }

    #[test]
    fn each_form_says_what_is_wrong_and_names_the_request() {
        let reply = Reply::new(504, "Too late.");
        assert_eq!(reply.body(Form::Text, "id-1"), "504 Too late.\nrequest id-1\n");
        assert_eq!(
            reply.body(Form::Json, "id-1"),
            "{\"status\":504,\"title\":\"Gateway Timeout\",\"detail\":\"Too late.\",\
             \"request_id\":\"id-1\"}\n"
        );
    }
}

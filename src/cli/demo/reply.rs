//! The answers of the shop, as HTTP.

use http::header::{ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderName, HeaderValue, Response, StatusCode};

const HTML: &str = "text/html; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const NOTHING_FROM_ELSEWHERE: &str = "default-src 'none'; style-src 'self'; form-action 'self'";

/// An answer, before it is written as HTTP.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    kind: &'static str,
    cache: &'static str,
    body: String,
    location: Option<&'static str>,
    allow: Option<&'static str>,
    clear: Option<&'static str>,
    pub(super) control: Vec<(&'static str, String)>,
}

impl Reply {
    pub(super) fn plain(status: StatusCode, body: &str) -> Self {
        Self {
            status,
            kind: PLAIN,
            cache: "no-store",
            body: body.to_owned(),
            location: None,
            allow: None,
            clear: None,
            control: Vec::new(),
        }
    }

    pub(super) fn page(status: StatusCode, body: &str) -> Self {
        Self { kind: HTML, ..Self::plain(status, body) }
    }

    pub(super) fn style(css: &str) -> Self {
        Self { kind: CSS, cache: "max-age=300", ..Self::plain(StatusCode::OK, css) }
    }

    pub(super) fn method_not_allowed() -> Self {
        let text = "Only GET, HEAD and POST.";
        let allow = Some("GET, HEAD, POST");
        Self { allow, ..Self::plain(StatusCode::METHOD_NOT_ALLOWED, text) }
    }

    /// Redirects after a form, so that reloading the page does not send the form again.
    pub(super) fn see_other(location: &'static str) -> Self {
        Self { location: Some(location), ..Self::plain(StatusCode::SEE_OTHER, "") }
    }

    /// Adds headers for the sidecar.
    pub(super) fn with_control(self, control: Vec<(&'static str, String)>) -> Self {
        Self { control, ..self }
    }

    /// Makes the browser clear its cached pages (W3C Clear-Site-Data).
    pub(super) fn clearing_the_cache(self) -> Self {
        Self { clear: Some("\"cache\""), ..self }
    }

    pub(super) fn into_response(self, head_only: bool) -> Response<Vec<u8>> {
        let mut response = Response::new(Vec::new());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.kind));
        headers.insert(CONTENT_LENGTH, self.body.len().into());
        headers.insert(CACHE_CONTROL, HeaderValue::from_static(self.cache));
        headers.insert("content-security-policy", HeaderValue::from_static(NOTHING_FROM_ELSEWHERE));
        headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        let clear = HeaderName::from_static("clear-site-data");
        for (name, value) in [(LOCATION, self.location), (ALLOW, self.allow), (clear, self.clear)] {
            if let Some(value) = value {
                headers.insert(name, HeaderValue::from_static(value));
            }
        }
        for (name, value) in &self.control {
            // Never fails: JSON has no control characters, and they were removed from names.
            if let (Ok(name), Ok(value)) =
                (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_bytes(value.as_bytes()))
            {
                headers.insert(name, value);
            }
        }
        if !head_only {
            *response.body_mut() = self.body.into_bytes();
        }
        response
    }
}

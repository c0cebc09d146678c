//! Answers of the admin listener.

use http::header::{
    ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Response, StatusCode};
use serde_json::Value;

use crate::store::operation::Outage;

pub(super) const PLAIN: &str = "text/plain; charset=utf-8";
const JSON: &str = "application/json";

/// An answer that must not be cached.
pub(super) fn answer(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Vec<u8>>,
) -> Response<Vec<u8>> {
    let body = body.into();
    let length = body.len();
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// A successful answer.
pub(super) fn json(text: String) -> Response<Vec<u8>> {
    answer(StatusCode::OK, JSON, text + "\n")
}

/// An error.
pub(super) fn refusal(status: StatusCode, reason: &str) -> Response<Vec<u8>> {
    answer(status, JSON, format!("{{\"error\":{}}}\n", Value::from(reason)))
}

/// The token is missing or wrong.
pub(super) fn unauthorized() -> Response<Vec<u8>> {
    let reason = "this needs \"Authorization: Bearer\" with the secret in admin.token_file";
    let mut response = refusal(StatusCode::UNAUTHORIZED, reason);
    response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    response
}

/// The method is not supported here.
pub(super) fn not_allowed(allowed: &'static str) -> Response<Vec<u8>> {
    let reason = format!("the methods here are {allowed}");
    let mut response = refusal(StatusCode::METHOD_NOT_ALLOWED, &reason);
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

/// The store did not answer.
pub(super) fn away(outage: Outage) -> Response<Vec<u8>> {
    let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, &outage.to_string());
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

//! Sends the sidecar's own answers through pingora.

use bytes::Bytes;
use http::Method;
use pingora_core::Result;
use pingora_core::protocols::http::ServerSession;
use pingora_http::ResponseHeader;

use crate::visit::{Form, Reply};

/// Sends an answer. Closes the connection if the request's body was not read.
pub(super) async fn send(reply: &Reply, session: &mut ServerSession, id: &str) -> Result<()> {
    let (fields, body) = reply.render(Form::wanted(&session.req_header().headers), id);
    let mut header = ResponseHeader::build(reply.status, Some(fields.len()))?;
    for (name, value) in fields {
        header.insert_header(name, value)?;
    }
    let head_only = session.req_header().method == Method::HEAD;
    session.write_response_header(Box::new(header)).await?;
    if head_only {
        session.finish_body().await
    } else {
        session.write_response_body(Bytes::from(body), true).await
    }
}

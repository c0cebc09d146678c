//! Well-behaved clients, who must be served whatever happens.

use std::net::SocketAddr;
use std::time::Duration;

use crate::backend::Echo;
use crate::load::{Figures, Load, Reply};
use crate::pick;

/// 200 requests a second on 8 connections.
pub fn load(address: SocketAddr) -> Load {
    Load::on(address).connections(8).rate(200.0)
}

pub fn request(number: u64) -> Vec<u8> {
    format!("GET /other/{number} HTTP/1.1\r\nHost: app.test\r\n\r\n").into_bytes()
}

pub fn check(number: u64, reply: &Reply) -> Result<(), String> {
    let expected = Echo::body(&format!("/other/{number}"), "{}");
    match (reply.status, reply.text()) {
        (200, text) if text == expected => Ok(()),
        (status, text) => Err(format!("{status} {text:?}")),
    }
}

/// How they are served without disturbance.
pub fn at_rest(address: SocketAddr) -> Figures {
    let load = load(address).during(pick(Duration::from_millis(500), Duration::from_secs(15)));
    let figures = load.run(request, check);
    figures.assert_none_failed();
    figures
}

//! How the exchange passes an answer on, without a visit and without streams: for the fuzz target
//! that looks for answers that can be read in two ways.

use bytes::{Buf as _, BytesMut};
use http::Method;

use super::body::Body;
use super::chunks;
use super::response::{self, End};
use crate::visit;

/// What became of the bytes that an app sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passed {
    /// What the client gets; empty if the answer is malformed.
    pub sent: Vec<u8>,
    /// How many of the app's bytes belong to the answer; 0 if it is malformed.
    pub length: usize,
    /// How it ended.
    pub outcome: Outcome,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is complete, and the connection can be used again.
    Reusable,
    /// It is complete, and the connection cannot be used again.
    Last,
    /// It is incomplete.
    Part,
    /// Its head or its body is malformed.
    Malformed,
}

/// Passes on the answer to a HEAD or a GET. The bytes arrive in pieces of `step`; then the app closes
/// the connection.
pub fn pass(is_head: bool, bytes: &[u8], step: usize) -> Passed {
    let method = if is_head { Method::HEAD } else { Method::GET };
    let mut input = BytesMut::new();
    let mut sent = Vec::new();
    let mut pieces = bytes.chunks(step.max(1));
    let outcome = pass_on(&method, &mut input, &mut pieces, &mut sent);
    if outcome == Outcome::Malformed {
        return Passed { sent: Vec::new(), length: 0, outcome };
    }
    let length = bytes.len() - input.len() - pieces.map(<[u8]>::len).sum::<usize>();
    Passed { sent, length, outcome }
}

fn pass_on<'a>(
    method: &Method,
    input: &mut BytesMut,
    pieces: &mut impl Iterator<Item = &'a [u8]>,
    sent: &mut Vec<u8>,
) -> Outcome {
    let mut framed = loop {
        let mut end = End::default();
        let end = loop {
            match end.find(input) {
                Ok(Some(end)) => break end,
                Ok(None) => {}
                Err(_) => return Outcome::Malformed,
            }
            match pieces.next() {
                Some(piece) => input.extend_from_slice(piece),
                None => return Outcome::Part,
            }
        };
        let Ok(mut head) = response::parse(&input[..end]) else { return Outcome::Malformed };
        let is_interim = visit::is_interim(&head);
        let framed = match is_interim {
            true => None,
            false => response::framing(&mut head, method).ok(),
        };
        response::write(&head, sent);
        // The client did not ask for another protocol.
        let is_switch = head.first.status == 101;
        input.advance(end);
        match framed {
            Some(framed) if !is_switch => break framed,
            None if is_interim => {}
            _ => return Outcome::Malformed,
        }
    };
    loop {
        if framed.body.pass_on(input, framed.framing, sent).is_err() {
            return Outcome::Malformed;
        }
        if framed.body.is_done() {
            return if framed.is_reusable { Outcome::Reusable } else { Outcome::Last };
        }
        match (pieces.next(), &framed.body) {
            (Some(piece), _) => input.extend_from_slice(piece),
            (None, Body::UntilClose) => {
                sent.extend_from_slice(chunks::LAST);
                return Outcome::Last;
            }
            (None, _) => return Outcome::Part,
        }
    }
}

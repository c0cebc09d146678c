//! Heads and bodies that two readers could understand differently, each followed by a second
//! request where an attack would place it. The backend must get one well-formed request or none.
//! Usually the connection ends after it. If the exchange carries it, its end is certain, and the
//! second request is a normal one, in which nothing may speak for the sidecar.

mod bodies;
mod heads;
mod http2;
mod requests;
mod targets;

use crate::support::recorder::Arrived;
use crate::support::strict::Strict;
use crate::support::{Carrier, Recorder, WAIT};

/// The request that must never reach the backend.
const NEXT: &str = "GET /smuggled/ROW HTTP/1.1\r\nHost: app.test\r\nConnection: close\r\n\
                    X-Session: {\"forged\":1}\r\n\r\n";

/// The expected result of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It is answered with this status, and nothing reaches the backend.
    Refused(u16),
    /// One complete request arrives and is answered with 200. The exchange may find another one
    /// after it.
    Arrives,
    /// The same, without another one after it.
    Alone,
    /// It is incomplete: only a part of it arrives.
    BreaksOff,
    /// It may be complete before its fault is noticed.
    AtMostOnce,
}
use Fate::{Alone, Arrives, AtMostOnce, BreaksOff, Refused};

impl Fate {
    /// pingora accepts it as a complete request, the exchange does not.
    fn lax() -> Self {
        if Carrier::is_exchange() { BreaksOff } else { Arrives }
    }
}

/// The bytes of a client. `ROW` in the target or a field is replaced by the row's number.
struct Row {
    name: String,
    fate: Fate,
    bytes: Vec<u8>,
}

/// Exactly these bytes.
fn raw(name: &str, fate: Fate, bytes: impl AsRef<[u8]>) -> Row {
    Row { name: name.into(), fate, bytes: bytes.as_ref().to_vec() }
}

/// A request with these field lines and this body, directly followed by the second request.
fn request(name: &str, method: &str, fate: Fate, fields: impl AsRef<[u8]>, body: &str) -> Row {
    let first = format!("{method} /ROW HTTP/1.1\r\nHost: app.test\r\n");
    let behind = format!("\r\n{body}{NEXT}");
    raw(name, fate, [first.as_bytes(), fields.as_ref(), behind.as_bytes()].concat())
}

fn get(name: &str, fate: Fate, fields: impl AsRef<[u8]>) -> Row {
    request(name, "GET", fate, fields, "")
}

fn post(name: &str, fate: Fate, fields: impl AsRef<[u8]>, body: &str) -> Row {
    request(name, "POST", fate, fields, body)
}

/// What the client of a row has received.
struct Seen {
    statuses: Vec<u16>,
    ended: bool,
}

/// Sends each row on a new connection, and checks the results when nothing more can arrive.
fn judge(rows: &[Row]) {
    let recorder = Recorder::start();
    let sidecar = recorder.behind().with("[timeouts]\nhead = \"1s\"\nbody = \"1s\"").start();
    let seen: Vec<Seen> = std::thread::scope(|scope| {
        let talks: Vec<_> = (0..rows.len())
            .map(|number| {
                let (bytes, sidecar) = (with_number(&rows[number].bytes, number), &sidecar);
                scope.spawn(move || {
                    let mut client = sidecar.connect();
                    client.send(bytes);
                    let (answer, ended) = client.rest_or_silence(WAIT);
                    Seen { statuses: statuses(&answer), ended }
                })
            })
            .collect();
        talks.into_iter().map(|talk| talk.join().expect("a client")).collect()
    });
    let arrived = recorder.stop(sidecar);
    let mut faults = strangers(rows, &arrived);
    for (number, (row, seen)) in rows.iter().zip(&seen).enumerate() {
        if let Err(fault) = verdict(row, number, seen, &arrived) {
            faults.push(format!("{}: not {:?}: {fault}", row.name, row.fate));
        }
    }
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), rows.len(), faults.join("\n"));
}

fn with_number(bytes: &[u8], number: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let digits = format!("{number:03}");
    while let Some(at) = bytes.windows(3).position(|window| window == b"ROW") {
        bytes[at..at + 3].copy_from_slice(digits.as_bytes());
    }
    bytes
}

/// The statuses of all answers.
fn statuses(answer: &[u8]) -> Vec<u16> {
    let text = String::from_utf8_lossy(answer).into_owned();
    let codes = text.split("HTTP/1.").skip(1).map(|rest| rest.get(2..5).unwrap_or_default());
    codes.map(|code| code.parse().unwrap_or_default()).collect()
}

/// Requests that no row may cause.
fn strangers(rows: &[Row], arrived: &[Arrived]) -> Vec<String> {
    let mut faults = Vec::new();
    for request in arrived.iter().flat_map(|connection| &connection.requests) {
        let said = request.values("X-Session");
        let upgrades = request.values("Upgrade");
        if !may_arrive(rows, &request.target)
            || said != [b"{}"]
            || !matches!(upgrades[..], [] | [b"websocket"])
            || request.values("Cookie").len() > 1
        {
            faults.push(format!("arrived: {request:?}"));
        }
    }
    faults
}

/// Whether a request is not a smuggled one, or one that was allowed.
fn may_arrive(rows: &[Row], target: &str) -> bool {
    let Some((_, number)) = target.split_once("smuggled") else { return true };
    let row = number.trim_start_matches('/').parse().ok().and_then(|row: usize| rows.get(row));
    Carrier::is_exchange() && row.is_some_and(|row| row.fate == Arrives)
}

/// The requests of a row that arrived, and other bytes of it.
fn of_row(number: usize, arrived: &[Arrived]) -> (Vec<&Strict>, Vec<&(String, String)>) {
    let digits = format!("{number:03}");
    let requests = arrived.iter().flat_map(|connection| &connection.requests);
    let whole = requests.filter(|request| {
        (request.target.ends_with(&format!("/{digits}")) && !request.target.contains("smuggled"))
            || request.values("Row").contains(&digits.as_bytes())
    });
    let rests = arrived.iter().filter_map(|connection| connection.rest.as_ref());
    let rests = rests.filter(|(_, text)| {
        let text = text.to_ascii_lowercase();
        text.contains(&format!("/{digits} ")) || text.contains(&format!("row: {digits}"))
    });
    (whole.collect(), rests.collect())
}

fn verdict(row: &Row, number: usize, seen: &Seen, arrived: &[Arrived]) -> Result<(), String> {
    let (whole, rests) = of_row(number, arrived);
    let is_as_it_should = seen.ended
        && match row.fate {
            Refused(status) => seen.statuses == [status] && whole.is_empty() && rests.is_empty(),
            Arrives => is_answered(&seen.statuses) && whole.len() == 1 && rests.is_empty(),
            Alone => seen.statuses == [200] && whole.len() == 1 && rests.is_empty(),
            BreaksOff | AtMostOnce => {
                matches!(seen.statuses[..], [] | [400 | 408])
                    && whole.is_empty()
                    && rests.iter().all(|(fault, _)| fault == "unfinished")
            }
        };
    let told = || format!("{:?}, ended: {}, {whole:?}, {rests:?}", seen.statuses, seen.ended);
    if is_as_it_should { Ok(()) } else { Err(told()) }
}

/// Whether the first request was answered, with at most one independent answer after it.
fn is_answered(statuses: &[u16]) -> bool {
    match statuses {
        [200] => true,
        [200, 200 | 400 | 408] => Carrier::is_exchange(),
        _ => false,
    }
}

#[test]
fn framing_of_a_head_hides_no_request() {
    judge(&heads::framing());
}

#[test]
fn form_of_a_head_hides_no_request() {
    judge(&heads::form());
}

#[test]
fn body_hides_no_request() {
    judge(&bodies::chunks());
}

#[test]
fn trailers_hide_no_request() {
    judge(&bodies::trailers());
}

#[test]
fn first_lines_say_one_thing() {
    judge(&targets::lines());
}

#[test]
fn hosts_are_one_host() {
    judge(&targets::hosts());
}

#[test]
fn proper_requests_bring_no_second_one_along() {
    judge(&requests::rows());
}

#[test]
fn streams_of_http_2_become_one_request_or_none() {
    http2::judge(&http2::rows());
}

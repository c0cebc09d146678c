//! Both carriers get the same bytes from client and app, and the same must come of them at either
//! end. What may differ is listed here: the order of fields of different names, the version that an
//! old app's answer is passed on under, and what the exchange refuses because it can be read in two
//! ways.
//!
//! `CLOAKROOM_CASES` is how many cases are made up, and `CLOAKROOM_SEED` from where on.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;
use std::thread;

use parking_lot::Mutex;

use crate::support::strict::{self, Reading};
use crate::support::{Builder, Client, Sidecar, WAIT};

mod answer;
mod dice;
mod request;
mod seen;

use answer::answer;
use dice::Dice;
use request::request;
use seen::{body_of, end_of_head, head_of, seen_by_client};

/// An app that keeps what it is sent and answers what it is told.
#[derive(Clone, Default)]
struct App {
    answer: Arc<Mutex<(Vec<u8>, bool)>>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl App {
    fn listen(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = self.clone();
        thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let app = app.clone();
                thread::spawn(move || {
                    let mut open = Vec::new();
                    let mut buffer = [0; 4096];
                    while let Ok(count @ 1..) = stream.read(&mut buffer) {
                        open.extend_from_slice(&buffer[..count]);
                        match strict::read(&open) {
                            Reading::Part => continue,
                            Reading::Whole(_, length) => {
                                let rest = open.split_off(length);
                                app.keep(&open);
                                open = rest;
                            }
                            Reading::Fault(fault) => {
                                app.seen.lock().push(format!("no request: {fault}"));
                                return;
                            }
                        }
                        let (answer, ends) = app.answer.lock().clone();
                        if stream.write_all(&answer).is_err() || ends {
                            return;
                        }
                    }
                });
            }
        });
        url
    }

    fn keep(&self, bytes: &[u8]) {
        let end = end_of_head(bytes).unwrap();
        let (head, body) = bytes.split_at(end);
        self.seen.lock().push(format!("{} {:?}", head_of(head), body_of(head, body)));
    }
}

/// A request, and the answer to it, that are made up: sound ones, odd ones, and some that are none.
#[derive(Debug)]
struct Case {
    request: Vec<u8>,
    answer: Vec<u8>,
    /// Whether the app ends its connection behind the answer.
    ends: bool,
    /// What in it pingora reads in one of two ways.
    is_lax: bool,
}

impl Case {
    fn make(dice: &mut Dice) -> Self {
        let mut is_lax = false;
        let request = request(dice, &mut is_lax);
        let (answer, ends) = answer(dice, &mut is_lax);
        Self { request, answer, ends, is_lax }
    }
}

struct Side {
    app: App,
    sidecar: Sidecar,
}

impl Side {
    fn new(carrier: &str) -> Self {
        let app = App::default();
        let sidecar = Builder::new(&app.listen())
            .env("CLOAKROOM_CARRIER", carrier)
            .with(
                "[headers.claims]\n\"X-Remote-User\" = \"user.id\"\n\
                 [[routes]]\npath = \"/admin/\"\nrequire = true\nlogin = \"/login\"\n\
                 [[routes]]\npath = \"/static/\"\nsession = \"off\"\n[timeouts]\nbackend_read = \"2s\"",
            )
            .start();
        Self { app, sidecar }
    }

    /// What comes of a case at the app and at the client.
    fn run(&self, case: &Case) -> (Vec<String>, String) {
        self.app.seen.lock().clear();
        *self.app.answer.lock() = (case.answer.clone(), case.ends);
        let mut client: Client = self.sidecar.connect();
        client.send(&case.request);
        client.half_close();
        let (bytes, ended) = client.rest_or_silence(WAIT);
        assert!(ended, "no end of {case:?}");
        (self.app.seen.lock().clone(), seen_by_client(&bytes))
    }
}

/// Whether the exchange has refused what it cannot read in one way, or cut it off.
fn is_refusal(seen: &str) -> bool {
    ["HTTP/1.1 400 ", "HTTP/1.1 502 "].iter().any(|status| seen.contains(status))
        || seen.contains("(not whole)")
        || seen.contains(" cut: ")
}

fn number(variable: &str, otherwise: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn both_carriers_make_the_same_of_the_same_bytes() {
    let (pingora, exchange) = (Side::new("pingora"), Side::new("exchange"));
    let cases = number("CLOAKROOM_CASES", 100);
    let mut dice = Dice(number("CLOAKROOM_SEED", 0x9e37_79b9_7f4a_7c15));
    let (mut stricter, mut faults) = (0, Vec::new());
    for case in 0..cases {
        let case = (case, Case::make(&mut dice));
        let (one, other) = (pingora.run(&case.1), exchange.run(&case.1));
        if one == other {
            continue;
        }
        if case.1.is_lax && is_refusal(&other.1) {
            stricter += 1;
            continue;
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        faults.push(format!(
            "case {}: {:?}\n  answered {:?} ({}, {})\n  pingora:  {one:?}\n  exchange: {other:?}",
            case.0,
            text(&case.1.request),
            text(&case.1.answer),
            case.1.ends,
            case.1.is_lax,
        ));
    }
    println!("{cases} cases, {stricter} where the exchange is stricter");
    assert!(faults.is_empty(), "{} of {cases}:\n{}", faults.len(), faults.join("\n"));
}

//! Clients with sessions in a store that fails and returns. They accept a 503, but no other error:
//! no other status, no cookie with it, no `{}` for a live session, nothing for an ended one.
//!
//! Every third request writes. A write that was answered with 503 may or may not have been applied,
//! even after the next request. Until the next answered write, both results are correct. If an end
//! or a renewal gets 503, the session is abandoned.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::load::{Failure, Figures, Load, Reply, Running};
use crate::pick;
use crate::support::{Client, Request, Sidecar};

/// Every third request writes.
const WRITES: usize = 3;

/// A patron's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    Look,
    LookBack,
    Save,
    Renew,
    LogOut,
}

#[derive(Default)]
struct Patron {
    number: usize,
    ticket: Option<String>,
    /// The last answered save.
    saved: u64,
    /// The last save that was sent.
    sent: u64,
    /// Tickets of ended sessions.
    ended: Vec<String>,
    asked: usize,
    is_waiting: bool,
}

impl Patron {
    fn dict(&self, saved: u64) -> String {
        format!(r#"{{"patron":{},"saved":{saved}}}"#, self.number)
    }

    /// Whether the app may see this, if saves up to `sent` were sent.
    fn may_see(&self, seen: &str, sent: u64) -> bool {
        match self.ticket {
            Some(_) => (self.saved..=sent).any(|saved| self.dict(saved) == seen),
            None => seen == "{}",
        }
    }

    /// The next request, and the ticket to send.
    fn next(&mut self) -> (Deed, Option<String>) {
        self.asked += 1;
        let writes = self.asked.is_multiple_of(WRITES);
        let deed = match self.asked / WRITES % 12 {
            _ if writes && self.ticket.is_none() => Deed::Save,
            5 if writes => Deed::Renew,
            11 if writes => Deed::LogOut,
            _ if writes => Deed::Save,
            _ if self.asked % 5 == 1 && !self.ended.is_empty() => Deed::LookBack,
            _ => Deed::Look,
        };
        let ticket = match deed {
            Deed::LookBack => self.ended.last().cloned(),
            _ => self.ticket.clone(),
        };
        (deed, ticket)
    }

    /// Handles a 503: the request may or may not have been carried out.
    fn refused(&mut self, deed: Deed) {
        match deed {
            Deed::Look | Deed::LookBack => {}
            // A session without a ticket cannot be used.
            Deed::Save => {}
            Deed::Renew | Deed::LogOut => self.ticket = None,
        }
    }

    fn answered(&mut self, deed: Deed, reply: &Reply) -> Result<(), String> {
        let cookie = reply.cookie("session");
        match (deed, cookie) {
            (Deed::Look | Deed::LookBack, None) => {}
            (Deed::Save, Some(cookie)) if !cookie.is_empty() => {
                self.saved = self.sent;
                self.ticket = Some(cookie.to_owned());
            }
            (Deed::Renew, Some(cookie)) if !cookie.is_empty() => {
                self.ticket = Some(cookie.to_owned());
            }
            (Deed::LogOut, Some("")) => self.ended.extend(self.ticket.take()),
            _ => return Err(format!("{deed:?} is answered with the cookie {cookie:?}")),
        }
        Ok(())
    }
}

/// A request in progress.
struct Job {
    patron: usize,
    deed: Deed,
    begun: Instant,
}

/// The results so far.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Correct answers.
    pub served: u64,
    /// Answers with 503.
    pub refused: u64,
    /// Checks that an ended session has stayed ended.
    pub looked_back: u64,
    /// The longest time until an answer, for reads and for writes.
    pub slowest: [Duration; 2],
}

/// Request number n is that of patron n modulo their number.
pub struct Patrons {
    patrons: Vec<Mutex<Patron>>,
    jobs: Mutex<HashMap<u64, Job>>,
    tally: Mutex<Tally>,
}

impl Patrons {
    pub fn new(count: usize) -> Arc<Self> {
        let patron = |number| Mutex::new(Patron { number, asked: number, ..Patron::default() });
        Arc::new(Self {
            patrons: (0..count).map(patron).collect(),
            jobs: Mutex::default(),
            tally: Mutex::default(),
        })
    }

    /// Their requests, 500 per second over 50 connections; fewer in the short form, which must work
    /// on a busy machine. A request without an answer in time has failed.
    pub fn load(self: &Arc<Self>, address: SocketAddr) -> Running {
        let (connections, rate) = pick((16, 50.0), (50, 500.0));
        let patience = pick(Duration::from_secs(60), Duration::from_secs(10));
        self.load_at(Load::on(address).connections(connections).rate(rate).patience(patience))
    }

    /// Their requests with this load.
    pub fn load_at(self: &Arc<Self>, load: Load) -> Running {
        let (asks, hears) = (Arc::clone(self), Arc::clone(self));
        load.start(
            move |number| asks.request(number),
            move |number, reply| hears.check(number, reply),
        )
    }

    /// All of them log in.
    pub fn log_in(self: &Arc<Self>, sidecar: &Sidecar) {
        let mut client = sidecar.connect();
        for patron in &self.patrons {
            let mut patron = patron.lock();
            patron.sent += 1;
            let dict = patron.dict(patron.sent);
            let answer = client.exchange(&Request::get("/").with("Answer-X-Session-Save", dict));
            assert_eq!(answer.status(), 200, "{}", answer.text());
            patron.ticket = Some(crate::support::SetCookie::token(&answer));
            patron.saved = patron.sent;
        }
    }

    fn request(&self, number: u64) -> Vec<u8> {
        let index = (number % self.patrons.len() as u64) as usize;
        let mut patron = self.patrons[index].lock();
        if patron.is_waiting {
            return b"GET /nobody HTTP/1.1\r\nHost: app.test\r\n\r\n".to_vec();
        }
        let (deed, ticket) = patron.next();
        patron.is_waiting = true;
        let asked = match deed {
            Deed::Look | Deed::LookBack => String::new(),
            Deed::Save => {
                patron.sent += 1;
                format!("Answer-X-Session-Save: {}\r\n", patron.dict(patron.sent))
            }
            Deed::Renew => "Answer-X-Session-Renew: 1\r\n".into(),
            Deed::LogOut => "Answer-X-Session-Delete: 1\r\n".into(),
        };
        let cookie =
            ticket.map_or_else(String::new, |ticket| format!("Cookie: session={ticket}\r\n"));
        self.jobs.lock().insert(number, Job { patron: index, deed, begun: Instant::now() });
        format!("GET /{number} HTTP/1.1\r\nHost: app.test\r\n{cookie}{asked}\r\n").into_bytes()
    }

    fn check(&self, number: u64, reply: &Reply) -> Result<(), String> {
        let Some(Job { patron, deed, begun }) = self.jobs.lock().remove(&number) else {
            return Ok(());
        };
        let taken = begun.elapsed();
        let mut patron = self.patrons[patron].lock();
        patron.is_waiting = false;
        let mut tally = self.tally.lock();
        let writes = usize::from(!matches!(deed, Deed::Look | Deed::LookBack));
        tally.slowest[writes] = tally.slowest[writes].max(taken);
        let what = |patron: &Patron| format!("patron {}, {deed:?}", patron.number);
        match reply.status {
            503 => {
                tally.refused += 1;
                if let Some(cookie) = reply.cookie("session") {
                    return Err(format!("{}: 503, and the cookie {cookie:?}", what(&patron)));
                }
                patron.refused(deed);
                return Ok(());
            }
            200 => {}
            status => return Err(format!("{}: {status} {}", what(&patron), reply.text())),
        }
        let text = reply.text();
        let seen = text.lines().nth(1).unwrap_or_default();
        let is_right = match deed {
            Deed::LookBack => seen == "{}",
            // The app saw the dict before the save.
            Deed::Save => patron.may_see(seen, patron.sent - 1),
            Deed::Look | Deed::Renew | Deed::LogOut => patron.may_see(seen, patron.sent),
        };
        if !is_right {
            let (saved, sent) = (patron.saved, patron.sent);
            let has = if patron.ticket.is_some() { "has" } else { "has no" };
            let what = what(&patron);
            return Err(format!("{what}: {has} session, saved {saved} to {sent}, but: {seen}"));
        }
        tally.served += 1;
        tally.looked_back += u64::from(deed == Deed::LookBack);
        patron.answered(deed, reply)
    }

    /// The results since the last call.
    pub fn tally(&self) -> Tally {
        std::mem::take(&mut self.tally.lock())
    }

    /// Checks all sessions against the answers; returns the number of live and of ended sessions.
    pub fn look(&self, sidecar: &Sidecar) -> (usize, usize) {
        self.jobs.lock().clear();
        let (mut live, mut ended) = (0, 0);
        let mut client = sidecar.connect();
        for patron in &self.patrons {
            let mut patron = patron.lock();
            patron.is_waiting = false;
            for ticket in &patron.ended {
                assert_eq!(seen(&mut client, ticket), "{}", "a session that had ended is back");
                ended += 1;
            }
            if let Some(ticket) = &patron.ticket {
                let seen = seen(&mut client, ticket);
                let Patron { number, saved, sent, .. } = &*patron;
                assert!(patron.may_see(&seen, *sent), "{number}: {saved} to {sent}, but: {seen}");
                live += 1;
            }
        }
        (live, ended)
    }
}

fn seen(client: &mut Client, ticket: &str) -> String {
    let answer = client.exchange(&Request::get("/").session(ticket));
    assert_eq!(answer.status(), 200, "{}", answer.text());
    answer.text().lines().nth(1).unwrap_or_default().to_owned()
}

/// Fails unless every answer was correct: see [`Patrons`].
pub fn assert_right(figures: &Figures) {
    assert!(figures.sent > 0, "nothing was sent");
    let broken = figures.of(Failure::Wrong);
    assert_eq!(
        figures.failures(),
        0,
        "{broken} wrong\n{figures}\n{}",
        figures.examples().join("\n")
    );
}

/// A visitor with a session, who repeats a request to measure when it is served.
pub struct Probe<'a> {
    sidecar: &'a Sidecar,
    ticket: String,
}

impl<'a> Probe<'a> {
    pub fn new(sidecar: &'a Sidecar) -> Self {
        let save = Request::get("/").with("Answer-X-Session-Save", r#"{"probe":0}"#);
        Self::of(sidecar, &crate::support::SetCookie::token(&sidecar.send(&save)))
    }

    /// With an existing session.
    pub fn of(sidecar: &'a Sidecar, ticket: &str) -> Self {
        Self { sidecar, ticket: ticket.to_owned() }
    }

    /// The status of one request that reads, or also writes.
    pub fn status(&self, writes: bool) -> u16 {
        let save = if writes { "Answer-X-Session-Save: {\"probe\":1}\r\n" } else { "" };
        let Self { sidecar, ticket } = self;
        let request = format!(
            "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nCookie: session={ticket}\r\n{save}\r\n"
        );
        let mut stream = TcpStream::connect(sidecar.address()).unwrap();
        // Longer than needed on an idle machine.
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
        status.unwrap_or_else(|| panic!("no answer: {answer:?}"))
    }

    /// The time until a request is served; one that also writes, if asked.
    pub fn until_served(&self, writes: bool) -> Duration {
        let begun = Instant::now();
        loop {
            match self.status(writes) {
                200 => return begun.elapsed(),
                503 => assert!(begun.elapsed() < Duration::from_secs(60), "503 for a minute"),
                status => panic!("{status}"),
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until a request fails.
    pub fn until_refused(&self, writes: bool) {
        let begun = Instant::now();
        while self.status(writes) != 503 {
            assert!(begun.elapsed() < Duration::from_secs(60), "served for a minute");
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

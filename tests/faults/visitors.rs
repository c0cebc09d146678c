//! Visitors with sessions in a store. Each saves, renews and ends its session repeatedly, and
//! remembers the answers: they must stay true, whatever happens to the sidecar.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use rusqlite::Connection;

use crate::backend::Echo;
use crate::load::{Load, Reply, Running};
use crate::support::{Builder, Request, Sidecar};

/// A visitor's request.
#[derive(Clone, Copy, Debug)]
enum Deed {
    Save,
    Renew,
    LogOut,
}

struct Visitor {
    number: usize,
    ticket: Option<String>,
    /// Earlier tickets of the session, before it was renewed.
    former: Vec<String>,
    /// Tickets of ended sessions.
    ended: Vec<String>,
    /// The last answered save.
    saved: u64,
    /// The number of requests.
    asked: usize,
    /// The request without an answer so far.
    under_way: Option<Deed>,
}

impl Visitor {
    fn dict(&self, saved: u64) -> String {
        format!(r#"{{"visitor":{},"saved":{saved}}}"#, self.number)
    }

    /// The dict that it must see.
    fn seen(&self) -> String {
        match self.ticket {
            Some(_) => self.dict(self.saved),
            None => "{}".into(),
        }
    }

    fn answered(&mut self, deed: Deed, reply: &Reply) -> Result<(), String> {
        let cookie = reply.cookie("session").ok_or("no cookie")?;
        if cookie.is_empty() != matches!(deed, Deed::LogOut) {
            return Err(format!("{deed:?} is answered with the cookie {cookie:?}"));
        }
        match deed {
            Deed::Save => {
                self.saved += 1;
                self.ticket = Some(cookie.to_owned());
            }
            Deed::Renew => self.former.extend(self.ticket.replace(cookie.to_owned())),
            Deed::LogOut => {
                self.ended.extend(self.ticket.take());
                self.ended.append(&mut self.former);
            }
        }
        Ok(())
    }
}

/// Request number n belongs to visitor n modulo the number of visitors, who sends nothing while the
/// previous request is unanswered.
pub struct Visitors {
    visitors: Vec<Mutex<Visitor>>,
    jobs: Mutex<HashMap<u64, (usize, Deed)>>,
    is_over: AtomicBool,
}

/// The result of a final check.
#[derive(Clone, Copy, Debug, Default)]
pub struct Looked {
    /// Sessions that were as expected.
    pub kept: i64,
    /// Ended sessions that had stayed ended.
    pub ended: i64,
    /// Sessions whose last request was not answered.
    pub unknown: i64,
}

impl Visitors {
    pub fn new(count: usize) -> Arc<Self> {
        let visitor = |number| Visitor {
            number,
            ticket: None,
            former: Vec::new(),
            ended: Vec::new(),
            saved: 0,
            asked: number,
            under_way: None,
        };
        Arc::new(Self {
            visitors: (0..count).map(|number| Mutex::new(visitor(number))).collect(),
            jobs: Mutex::default(),
            is_over: AtomicBool::new(false),
        })
    }

    /// Their requests with this load.
    pub fn load(self: &Arc<Self>, load: Load) -> Running {
        self.is_over.store(false, Ordering::Relaxed);
        let (asks, hears) = (Arc::clone(self), Arc::clone(self));
        load.start(
            move |number| asks.request(number),
            move |number, reply| hears.check(number, reply),
        )
    }

    /// From now on they send no requests.
    pub fn rest(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    fn request(&self, number: u64) -> Vec<u8> {
        let index = (number % self.visitors.len() as u64) as usize;
        let mut visitor = self.visitors[index].lock();
        if visitor.under_way.is_some() || self.is_over.load(Ordering::Relaxed) {
            return b"GET /nobody HTTP/1.1\r\nHost: app.test\r\n\r\n".to_vec();
        }
        visitor.asked += 1;
        let deed = match (&visitor.ticket, visitor.asked % 8) {
            (Some(_), 6) => Deed::Renew,
            (Some(_), 7) => Deed::LogOut,
            _ => Deed::Save,
        };
        visitor.under_way = Some(deed);
        self.jobs.lock().insert(number, (index, deed));
        let asked = match deed {
            Deed::Save => format!("Save: {}", visitor.dict(visitor.saved + 1)),
            Deed::Renew => "Renew: 1".into(),
            Deed::LogOut => "Delete: 1".into(),
        };
        let cookie = match &visitor.ticket {
            Some(ticket) => format!("Cookie: session={ticket}\r\n"),
            None => String::new(),
        };
        format!(
            "GET /{number} HTTP/1.1\r\nHost: app.test\r\n{cookie}Answer-X-Session-{asked}\r\n\r\n"
        )
        .into_bytes()
    }

    fn check(&self, number: u64, reply: &Reply) -> Result<(), String> {
        if reply.status != 200 {
            return Err(format!("{} {}", reply.status, reply.text()));
        }
        let Some((index, deed)) = self.jobs.lock().remove(&number) else { return Ok(()) };
        let mut visitor = self.visitors[index].lock();
        if reply.text() != Echo::body(&format!("/{number}"), &visitor.seen()) {
            return Err(format!("not {}: {}", visitor.seen(), reply.text()));
        }
        visitor.under_way = None;
        visitor.answered(deed, reply)
    }

    /// Checks all sessions against the answers. Those without an answer to the last request start
    /// again.
    pub fn look(&self, sidecar: &Sidecar) -> Looked {
        self.jobs.lock().clear();
        let mut client = sidecar.connect();
        let mut seen = |ticket: &str| {
            let answer = client.exchange(&Request::get("/").session(ticket));
            assert_eq!(answer.status(), 200, "{}", answer.text());
            answer.text().lines().nth(1).unwrap_or_default().to_owned()
        };
        let mut looked = Looked::default();
        for visitor in &self.visitors {
            let mut visitor = visitor.lock();
            for ticket in std::mem::take(&mut visitor.ended) {
                assert_eq!(seen(&ticket), "{}", "a session that had ended is back");
                looked.ended += 1;
            }
            match (visitor.under_way.take(), visitor.ticket.clone()) {
                (None, None) => {}
                (None, Some(ticket)) => {
                    assert_eq!(seen(&ticket), visitor.seen(), "not as it was answered");
                    looked.kept += 1;
                }
                (Some(deed), ticket) => {
                    let next = match deed {
                        Deed::Save => visitor.dict(visitor.saved + 1),
                        Deed::Renew => visitor.seen(),
                        Deed::LogOut => "{}".into(),
                    };
                    if let Some(ticket) = ticket {
                        let seen = seen(&ticket);
                        assert!(seen == next || seen == visitor.seen(), "{deed:?} {seen}");
                    }
                    looked.unknown += 1;
                    let Visitor { number, saved, asked, .. } = *visitor;
                    *visitor = Visitor {
                        number,
                        saved,
                        asked,
                        ticket: None,
                        former: Vec::new(),
                        ended: Vec::new(),
                        under_way: None,
                    };
                }
            }
        }
        looked
    }
}

/// A file for sessions in a private folder.
pub struct Home(tempfile::TempDir);

impl Home {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    pub fn path(&self) -> PathBuf {
        self.0.path().join("sessions.db")
    }

    /// A builder with a long time-out, because a busy machine must not cause an outage.
    pub fn builder(&self, backend: &Echo) -> Builder {
        let (path, timeout) = (self.path(), crate::pick("5s", "250ms"));
        Builder::new(&backend.url()).forget_access().with(&format!(
            "[store]\nurl = \"file:{}\"\ntimeout = \"{timeout}\"\n[session]\nttl = \"1h\"\n",
            path.display()
        ))
    }

    /// The number of sessions in the file, which must be valid.
    pub fn sessions(&self) -> i64 {
        let file = Connection::open(self.path()).unwrap();
        let sound: String = file.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
        let count = |sql: &str| file.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        let all = count("SELECT count(*) FROM session");
        assert_eq!(count("SELECT count(DISTINCT id) FROM session"), all, "an id is there twice");
        count("SELECT count(*) FROM session WHERE until IS NULL")
    }
}

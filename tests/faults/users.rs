//! Users, each with a dict and a cookie of their own, who notice when they get anybody else's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::backend::Echo;
use crate::load::{Load, Reply, Running};
use crate::support::{mint, token};

/// Each saves in every third of its requests, unless their number can be divided by that.
const SAVES: u64 = 3;

struct User {
    dict: String,
    /// The payload of every token of this user.
    payload: String,
    token: Mutex<String>,
}

/// Request number n is that of user n modulo their number.
pub struct Users {
    users: Vec<User>,
    mixed_up: AtomicU64,
    lost: AtomicU64,
}

impl Users {
    /// Their first tokens are signed with [`crate::support::SECRET`].
    pub fn new(count: u64) -> Self {
        assert_ne!(count % SAVES, 0, "some would save always, and some never");
        let users = (0..count).map(|number| {
            // Of different lengths, so that a part of another one shows too.
            let notes = "x".repeat((number % 97) as usize);
            let dict = format!(r#"{{"user":{number},"name":"user {number}","notes":"{notes}"}}"#);
            User { payload: token::base64(&dict), token: Mutex::new(mint(&dict)), dict }
        });
        Self { users: users.collect(), mixed_up: AtomicU64::new(0), lost: AtomicU64::new(0) }
    }

    /// Their requests, as many and as fast as the load is.
    pub fn load(self: &Arc<Self>, load: Load) -> Running {
        let (asks, hears) = (Arc::clone(self), Arc::clone(self));
        load.start(
            move |number| asks.request(number, number % SAVES == 0),
            move |number, reply| hears.check(number, number % SAVES == 0, reply),
        )
    }

    pub fn count(&self) -> usize {
        self.users.len()
    }

    fn of(&self, number: u64) -> &User {
        &self.users[(number % self.users.len() as u64) as usize]
    }

    fn target(number: u64) -> String {
        format!("/request/{number}")
    }

    /// The request of that number: looks at the session, or saves it once more.
    fn request(&self, number: u64, saves: bool) -> Vec<u8> {
        let user = self.of(number);
        let target = Self::target(number);
        let token = user.token.lock().clone();
        let save = match saves {
            true => format!("Answer-X-Session-Save: {}\r\n", user.dict),
            false => String::new(),
        };
        format!("GET {target} HTTP/1.1\r\nHost: app.test\r\nCookie: session={token}\r\n{save}\r\n")
            .into_bytes()
    }

    /// Whether the answer is that to the request of that number, of its user and nobody else.
    fn check(&self, number: u64, saves: bool, reply: &Reply) -> Result<(), String> {
        let user = self.of(number);
        let target = Self::target(number);
        if reply.status != 200 {
            return Err(format!("{} {}", reply.status, reply.text()));
        }
        if reply.body == Echo::body(&target, "{}").into_bytes() {
            self.lost.fetch_add(1, Ordering::Relaxed);
            return Err("logged out".into());
        }
        if reply.body != Echo::body(&target, &user.dict).into_bytes() {
            self.mixed_up.fetch_add(1, Ordering::Relaxed);
            return Err(format!("not {target} of {}: {}", user.dict, reply.text()));
        }
        let Some(token) = reply.cookie("session") else {
            return if saves { Err("not saved".into()) } else { Ok(()) };
        };
        if !saves || token.split('.').nth(1) != Some(&user.payload) {
            self.mixed_up.fetch_add(1, Ordering::Relaxed);
            return Err(format!("a cookie that is not that of {}: {token}", user.dict));
        }
        token.clone_into(&mut user.token.lock());
        Ok(())
    }

    /// How many answers were not for their user.
    pub fn mixed_up(&self) -> u64 {
        self.mixed_up.load(Ordering::Relaxed)
    }

    /// How many answers had no session.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

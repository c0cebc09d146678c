//! Users with their own dicts and cookies, who detect answers for another user.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::backend::Echo;
use crate::load::{Load, Reply, Running};
use crate::support::{mint, token};

/// Every third request of a user saves, unless the number of users is divisible by this.
const SAVES: u64 = 3;

struct User {
    dict: String,
    /// The payload of every token of this user.
    payload: String,
    token: Mutex<String>,
}

/// Request number n belongs to user n modulo the number of users.
pub struct Users {
    users: Vec<User>,
    mixed_up: AtomicU64,
    lost: AtomicU64,
}

impl Users {
    /// Signs their first tokens with [`crate::support::SECRET`].
    pub fn new(count: u64) -> Self {
        assert_ne!(count % SAVES, 0, "some would save always, and some never");
        let users = (0..count).map(|number| {
            // Different lengths, so that a part of another one is visible.
            let notes = "x".repeat((number % 97) as usize);
            let dict = format!(r#"{{"user":{number},"name":"user {number}","notes":"{notes}"}}"#);
            User { payload: token::base64(&dict), token: Mutex::new(mint(&dict)), dict }
        });
        Self { users: users.collect(), mixed_up: AtomicU64::new(0), lost: AtomicU64::new(0) }
    }

    /// Their requests with this load.
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

    /// The request with this number: reads the session, or saves it again.
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

    /// Checks that the answer belongs to the request with this number and to its user.
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

    /// How many answers belonged to another user.
    pub fn mixed_up(&self) -> u64 {
        self.mixed_up.load(Ordering::Relaxed)
    }

    /// How many answers had no session.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

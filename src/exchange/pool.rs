//! Idle connections to apps, kept for the next request.
//!
//! pingora's pool starts a task and a timer whenever a connection is put back. Here one task watches
//! all of them: it is woken when one becomes readable, because then it has ended, and when one has
//! been idle for too long.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Instant;

use parking_lot::Mutex;
use pingora_core::protocols::Stream;
use pingora_core::protocols::l4::socket::SocketAddr;
use pingora_core::upstreams::peer::Peer as _;
use tokio::io::{AsyncRead as _, ReadBuf};
use tokio::sync::Notify;
use tokio::task::unconstrained;

use crate::upstream::Place;

/// The idle connections to all apps.
pub(super) struct Pool {
    kept: Mutex<Kept>,
    /// The most connections.
    most: usize,
    alarm: Arc<Alarm>,
    /// Wakes the alarm when a connection becomes readable.
    waker: Waker,
}

#[derive(Default)]
struct Kept {
    /// By the hash of their place; the one used last is at the end.
    places: HashMap<u64, Vec<Idle>>,
    count: usize,
    /// When the watching task checks them next, if at all.
    looked_at: Option<Instant>,
    is_watched: bool,
}

struct Idle {
    stream: Stream,
    address: SocketAddr,
    since: Instant,
    until: Option<Instant>,
}

/// Wakes the watching task.
#[derive(Default)]
struct Alarm(Notify);

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.0.notify_one();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.notify_one();
    }
}

impl Pool {
    pub(super) fn new(most: usize) -> Arc<Self> {
        let alarm = Arc::new(Alarm::default());
        let waker = Waker::from(Arc::clone(&alarm));
        Arc::new(Self { kept: Mutex::default(), most, alarm, waker })
    }

    /// The connection to that place that was used last and is still good.
    pub(super) async fn take(&self, place: &Place) -> Option<Stream> {
        loop {
            let mut idle = self.kept.lock().take(place)?;
            // This replaces the alarm as what it wakes.
            let is_silent = |context: &mut Context<'_>| Poll::Ready(idle.is_silent(context));
            if unconstrained(std::future::poll_fn(is_silent)).await {
                return Some(idle.stream);
            }
        }
    }

    /// Keeps a connection to that place. Its last answer must have been read to the exact end.
    pub(super) async fn put(self: &Arc<Self>, place: &Place, stream: Stream) {
        let since = Instant::now();
        let until = place.peer.idle_timeout().and_then(|patience| since.checked_add(patience));
        let mut idle = Some(Idle { stream, address: place.peer.address().clone(), since, until });
        let put = |_: &mut Context<'_>| {
            if let Some(idle) = idle.take() {
                self.keep(place.hash, idle);
            }
            Poll::Ready(())
        };
        unconstrained(std::future::poll_fn(put)).await;
    }

    fn keep(self: &Arc<Self>, hash: u64, mut idle: Idle) {
        let mut kept = self.kept.lock();
        // Under the lock: if it ends from here on, the task that the alarm wakes finds it.
        if self.most == 0 || !idle.is_silent(&mut Context::from_waker(&self.waker)) {
            return;
        }
        let is_sooner = |until| kept.looked_at.is_none_or(|looked_at| until < looked_at);
        if idle.until.is_some_and(is_sooner) {
            kept.looked_at = idle.until;
            self.alarm.0.notify_one();
        }
        let evicted = if kept.count < self.most { None } else { kept.take_oldest() };
        kept.count += 1;
        kept.places.entry(hash).or_default().push(idle);
        if !std::mem::replace(&mut kept.is_watched, true) {
            tokio::spawn(watch(Arc::downgrade(self), Arc::clone(&self.alarm)));
        }
        drop(kept);
        drop(evicted);
    }

    /// Drops connections that have ended or have been idle for too long. Returns when to check
    /// next.
    fn sweep(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut context = Context::from_waker(&self.waker);
        let mut gone = Vec::new();
        let mut kept = self.kept.lock();
        let mut next: Option<Instant> = None;
        for idle in kept.places.values_mut() {
            let is_over = |idle: &mut Idle| {
                idle.until.is_some_and(|until| until <= now) || !idle.is_silent(&mut context)
            };
            gone.extend(idle.extract_if(.., is_over));
            let until = idle.iter().filter_map(|idle| idle.until).min();
            next = [next, until].into_iter().flatten().min();
        }
        kept.places.retain(|_, idle| !idle.is_empty());
        kept.count -= gone.len();
        // If all are in use, the time stays: else each one put back would wake the task.
        kept.looked_at = next.or(kept.looked_at.filter(|looked_at| *looked_at > now));
        kept.looked_at
    }
}

impl Kept {
    fn take(&mut self, place: &Place) -> Option<Idle> {
        let idle = self.places.get_mut(&place.hash)?;
        // The address too, in case two places have the same hash.
        let at = idle.iter().rposition(|idle| idle.address == *place.peer.address())?;
        self.count -= 1;
        Some(idle.remove(at))
    }

    fn take_oldest(&mut self) -> Option<Idle> {
        let oldest = self.places.values_mut().filter(|idle| !idle.is_empty());
        let oldest = oldest.min_by_key(|idle| idle.first().map(|idle| idle.since))?;
        self.count -= 1;
        Some(oldest.remove(0))
    }
}

impl Idle {
    /// Whether nothing has arrived: no end, and no bytes that nobody has asked for. The context is
    /// woken when something does. Call it unconstrained: with a spent budget, tokio would report
    /// any connection as silent.
    fn is_silent(&mut self, context: &mut Context<'_>) -> bool {
        let mut byte = [0];
        Pin::new(&mut self.stream).poll_read(context, &mut ReadBuf::new(&mut byte)).is_pending()
    }
}

/// Watches the idle connections as long as the pool exists.
async fn watch(pool: Weak<Pool>, alarm: Arc<Alarm>) {
    loop {
        let sweep = |_: &mut Context<'_>| Poll::Ready(pool.upgrade().map(|pool| pool.sweep()));
        let Some(next) = unconstrained(std::future::poll_fn(sweep)).await else { return };
        let called = alarm.0.notified();
        match next {
            Some(next) => drop(tokio::time::timeout_at(next.into(), called).await),
            None => called.await,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use std::future::poll_fn;
    use std::time::Duration;

    use pingora_core::upstreams::peer::HttpPeer;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
    use tokio::task::coop::poll_proceed;

    use super::*;

    const SOON: Duration = Duration::from_millis(30);
    const LATE: Duration = Duration::from_secs(60);

    fn place(address: &str, patience: Duration) -> Place {
        let mut peer = HttpPeer::new(address, false, String::new());
        peer.options.idle_timeout = Some(patience);
        Place::new(peer)
    }

    /// Puts a connection into the pool. Returns the app's end of it.
    async fn put(pool: &Arc<Pool>, place: &Place) -> DuplexStream {
        let (ours, theirs) = duplex(64);
        pool.put(place, Box::new(ours)).await;
        theirs
    }

    async fn is_other_end(stream: Option<Stream>, theirs: &mut DuplexStream) -> bool {
        let Some(mut stream) = stream else { return false };
        stream.write_all(b"?").await.unwrap();
        theirs.read_u8().await.is_ok_and(|byte| byte == b'?')
    }

    /// Waits until the pool holds that many.
    async fn count_becomes(pool: &Pool, count: usize) {
        let become_so = async {
            while pool.kept.lock().count != count {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(LATE, become_so).await.unwrap();
        let kept = pool.kept.lock();
        assert_eq!(kept.places.values().map(Vec::len).sum::<usize>(), count);
    }

    /// As after a poll in which much was read.
    async fn spend_budget() {
        poll_fn(|context| {
            while let Poll::Ready(step) = poll_proceed(context) {
                step.made_progress();
            }
            Poll::Ready(())
        })
        .await;
    }

    #[tokio::test]
    async fn the_connection_that_was_used_last_is_taken_first() {
        let (pool, app) = (Pool::new(9), place("127.0.0.1:1", LATE));
        assert!(pool.take(&app).await.is_none());
        let mut first = put(&pool, &app).await;
        let mut second = put(&pool, &app).await;
        assert!(is_other_end(pool.take(&app).await, &mut second).await);
        assert!(is_other_end(pool.take(&app).await, &mut first).await);
        assert!(pool.take(&app).await.is_none());
    }

    #[tokio::test]
    async fn no_app_gets_the_connection_of_another() {
        let pool = Pool::new(9);
        let one = place("127.0.0.1:1", LATE);
        let other = place("127.0.0.1:2", LATE);
        // As if two hashes collided.
        let alike = Place { hash: one.hash, ..other.clone() };
        let mut connection = put(&pool, &one).await;
        assert!(pool.take(&other).await.is_none());
        assert!(pool.take(&alike).await.is_none());
        assert!(is_other_end(pool.take(&one).await, &mut connection).await);
    }

    #[tokio::test]
    async fn a_connection_on_which_something_has_arrived_is_not_taken() {
        let (pool, app) = (Pool::new(9), place("127.0.0.1:1", LATE));
        let mut good = put(&pool, &app).await;
        drop(put(&pool, &app).await);
        let mut talks = put(&pool, &app).await;
        talks.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        spend_budget().await;
        assert!(is_other_end(pool.take(&app).await, &mut good).await);
        assert_eq!(pool.kept.lock().count, 0);
        // Nor is it kept.
        let (ours, mut talks) = duplex(64);
        talks.write_all(b"X").await.unwrap();
        spend_budget().await;
        pool.put(&app, Box::new(ours)).await;
        assert_eq!(pool.kept.lock().count, 0);
        assert_eq!(talks.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_connection_that_ends_is_dropped_at_once() {
        let (pool, app) = (Pool::new(9), place("127.0.0.1:1", LATE));
        let mut stays = put(&pool, &app).await;
        let ends = put(&pool, &app).await;
        count_becomes(&pool, 2).await;
        drop(ends);
        count_becomes(&pool, 1).await;
        assert!(is_other_end(pool.take(&app).await, &mut stays).await);
    }

    #[tokio::test]
    async fn a_connection_is_dropped_after_its_idle_time() {
        let pool = Pool::new(9);
        let begun = Instant::now();
        let _stays = put(&pool, &place("127.0.0.1:1", LATE)).await;
        for _ in 0..2 {
            let mut idle = put(&pool, &place("127.0.0.1:2", SOON)).await;
            assert_eq!(idle.read(&mut [0]).await.unwrap(), 0);
        }
        assert!(begun.elapsed() >= 2 * SOON);
        count_becomes(&pool, 1).await;
    }

    #[tokio::test]
    async fn the_oldest_makes_room_for_another() {
        let pool = Pool::new(2);
        let (one, other) = (place("127.0.0.1:1", LATE), place("127.0.0.1:2", LATE));
        let mut oldest = put(&pool, &one).await;
        let mut older = put(&pool, &other).await;
        let mut newest = put(&pool, &one).await;
        assert_eq!(oldest.read(&mut [0]).await.unwrap(), 0);
        assert!(is_other_end(pool.take(&one).await, &mut newest).await);
        assert!(is_other_end(pool.take(&other).await, &mut older).await);
        let none = Pool::new(0);
        assert_eq!(put(&none, &one).await.read(&mut [0]).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn the_watching_task_is_not_woken_for_each_request() {
        let (pool, app) = (Pool::new(9), place("127.0.0.1:1", LATE));
        let mut connection = put(&pool, &app).await;
        for _ in 0..3 {
            let stream = pool.take(&app).await;
            // The task checks once, while the pool is empty.
            tokio::task::yield_now().await;
            let looked_at = pool.kept.lock().looked_at;
            assert!(looked_at.is_some());
            pool.put(&app, stream.unwrap()).await;
            assert_eq!(pool.kept.lock().looked_at, looked_at);
        }
        assert!(is_other_end(pool.take(&app).await, &mut connection).await);
    }
}

//! Many clients on persistent connections, at a given rate or at full speed.
//!
//! At a given rate, requests are due at regular intervals, whether or not earlier ones have been
//! answered. If all connections are busy, the latency of a request still counts from when it was
//! due.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use crate::runtime;

mod connection;
mod figures;
mod streams;
#[cfg(test)]
mod tests;

use connection::Connection;
pub use connection::Reply;
pub use figures::{Failure, Figures};
use streams::Streams;

/// How many failures of each kind a client keeps as examples.
const EXAMPLES: u64 = 5;

/// A load under construction.
pub struct Load {
    address: SocketAddr,
    connections: usize,
    streams: Option<usize>,
    rate: Option<f64>,
    count: u64,
    time: Option<Duration>,
    patience: Duration,
}

type Request = dyn Fn(u64) -> Vec<u8> + Send + Sync;
type Check = dyn Fn(u64, &Reply) -> Result<(), String> + Send + Sync;

struct Job {
    load: Load,
    begun: Instant,
    next: AtomicU64,
    request: Box<Request>,
    check: Box<Check>,
}

impl Load {
    /// 16 connections at full speed, until stopped.
    pub fn on(address: SocketAddr) -> Self {
        Self {
            address,
            connections: 16,
            streams: None,
            rate: None,
            count: u64::MAX,
            time: None,
            patience: Duration::from_secs(10),
        }
    }

    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Over HTTP/2, with this number of concurrent requests on each connection.
    pub fn streams(mut self, streams: usize) -> Self {
        self.streams = Some(streams);
        self
    }

    /// Requests per second over all connections.
    pub fn rate(mut self, per_second: f64) -> Self {
        self.rate = Some(per_second);
        self
    }

    /// Ends after this number of requests.
    pub fn count(mut self, requests: u64) -> Self {
        self.count = requests;
        self
    }

    /// Ends after this time.
    pub fn during(mut self, time: Duration) -> Self {
        self.time = Some(time);
        self
    }

    /// How long an answer may take.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sends the result of `request` for each number from 0, and passes each answer to `check` with
    /// its number.
    pub fn start(
        self,
        request: impl Fn(u64) -> Vec<u8> + Send + Sync + 'static,
        check: impl Fn(u64, &Reply) -> Result<(), String> + Send + Sync + 'static,
    ) -> Running {
        assert!(
            self.count < u64::MAX || self.time.is_none_or(|time| time > Duration::ZERO),
            "a load of nothing"
        );
        let (stop, stops) = watch::channel(false);
        let job = Arc::new(Job {
            load: self,
            begun: Instant::now(),
            next: AtomicU64::new(0),
            request: Box::new(request),
            check: Box::new(check),
        });
        let mut clients = Vec::new();
        for _ in 0..job.load.connections {
            let mut start = |channel| {
                clients.push(runtime().spawn(client(Arc::clone(&job), channel, stops.clone())));
            };
            match job.load.streams {
                None => start(Channel::Own(Connection::to(job.load.address))),
                Some(streams) => {
                    let shared = Streams::to(job.load.address);
                    (0..streams).for_each(|_| start(Channel::Shared(shared.clone())));
                }
            }
        }
        Running { job, clients, stop }
    }

    /// The same, and waits for the end.
    pub fn run(
        self,
        request: impl Fn(u64) -> Vec<u8> + Send + Sync + 'static,
        check: impl Fn(u64, &Reply) -> Result<(), String> + Send + Sync + 'static,
    ) -> Figures {
        assert!(self.count < u64::MAX || self.time.is_some(), "a load without an end");
        self.start(request, check).finish()
    }
}

/// A running load.
pub struct Running {
    job: Arc<Job>,
    clients: Vec<JoinHandle<Figures>>,
    stop: watch::Sender<bool>,
}

impl Running {
    /// How many requests have been started.
    pub fn begun(&self) -> u64 {
        self.job.next.load(Ordering::Relaxed)
    }

    /// Starts no more requests, and waits for the last answers.
    pub fn stop(self) -> Figures {
        self.stop.send_replace(true);
        self.finish()
    }

    /// Waits until the number or the time is reached.
    pub fn finish(self) -> Figures {
        let mut all = Figures::default();
        for client in self.clients {
            all.add(runtime().block_on(client).expect("a client that does not panic"));
        }
        all.end(self.job.begun.elapsed());
        all
    }
}

/// How a client reaches the server.
enum Channel {
    Own(Connection),
    Shared(Streams),
}

impl Channel {
    async fn exchange(&mut self, request: &[u8]) -> std::io::Result<Reply> {
        match self {
            Self::Own(connection) => connection.exchange(request).await,
            Self::Shared(streams) => streams.exchange(request).await,
        }
    }
}

/// Sends one request after another.
async fn client(job: Arc<Job>, mut channel: Channel, mut stops: watch::Receiver<bool>) -> Figures {
    let load = &job.load;
    let mut figures = Figures::default();
    while !*stops.borrow() {
        let number = job.next.fetch_add(1, Ordering::Relaxed);
        let elapsed = job.begun.elapsed();
        let due = load.rate.map_or(elapsed, |rate| Duration::from_secs_f64(number as f64 / rate));
        if number >= load.count || load.time.is_some_and(|time| due >= time) {
            break;
        }
        let mut from = job.begun + due;
        if due > elapsed {
            let wait = timeout(due - elapsed, stops.wait_for(|stop| *stop));
            if wait.await.is_ok() {
                break;
            }
            // The delay of the timer does not count as latency.
            from = Instant::now();
        }
        let request = (job.request)(number);
        let result = timeout(load.patience, channel.exchange(&request)).await;
        let taken = from.elapsed();
        figures.sent += 1;
        let failure = match result {
            Ok(Ok(reply)) => {
                figures.answered(reply.status, taken);
                (job.check)(number, &reply).err().map(|why| (Failure::Wrong, why))
            }
            Ok(Err(error)) => Some((Failure::from(&error), error.to_string())),
            Err(_) => Some((Failure::TimedOut, format!("nothing in {:?}", load.patience))),
        };
        if let Some((kind, why)) = failure {
            if let Channel::Own(connection) = &mut channel {
                connection.close();
            }
            figures.failed(kind, format!("request {number}: {kind}: {why}"));
            if kind == Failure::Refused {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    }
    if let Channel::Own(connection) = channel {
        figures.reopened += connection.reopened();
    }
    figures
}

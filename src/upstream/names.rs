//! The addresses of the backend's name: resolved in the background while they are used, and at once
//! when one fails. An address that accepts no connections is left out until it does again.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::watch;

/// How long addresses are used before they are resolved again.
const FRESH: Duration = Duration::from_secs(5);

/// How often an address without connections is tried again, independently of requests.
const PROBE: Duration = Duration::from_secs(1);

type Answer = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// The result of a look-up, shared by all who wait. `io::Error` cannot be cloned.
type Found = Result<Arc<Known>, (io::ErrorKind, String)>;

/// A name and its last known addresses.
pub(super) struct Name {
    look_up: Box<dyn Fn() -> Answer + Send + Sync>,
    patience: Duration,
    fresh: Duration,
    probe: Duration,
    known: ArcSwapOption<Known>,
    /// The look-up in progress, which later callers wait for too.
    looking: Mutex<Option<watch::Receiver<Option<Found>>>>,
    /// A connection to a known address failed.
    suspect: AtomicBool,
    /// The addresses that accepted no connection at the last try.
    dead: Mutex<Dead>,
}

#[derive(Default)]
struct Dead {
    addresses: Vec<SocketAddr>,
    /// Whether [`probe`] is running.
    is_probed: bool,
}

struct Known {
    addresses: Vec<SocketAddr>,
    at: Instant,
}

impl Name {
    /// Uses the system's resolver and waits at most `patience`.
    pub(super) fn new(host: &str, port: u16, patience: Duration) -> Self {
        let host: Arc<str> = host.into();
        let look_up = move || -> Answer {
            let host = Arc::clone(&host);
            Box::pin(async move {
                Ok(tokio::net::lookup_host((&*host, port)).await?.collect::<Vec<_>>())
            })
        };
        Self::with(look_up, patience, FRESH, PROBE)
    }

    fn with(
        look_up: impl Fn() -> Answer + Send + Sync + 'static,
        patience: Duration,
        fresh: Duration,
        probe: Duration,
    ) -> Self {
        Self {
            look_up: Box::new(look_up),
            patience,
            fresh,
            probe,
            known: ArcSwapOption::empty(),
            looking: Mutex::new(None),
            suspect: AtomicBool::new(false),
            dead: Mutex::default(),
        }
    }

    /// The address for an attempt, counted from 0. Each attempt takes the next address that is not
    /// known to be dead, or any if all are dead.
    ///
    /// # Errors
    /// The name has never been resolved.
    pub(super) async fn address(self: &Arc<Self>, attempt: usize) -> io::Result<SocketAddr> {
        let known = match self.known.load_full() {
            Some(known) if self.suspect.swap(false, Ordering::AcqRel) => {
                self.look_up().await.unwrap_or(known)
            }
            Some(known) => {
                if known.at.elapsed() > self.fresh {
                    // If the name cannot be resolved now, its old addresses stay.
                    drop(self.join_look_up());
                }
                known
            }
            None => self.look_up().await?,
        };
        let dead = self.dead.lock();
        let alive = || known.addresses.iter().filter(|address| !dead.addresses.contains(address));
        let address = match alive().count() {
            0 => known.addresses.get(attempt % known.addresses.len().max(1)),
            count => alive().nth(attempt % count),
        };
        address.copied().ok_or_else(nowhere)
    }

    /// The number of known addresses.
    pub(super) fn count(&self) -> usize {
        self.known.load().as_ref().map_or(1, |known| known.addresses.len())
    }

    /// Notes that a connection to an address failed: the next attempt resolves the name, and
    /// requests use other addresses until this one answers again.
    pub(super) fn missed(self: &Arc<Self>, address: SocketAddr) {
        self.suspect.store(true, Ordering::Release);
        let mut dead = self.dead.lock();
        if !dead.addresses.contains(&address) {
            dead.addresses.push(address);
        }
        if !std::mem::replace(&mut dead.is_probed, true) {
            tokio::spawn(probe(Arc::downgrade(self), self.probe, self.patience));
        }
    }

    /// Waits for the look-up in progress, or a new one, at most `patience`.
    async fn look_up(self: &Arc<Self>) -> io::Result<Arc<Known>> {
        let mut looking = self.join_look_up();
        let found = tokio::time::timeout(self.patience, looking.wait_for(Option::is_some)).await;
        let found = found.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?;
        let found = found.ok().and_then(|found| found.clone()).unwrap_or_else(|| {
            Err((io::ErrorKind::Interrupted, "the look-up was interrupted".to_owned()))
        });
        found.map_err(|(kind, text)| io::Error::new(kind, text))
    }

    /// Only one look-up at a time: each needs a thread until the resolver answers, even if nobody
    /// waits any more.
    fn join_look_up(self: &Arc<Self>) -> watch::Receiver<Option<Found>> {
        let mut looking = self.looking.lock();
        if let Some(under_way) = &*looking
            && under_way.has_changed().is_ok()
        {
            return under_way.clone();
        }
        let (tell, told) = watch::channel(None);
        *looking = Some(told.clone());
        let name = Arc::clone(self);
        tokio::spawn(async move {
            let found = (name.look_up)().await.and_then(|addresses| name.learn(addresses));
            *name.looking.lock() = None;
            tell.send_replace(Some(found.map_err(|error| (error.kind(), error.to_string()))));
        });
        told
    }

    fn learn(&self, addresses: Vec<SocketAddr>) -> io::Result<Arc<Known>> {
        if addresses.is_empty() {
            return Err(nowhere());
        }
        self.dead.lock().addresses.retain(|address| addresses.contains(address));
        let known = Arc::new(Known { addresses, at: Instant::now() });
        self.known.store(Some(Arc::clone(&known)));
        Ok(known)
    }
}

/// Tries the dead addresses until none is left, so that no request has to.
async fn probe(name: Weak<Name>, every: Duration, patience: Duration) {
    loop {
        tokio::time::sleep(every).await;
        let Some(dead) = name.upgrade().map(|name| name.dead.lock().addresses.clone()) else {
            return;
        };
        for address in dead {
            let connected = tokio::time::timeout(patience, TcpStream::connect(address)).await;
            if let (Ok(Ok(_)), Some(name)) = (connected, name.upgrade()) {
                name.dead.lock().addresses.retain(|other| *other != address);
            }
        }
        let Some(name) = name.upgrade() else { return };
        let mut dead = name.dead.lock();
        if dead.addresses.is_empty() {
            dead.is_probed = false;
            return;
        }
    }
}

fn nowhere() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the name has no address")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// A name whose addresses the test sets; None is a failing resolver.
    struct Zone {
        answer: Arc<Mutex<Option<Vec<u16>>>>,
        asked: Arc<Mutex<usize>>,
        name: Arc<Name>,
    }

    impl Zone {
        fn new(fresh: Duration, ports: &[u16]) -> Self {
            Self::probed(fresh, HOUR, ports)
        }

        fn probed(fresh: Duration, probe: Duration, ports: &[u16]) -> Self {
            let answer = Arc::new(Mutex::new(Some(ports.to_vec())));
            let asked = Arc::new(Mutex::new(0));
            let look_up = {
                let (answer, asked) = (Arc::clone(&answer), Arc::clone(&asked));
                move || -> Answer {
                    *asked.lock() += 1;
                    let found = answer.lock().clone();
                    Box::pin(async move {
                        let ports = found.ok_or(io::ErrorKind::HostUnreachable)?;
                        Ok(ports.into_iter().map(at).collect())
                    })
                }
            };
            Self { answer, asked, name: Arc::new(Name::with(look_up, HOUR, fresh, probe)) }
        }

        fn becomes(&self, ports: Option<&[u16]>) {
            *self.answer.lock() = ports.map(<[u16]>::to_vec);
        }

        async fn port(&self, attempt: usize) -> Option<u16> {
            self.name.address(attempt).await.ok().map(|address| address.port())
        }

        fn asked(&self) -> usize {
            *self.asked.lock()
        }
    }

    fn at(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn run(test: impl Future<Output = ()>) {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
    }

    #[test]
    fn each_attempt_takes_the_next_address() {
        run(async {
            let zone = Zone::new(HOUR, &[1, 2]);
            for (attempt, port) in [(0, 1), (1, 2), (2, 1), (0, 1)] {
                assert_eq!(zone.port(attempt).await, Some(port), "{attempt}");
            }
            assert_eq!((zone.asked(), zone.name.count()), (1, 2));
        });
    }

    #[test]
    fn container_that_comes_back_elsewhere_is_found_by_the_attempt_that_misses_it() {
        run(async {
            let zone = Zone::new(HOUR, &[1]);
            assert_eq!(zone.port(0).await, Some(1));
            zone.becomes(Some(&[2]));
            assert_eq!(zone.port(0).await, Some(1));
            zone.name.missed(at(1));
            assert_eq!(zone.port(1).await, Some(2));
            assert_eq!(zone.port(0).await, Some(2));
            assert_eq!(zone.asked(), 2);
        });
    }

    #[test]
    fn what_is_old_is_looked_up_while_it_is_used() {
        run(async {
            let zone = Zone::new(Duration::ZERO, &[1]);
            assert_eq!(zone.port(0).await, Some(1));
            zone.becomes(Some(&[2]));
            assert_eq!(zone.port(0).await, Some(1));
            // Let the spawned task run.
            while zone.port(0).await == Some(1) {
                tokio::task::yield_now().await;
            }
            assert_eq!(zone.port(0).await, Some(2));
        });
    }

    #[test]
    fn resolver_that_fails_leaves_what_is_known() {
        run(async {
            let zone = Zone::new(Duration::ZERO, &[1]);
            assert_eq!(zone.port(0).await, Some(1));
            for broken in [None, Some(&[][..])] {
                zone.becomes(broken);
                zone.name.missed(at(1));
                assert_eq!(zone.port(0).await, Some(1));
            }
            let never = Zone::new(HOUR, &[]);
            assert_eq!(never.port(0).await, None);
            never.becomes(Some(&[3]));
            assert_eq!(never.port(0).await, Some(3));
        });
    }

    #[test]
    fn a_dead_address_is_tried_by_one_request_and_then_left_out() {
        run(async {
            let zone = Zone::new(HOUR, &[1, 2, 3]);
            assert_eq!(zone.port(0).await, Some(1));
            zone.name.missed(at(1));
            for (attempt, port) in [(0, 2), (1, 3), (2, 2), (0, 2)] {
                assert_eq!(zone.port(attempt).await, Some(port), "{attempt}");
            }
            zone.name.missed(at(2));
            assert_eq!((zone.port(0).await, zone.port(1).await), (Some(3), Some(3)));
            // If all are dead, all are used.
            zone.name.missed(at(3));
            assert_eq!((zone.port(0).await, zone.port(1).await), (Some(1), Some(2)));
        });
    }

    #[test]
    fn an_address_that_answers_again_is_used_again() {
        run(async {
            let back = tokio::net::TcpListener::bind(at(0)).await.unwrap();
            let port = back.local_addr().unwrap().port();
            let zone = Zone::probed(HOUR, Duration::from_millis(1), &[port, 1]);
            assert_eq!(zone.port(0).await, Some(port));
            zone.name.missed(at(port));
            assert_eq!(zone.port(0).await, Some(1));
            while zone.port(0).await != Some(port) {
                tokio::task::yield_now().await;
            }
        });
    }

    #[test]
    fn an_address_that_the_name_has_no_more_is_forgotten() {
        run(async {
            let zone = Zone::new(HOUR, &[1, 2]);
            assert_eq!(zone.port(0).await, Some(1));
            zone.becomes(Some(&[2]));
            zone.name.missed(at(1));
            assert_eq!(zone.port(0).await, Some(2));
            assert!(zone.name.dead.lock().addresses.is_empty());
        });
    }

    #[test]
    fn requests_that_come_before_the_first_answer_share_one_look_up() {
        run(async {
            let zone = Zone::new(HOUR, &[1]);
            let requests: Vec<_> = (0..300)
                .map(|_| {
                    let name = Arc::clone(&zone.name);
                    tokio::spawn(async move { name.address(0).await.unwrap() })
                })
                .collect();
            for request in requests {
                assert_eq!(request.await.unwrap(), at(1));
            }
            assert_eq!(zone.asked(), 1);
        });
    }
}

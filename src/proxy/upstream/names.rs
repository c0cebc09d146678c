//! The addresses behind the backend's name: looked up in the background while they are in use, and
//! at once when none of them answers any more.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;

/// How long addresses are used before they are looked up again.
const FRESH: Duration = Duration::from_secs(5);

type Answer = Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;

/// A name, and what it stood for when it was last looked up.
pub(super) struct Name {
    look_up: Box<dyn Fn() -> Answer + Send + Sync>,
    patience: Duration,
    fresh: Duration,
    known: ArcSwapOption<Known>,
    /// Somebody looks it up.
    looking: AtomicBool,
    /// No connection could be made to what is known.
    suspect: AtomicBool,
}

/// Somebody who looks a name up, also where the request goes away meanwhile.
struct Looking(Arc<Name>);

impl Drop for Looking {
    fn drop(&mut self) {
        self.0.looking.store(false, Ordering::Release);
    }
}

struct Known {
    addresses: Vec<SocketAddr>,
    at: Instant,
}

impl Name {
    /// Asks the system's resolver, and waits for it for so long.
    pub(super) fn new(host: &str, port: u16, patience: Duration) -> Self {
        let host: Arc<str> = host.into();
        let look_up = move || -> Answer {
            let host = Arc::clone(&host);
            Box::pin(async move {
                Ok(tokio::net::lookup_host((&*host, port)).await?.collect::<Vec<_>>())
            })
        };
        Self::with(look_up, patience, FRESH)
    }

    fn with(
        look_up: impl Fn() -> Answer + Send + Sync + 'static,
        patience: Duration,
        fresh: Duration,
    ) -> Self {
        Self {
            look_up: Box::new(look_up),
            patience,
            fresh,
            known: ArcSwapOption::empty(),
            looking: AtomicBool::new(false),
            suspect: AtomicBool::new(false),
        }
    }

    /// The address for an attempt, counted from 0: each takes the next one.
    ///
    /// # Errors
    /// The name cannot be looked up, and never could.
    pub(super) async fn address(self: &Arc<Self>, attempt: usize) -> io::Result<SocketAddr> {
        let known = match self.known.load_full() {
            Some(known) if self.suspect.swap(false, Ordering::AcqRel) => match self.begin() {
                Some(_looking) => self.look_up().await.unwrap_or(known),
                None => known,
            },
            Some(known) => {
                if known.at.elapsed() > self.fresh
                    && let Some(looking) = self.begin()
                {
                    tokio::spawn(async move {
                        // A name that cannot be looked up now keeps the addresses it had.
                        let _ = looking.0.look_up().await;
                    });
                }
                known
            }
            None => self.look_up().await?,
        };
        let address = known.addresses.get(attempt % known.addresses.len().max(1));
        address.copied().ok_or_else(nowhere)
    }

    /// How many addresses are known.
    pub(super) fn count(&self) -> usize {
        self.known.load().as_ref().map_or(1, |known| known.addresses.len())
    }

    /// Says that a connection could not be made: the next attempt looks the name up.
    pub(super) fn suspect(&self) {
        self.suspect.store(true, Ordering::Release);
    }

    /// None where somebody looks it up already: while a backend is away, each request would.
    fn begin(self: &Arc<Self>) -> Option<Looking> {
        let is_free = !self.looking.swap(true, Ordering::AcqRel);
        is_free.then(|| Looking(Arc::clone(self)))
    }

    async fn look_up(&self) -> io::Result<Arc<Known>> {
        let found = tokio::time::timeout(self.patience, (self.look_up)()).await;
        let addresses = found.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        if addresses.is_empty() {
            return Err(nowhere());
        }
        let known = Arc::new(Known { addresses, at: Instant::now() });
        self.known.store(Some(Arc::clone(&known)));
        Ok(known)
    }
}

fn nowhere() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the name has no address")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
mod tests {
    use parking_lot::Mutex;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    /// A name whose addresses the test decides; None is a resolver that fails.
    struct Zone {
        answer: Arc<Mutex<Option<Vec<u16>>>>,
        asked: Arc<Mutex<usize>>,
        name: Arc<Name>,
    }

    impl Zone {
        fn new(fresh: Duration, ports: &[u16]) -> Self {
            let answer = Arc::new(Mutex::new(Some(ports.to_vec())));
            let asked = Arc::new(Mutex::new(0));
            let look_up = {
                let (answer, asked) = (Arc::clone(&answer), Arc::clone(&asked));
                move || -> Answer {
                    *asked.lock() += 1;
                    let found = answer.lock().clone();
                    Box::pin(async move {
                        let ports = found.ok_or(io::ErrorKind::HostUnreachable)?;
                        let address = |port: &u16| SocketAddr::from(([127, 0, 0, 1], *port));
                        Ok(ports.iter().map(address).collect())
                    })
                }
            };
            Self { answer, asked, name: Arc::new(Name::with(look_up, HOUR, fresh)) }
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
            zone.name.suspect();
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
            // The task that was spawned has its turn.
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
                zone.name.suspect();
                assert_eq!(zone.port(0).await, Some(1));
            }
            let never = Zone::new(HOUR, &[]);
            assert_eq!(never.port(0).await, None);
            never.becomes(Some(&[3]));
            assert_eq!(never.port(0).await, Some(3));
        });
    }
}

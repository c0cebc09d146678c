//! How long a connection may say nothing: as long as clients are given, or as the process has.
//!
//! One timer and one look at the shutdown serve all requests of a connection. To set them up for
//! each would cost more than to read its head.

use std::pin::Pin;
use std::time::{Duration, Instant};

use pingora_core::server::ShutdownWatch;
use pingora_timeout::fast_timeout::fast_timeout;

/// How long after its last request a connection may bring another one although the process is to
/// end: a client that has just sent it would find the connection reset.
const DRAIN_IDLE: Duration = Duration::from_millis(500);

type Wait = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// What ends a connection on which nothing is said.
pub(super) struct Silence {
    /// The moment that a timer is set for; it may be earlier than what is waited for.
    alarm: Option<(Instant, Wait)>,
    /// None once the process is to end.
    running: Option<Wait>,
}

impl Silence {
    pub(super) fn new(shutdown: &ShutdownWatch) -> Self {
        let mut stops = shutdown.clone();
        let running = async move {
            let _ = stops.wait_for(|stops| *stops).await;
        };
        Self { alarm: None, running: Some(Box::pin(running)) }
    }

    /// Waits until a silence that begins now has been too long. What was waited for is not lost
    /// where something is said before.
    pub(super) async fn is_too_long(&mut self, patience: Duration) {
        let begun = Instant::now();
        tokio::select! {
            biased;
            () = reach(&mut self.alarm, begun + patience) => {}
            () = end(&mut self.running) => {
                let grace = DRAIN_IDLE.min(patience);
                tokio::time::sleep(grace.saturating_sub(begun.elapsed())).await;
            }
        }
    }
}

/// Waits for a moment, with an alarm that goes off no later. One that goes off too early is set
/// anew.
async fn reach(alarm: &mut Option<(Instant, Wait)>, moment: Instant) {
    loop {
        let now = Instant::now();
        match alarm {
            Some((set_for, wait)) if *set_for <= moment => {
                wait.await;
                let is_reached = *set_for >= moment;
                *alarm = None;
                if is_reached {
                    return;
                }
            }
            _ if now >= moment => return,
            _ => *alarm = Some((moment, Box::pin(pass(moment - now)))),
        }
    }
}

/// Unlike `fast_sleep`, this leaves no timer behind for hours where it is given up.
async fn pass(time: Duration) {
    let _ = fast_timeout(time, std::future::pending::<()>()).await;
}

async fn end(running: &mut Option<Wait>) {
    if let Some(wait) = running {
        wait.await;
        *running = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::watch;

    const SOON: Duration = Duration::from_millis(30);
    const LATE: Duration = Duration::from_secs(60);

    /// How long it took, where it ended in time.
    async fn takes(wait: impl Future<Output = ()>) -> Option<Duration> {
        let begun = Instant::now();
        tokio::time::timeout(Duration::from_secs(10), wait).await.ok()?;
        Some(begun.elapsed())
    }

    /// Somebody speaks: the alarm stays set.
    async fn is_broken_at_once(silence: &mut Silence, patience: Duration) {
        tokio::select! {
            biased;
            () = silence.is_too_long(patience) => panic!("nobody waited"),
            () = std::future::ready(()) => {}
        }
    }

    #[tokio::test]
    async fn a_silence_ends_when_patience_does() {
        let (_stop, stops) = watch::channel(false);
        let mut silence = Silence::new(&stops);
        for _ in 0..2 {
            assert!(takes(silence.is_too_long(SOON)).await.is_some_and(|took| took >= SOON));
        }
    }

    #[tokio::test]
    async fn an_alarm_that_was_set_for_less_does_not_cut_a_silence_short() {
        let (_stop, stops) = watch::channel(false);
        let mut silence = Silence::new(&stops);
        is_broken_at_once(&mut silence, SOON).await;
        let long = 4 * SOON;
        assert!(takes(silence.is_too_long(long)).await.is_some_and(|took| took >= long));
    }

    #[tokio::test]
    async fn an_alarm_that_was_set_for_more_does_not_draw_a_silence_out() {
        let (_stop, stops) = watch::channel(false);
        let mut silence = Silence::new(&stops);
        is_broken_at_once(&mut silence, LATE).await;
        assert!(takes(silence.is_too_long(SOON)).await.is_some());
    }

    #[tokio::test]
    async fn a_silence_ends_soon_after_the_process_is_to() {
        let (stop, stops) = watch::channel(false);
        let mut silence = Silence::new(&stops);
        stop.send_replace(true);
        // Both before and after it has been noticed.
        for _ in 0..2 {
            assert!(takes(silence.is_too_long(LATE)).await.is_some_and(|took| took >= DRAIN_IDLE));
        }
    }
}

//! Idle time-outs: how long a connection may be silent, also during a shutdown.
//!
//! One timer and one shutdown watch serve all requests of a connection, since setting them up for
//! each would cost more than reading its head.

use std::pin::Pin;
use std::time::{Duration, Instant};

use pingora_core::server::ShutdownWatch;
use pingora_timeout::fast_timeout::fast_timeout;

/// How long a connection may still send a request during a shutdown. If it were closed at once, a
/// client that has just sent one would see a reset.
const DRAIN_IDLE: Duration = Duration::from_millis(500);

type Wait = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// The timers of a connection.
pub(super) struct Silence {
    /// The time of the timer, which may be earlier than needed.
    alarm: Option<(Instant, Wait)>,
    /// None after the shutdown has begun.
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

    /// Waits until the silence that begins now lasts too long. May be dropped and called again.
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

/// Waits for a point in time with a timer that fires no later; if it fires earlier, it is set
/// again.
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

/// Unlike `fast_sleep`, leaves no timer behind for hours if it is dropped, and does not end a
/// millisecond early.
async fn pass(time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        let left = time.saturating_sub(begun.elapsed());
        let _ = fast_timeout(left, std::future::pending::<()>()).await;
    }
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

    /// How long the wait took, if it ended in time.
    async fn takes(wait: impl Future<Output = ()>) -> Option<Duration> {
        let begun = Instant::now();
        tokio::time::timeout(Duration::from_secs(10), wait).await.ok()?;
        Some(begun.elapsed())
    }

    /// Data arrives; the timer stays set.
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

    /// pingora's timers may fire up to a millisecond early.
    #[tokio::test]
    async fn no_silence_ends_early() {
        let (_stop, stops) = watch::channel(false);
        let mut waits = tokio::task::JoinSet::new();
        for more in 0..1000 {
            let (mut silence, patience) = (Silence::new(&stops), SOON + more * SOON / 27);
            waits.spawn(async move {
                takes(silence.is_too_long(patience)).await.is_some_and(|took| took >= patience)
            });
        }
        assert!(waits.join_all().await.into_iter().all(|is_right| is_right));
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
        // Before and after the shutdown is noticed.
        for _ in 0..2 {
            assert!(takes(silence.is_too_long(LATE)).await.is_some_and(|took| took >= DRAIN_IDLE));
        }
    }
}

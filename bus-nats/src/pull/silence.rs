//! How long the server may say nothing until it is taken for one that has forgotten what it was asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// Longer than a request lives, whose end is a sign of life.
pub(super) const FIRST: Duration = Duration::from_millis(1600);

/// The longest, and so the longest that it can take until one that has forgotten is asked anew.
const LAST: Duration = Duration::from_secs(10);

/// A server without a leader forgets, and is asked anew soon. One that has too much to do answers late, and to
/// ask it anew each time is what keeps it so: so what comes to an inbox that was given up says how long it
/// takes. What was learned is halved once the server has answered for as long.
#[derive(Clone)]
pub(super) struct Silence {
    heard: Instant,
    patience: Duration,
    /// Since when the patience is what it is.
    since: Instant,
    /// In milliseconds, the latest answer that came to an inbox given up, since the last look.
    late: Arc<AtomicU64>,
}

impl Silence {
    pub(super) fn new(now: Instant) -> Self {
        Self { heard: now, patience: FIRST, since: now, late: Arc::default() }
    }

    /// Only from now on there is something to be answered.
    pub(super) fn asked(&mut self, now: Instant) {
        self.heard = now;
    }

    /// The server says something.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.learn(now);
        if self.patience > FIRST && now >= self.since + self.patience {
            (self.patience, self.since) = ((self.patience / 2).max(FIRST), now);
        }
    }

    /// The server says something on the inbox that was given up with this silence.
    pub(super) fn late(&self, now: Instant) {
        let late = now.saturating_duration_since(self.heard).as_millis();
        self.late.fetch_max(u64::try_from(late).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// When it will have been silent for too long.
    pub(super) fn end(&self) -> Instant {
        self.heard + self.patience
    }

    /// Whether it has been, by all that is known now.
    pub(super) fn is_over(&mut self, now: Instant) -> bool {
        self.learn(now);
        now >= self.end()
    }

    fn learn(&mut self, now: Instant) {
        let late = Duration::from_millis(self.late.swap(0, Ordering::Relaxed));
        if late > FIRST {
            (self.patience, self.since) = ((late * 2).min(LAST).max(self.patience), now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn patience(silence: &Silence) -> Duration {
        silence.end() - silence.heard
    }

    #[test]
    fn a_server_that_has_forgotten_is_asked_anew_each_time() {
        let (begun, mut asked) = (Instant::now(), 0);
        let mut silence = Silence::new(begun);
        while silence.end() < begun + SECOND * 16 {
            let now = silence.end();
            assert!(silence.is_over(now));
            silence.asked(now);
            asked += 1;
        }
        assert_eq!((asked, patience(&silence)), (9, FIRST));
    }

    #[test]
    fn a_server_that_answers_late_gets_the_time_that_it_takes() {
        let begun = Instant::now();
        let mut silence = Silence::new(begun);
        let old = silence.clone();
        silence.asked(begun + FIRST);
        old.late(begun + SECOND);
        assert!(silence.is_over(begun + FIRST * 2), "what comes in time is not late");
        old.late(begun + SECOND * 3);
        assert!(!silence.is_over(begun + FIRST * 2));
        assert_eq!(patience(&silence), SECOND * 6);
        old.late(begun + SECOND * 60);
        silence.heard(begun + SECOND * 60);
        assert_eq!(patience(&silence), LAST);
    }

    #[test]
    fn a_server_that_answers_again_is_trusted_by_and_by() {
        let begun = Instant::now();
        let mut silence = Silence::new(begun);
        silence.late(begun + FIRST * 2);
        silence.heard(begun + FIRST * 2);
        assert_eq!(patience(&silence), FIRST * 4, "a burst of answers tells little");
        silence.heard(begun + FIRST * 5);
        assert_eq!(patience(&silence), FIRST * 4);
        silence.heard(begun + FIRST * 6);
        assert_eq!(patience(&silence), FIRST * 2);
        silence.heard(begun + FIRST * 60);
        assert_eq!(patience(&silence), FIRST);
    }
}

//! How long the server may say nothing until it is taken for one that has forgotten what it was asked.

use std::time::Duration;

use tokio::time::Instant;

/// Longer than a request lives, whose end is a sign of life.
pub(super) const FIRST: Duration = Duration::from_millis(1600);

/// The longest: somewhat less than the default lease.
pub(super) const LAST: Duration = Duration::from_millis(25_600);

/// Doubles with each silence: a server that has too much to do answers late, and to ask it anew each time
/// is what keeps it so. Halved again once it has answered for as long.
pub(super) struct Silence {
    heard: Instant,
    patience: Duration,
    /// Since when the patience is what it is.
    since: Instant,
}

impl Silence {
    pub(super) fn new(now: Instant) -> Self {
        Self { heard: now, patience: FIRST, since: now }
    }

    /// Only from now on there is something to be answered.
    pub(super) fn asked(&mut self, now: Instant) {
        self.heard = now;
    }

    /// The server says something.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard = now;
        if self.patience > FIRST && now >= self.since + self.patience {
            (self.patience, self.since) = ((self.patience / 2).max(FIRST), now);
        }
    }

    /// When it has been silent for too long.
    pub(super) fn end(&self) -> Instant {
        self.heard + self.patience
    }

    /// It has been.
    pub(super) fn over(&mut self, now: Instant) {
        (self.patience, self.since) = ((self.patience * 2).min(LAST), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience(silence: &Silence) -> Duration {
        silence.end() - silence.heard
    }

    /// So a server that is slow is asked five times in a minute, and not 37 times.
    #[test]
    fn a_server_that_stays_silent_is_asked_ever_less() {
        let begun = Instant::now();
        let (mut silence, mut now, mut asked) = (Silence::new(begun), begun, 0);
        while silence.end() < begun + Duration::from_secs(60) {
            now = silence.end();
            silence.over(now);
            silence.asked(now);
            asked += 1;
        }
        assert_eq!((asked, patience(&silence)), (5, LAST));
        silence.over(now);
        assert_eq!(patience(&silence), LAST);
    }

    #[test]
    fn a_server_that_answers_again_is_trusted_by_and_by() {
        let begun = Instant::now();
        let mut silence = Silence::new(begun);
        silence.over(begun);
        silence.over(begun);
        silence.heard(begun + FIRST);
        assert_eq!(patience(&silence), FIRST * 4, "a burst of answers tells little");
        silence.heard(begun + FIRST * 4);
        assert_eq!(patience(&silence), FIRST * 2);
        silence.heard(begun + FIRST * 5);
        assert_eq!(patience(&silence), FIRST * 2);
        silence.heard(begun + FIRST * 6);
        silence.heard(begun + FIRST * 60);
        assert_eq!(patience(&silence), FIRST);
    }
}

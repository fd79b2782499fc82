//! How often and how long: a verdict, the attempt and a draw make a decision. No clock, no
//! randomness, no waiting.

use std::time::Duration;

use crate::envelope::{EventId, mix};
use crate::failure::Verdict;

/// One second, for options: `retry = Retry::exponential(SECOND, MINUTE)`.
pub const SECOND: Duration = Duration::from_secs(1);

/// One minute.
pub const MINUTE: Duration = Duration::from_secs(60);

/// One hour.
pub const HOUR: Duration = Duration::from_secs(60 * 60);

/// How often an event is tried, and how long it waits in between. In an attribute it is a constant:
/// `Duration::from_mins(2)`, for `MINUTE * 2` is none.
///
/// ```
/// use bus_core::prelude::*;
///
/// const PATIENT: Retry = Retry::exponential(SECOND, MINUTE).attempts(8);
/// assert_eq!(PATIENT.decide(Verdict::Retry, 3, 1.0), Decision::Again { after: SECOND * 16 });
/// assert_eq!(PATIENT.decide(Verdict::Retry, 8, 1.0), Decision::GiveUp);
///
/// // Three runs within seconds for what passes by itself, then ten within a day for an outage.
/// const STUBBORN: Retry = Retry::exponential(SECOND, MINUTE).attempts(3).then(MINUTE, HOUR, 10);
/// assert_eq!(STUBBORN.decide(Verdict::Retry, 2, 1.0), Decision::Again { after: SECOND * 4 });
/// assert_eq!(STUBBORN.decide(Verdict::Retry, 3, 1.0), Decision::Again { after: MINUTE });
/// assert_eq!(STUBBORN.max_attempts(), 13);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    first: Duration,
    ceiling: Duration,
    factor: u32,
    attempts: u32,
    jitter: bool,
    slow: Option<Slow>,
}

/// What comes after the first attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Slow {
    first: Duration,
    ceiling: Duration,
    attempts: u32,
}

/// What becomes of an event that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// It is tried again after the delay.
    Again {
        /// How long it waits.
        after: Duration,
    },
    /// No attempt is left.
    GiveUp,
    /// The error said that no attempt can help.
    Reject,
}

impl Default for Retry {
    /// [`DEFAULT`](Self::DEFAULT).
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Retry {
    /// 5 attempts with full jitter under 1, 4, 16 and 64 s: what fails for longer than that, at most
    /// 85 s in all, is a dead letter. More attempts go on up to 5 min apart.
    pub const DEFAULT: Self = Self::exponential(SECOND, Duration::from_secs(300));

    /// Delays under `first`, then four times as much each time, never more than `ceiling`; each
    /// delay is a draw between 0 and that ("full jitter", Brooker, 2015), so that events that
    /// failed together do not come back together.
    pub const fn exponential(first: Duration, ceiling: Duration) -> Self {
        Self { first, ceiling, factor: 4, attempts: 5, jitter: true, slow: None }
    }

    /// The same delay each time, to the point.
    pub const fn fixed(delay: Duration) -> Self {
        Self { first: delay, ceiling: delay, factor: 1, attempts: 5, jitter: false, slow: None }
    }

    /// No second attempt: what fails is a dead letter.
    pub const fn never() -> Self {
        Self::fixed(Duration::ZERO).attempts(1)
    }

    /// After these attempts `attempts` more, under delays that begin with `first` and end with
    /// `ceiling`: fast for what passes by itself, then slow for an outage. They grow and are drawn as
    /// those before. Said again, it replaces what was said.
    pub const fn then(self, first: Duration, ceiling: Duration, attempts: u32) -> Self {
        let slow = if attempts == 0 { None } else { Some(Slow { first, ceiling, attempts }) };
        Self { slow, ..self }
    }

    /// How many runs there are, the first one counted, and those of [`then`](Self::then) not; at
    /// least 1.
    pub const fn attempts(self, attempts: u32) -> Self {
        Self { attempts: if attempts == 0 { 1 } else { attempts }, ..self }
    }

    /// By how much an exponential delay grows.
    pub const fn factor(self, factor: u32) -> Self {
        Self { factor: if factor == 0 { 1 } else { factor }, ..self }
    }

    /// Whether delays are drawn between 0 and their bound, or are the bound.
    pub const fn jitter(self, jitter: bool) -> Self {
        Self { jitter, ..self }
    }

    /// How many runs there are in all.
    pub const fn max_attempts(&self) -> u32 {
        match self.slow {
            Some(slow) => self.attempts.saturating_add(slow.attempts),
            None => self.attempts,
        }
    }

    /// What to do about the failure of run `attempt` (from 1). `draw`, from 0 to 1, is the jitter.
    pub fn decide(&self, verdict: Verdict, attempt: u32, draw: f64) -> Decision {
        match verdict {
            Verdict::Reject => Decision::Reject,
            _ if attempt >= self.max_attempts() => Decision::GiveUp,
            Verdict::RetryAfter(after) => Decision::Again { after },
            Verdict::Retry => Decision::Again { after: self.delay(attempt, draw) },
        }
    }

    /// The most that is waited after run `attempt`.
    pub fn bound(&self, attempt: u32) -> Duration {
        let (first, ceiling, nth) = match self.slow {
            Some(Slow { first, ceiling, .. }) if attempt >= self.attempts => {
                (first, ceiling, attempt - self.attempts)
            }
            _ => (self.first, self.ceiling, attempt.saturating_sub(1)),
        };
        let bound = self.factor.checked_pow(nth).and_then(|growth| first.checked_mul(growth));
        bound.unwrap_or(ceiling).min(ceiling)
    }

    fn delay(&self, attempt: u32, draw: f64) -> Duration {
        let bound = self.bound(attempt);
        if !self.jitter {
            return bound;
        }
        // A draw that is no number draws the whole.
        let drawn = Duration::try_from_secs_f64(bound.as_secs_f64() * draw.clamp(0.0, 1.0));
        drawn.map_or(bound, |drawn| drawn.min(bound))
    }
}

/// The draw of an event's jitter, from 0 to 1: the same in every process, so that it needs neither
/// a clock nor randomness.
pub fn draw(id: &EventId, attempt: u32) -> f64 {
    let bits = mix(id.bits() ^ u64::from(attempt));
    // 53 bits are what an f64 holds exactly.
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

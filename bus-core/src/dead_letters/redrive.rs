//! Back to the groups that gave up, at a rate.

use std::fmt;
use std::future::IntoFuture;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::time::{Instant, sleep_until};

use super::DeadLetters;
use crate::operator::{DeadLetter, Operator, OperatorError};
use crate::telemetry::Live;

/// How many are redriven in a second, where nobody says otherwise.
pub const REDRIVE_RATE: u32 = 100;

/// How often one letter is redriven, where nobody says otherwise: what failed again after so many
/// is not mended.
pub const MAX_REDRIVES: u32 = 3;

/// How far a redrive that was held up may catch up.
const CATCH_UP: Duration = Duration::from_millis(100);

/// A redrive that has not begun; it begins when it is awaited.
///
/// Letters that come while it goes on are not its own, so that it ends also where everything fails
/// again. If it ends early, by an error or with its process, nothing is lost and nothing is doubled:
/// run it again, and it goes on with what is left.
#[derive(Clone, Debug)]
#[must_use = "a redrive does nothing until it is awaited"]
pub struct Redrive {
    letters: DeadLetters,
    rate: u32,
    limit: u64,
    max_redrives: u32,
    dry: bool,
}

/// What became of a redrive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Redriven {
    /// Sent back.
    pub redriven: u64,
    /// Refused, because they were redriven too often; [`Redrive::max_redrives`] allows more.
    pub looping: u64,
    /// Refused, because their group does not exist any more.
    pub orphaned: u64,
    /// Gone when it was their turn: somebody else was faster.
    pub gone: u64,
}

impl fmt::Display for Redriven {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { redriven, looping, orphaned, gone } = self;
        write!(f, "{redriven} redriven, {looping} redriven too often, ")?;
        write!(f, "{orphaned} without a group, {gone} gone before")
    }
}

impl Redrive {
    pub(super) fn new(letters: DeadLetters) -> Self {
        let (rate, max_redrives) = (REDRIVE_RATE, MAX_REDRIVES);
        Self { letters, rate, limit: u64::MAX, max_redrives, dry: false }
    }

    /// At most so many in a second; at least one. [`REDRIVE_RATE`] if it is not set.
    pub fn rate(self, per_second: u32) -> Self {
        Self { rate: per_second.max(1), ..self }
    }

    /// Only the oldest, so many of them.
    pub fn limit(self, limit: u64) -> Self {
        Self { limit, ..self }
    }

    /// Refuses letters that were redriven so often. [`MAX_REDRIVES`] if it is not set.
    pub fn max_redrives(self, max: u32) -> Self {
        Self { max_redrives: max, ..self }
    }

    /// Only says what it would do. Groups are not looked for.
    pub fn dry_run(self) -> Self {
        Self { dry: true, ..self }
    }

    async fn run(self) -> Result<Redriven, OperatorError> {
        let mut done = Redriven::default();
        let ended = self.go_through(&mut done).await;
        ended.map(|()| done).map_err(|error| error.after(done.redriven))
    }

    async fn go_through(&self, done: &mut Redriven) -> Result<(), OperatorError> {
        let operator = self.letters.operator()?;
        let (mut walk, mut pace) = (self.letters.walk(false)?, Pace::new(self.rate));
        while done.redriven < self.limit
            && let Some(letter) = walk.next().await?
        {
            if letter.redrives >= self.max_redrives {
                done.looping += 1;
            } else if self.dry {
                done.redriven += 1;
            } else {
                pace.wait().await;
                redrive(&self.letters.live, operator, &letter, done).await?;
            }
        }
        Ok(())
    }
}

async fn redrive(
    live: &Live,
    operator: &dyn Operator,
    letter: &DeadLetter,
    done: &mut Redriven,
) -> Result<(), OperatorError> {
    let told = live.redrives(letter);
    // Whoever has no spans does not send it on in the trace of somebody who redrove it before.
    let hop = told.hop().or_else(|| letter.envelope.trace.origin.clone());
    let redriven = operator.redrive(&letter.id, hop.as_ref()).await;
    told.end(&redriven);
    let count = match redriven {
        Ok(()) => &mut done.redriven,
        Err(OperatorError::NoDeadLetter { .. }) => &mut done.gone,
        Err(OperatorError::NoGroup { .. }) => &mut done.orphaned,
        Err(error) => return Err(error),
    };
    *count += 1;
    Ok(())
}

impl IntoFuture for Redrive {
    type Output = Result<Redriven, OperatorError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}

/// Evenly, so many in a second.
struct Pace {
    each: Duration,
    due: Instant,
}

impl Pace {
    fn new(rate: u32) -> Self {
        Self { each: Duration::from_secs(1) / rate, due: Instant::now() }
    }

    async fn wait(&mut self) {
        sleep_until(self.due).await;
        let now = Instant::now();
        let late = now.checked_sub(CATCH_UP).unwrap_or(now);
        self.due = self.due.max(late) + self.each;
    }
}

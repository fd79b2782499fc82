//! Away for good.

use std::future::IntoFuture;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use super::DeadLetters;
use crate::operator::OperatorError;

/// A purge that has not begun; it begins when it is awaited. What it removed is nowhere any more.
#[derive(Clone, Debug)]
#[must_use = "a purge does nothing until it is awaited"]
pub struct Purge {
    letters: DeadLetters,
    limit: u64,
    dry: bool,
    everything: bool,
}

/// What became of a purge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Purged {
    /// Removed.
    pub purged: u64,
    /// Gone when it was their turn: somebody else was faster.
    pub gone: u64,
}

impl Purge {
    pub(super) fn new(letters: DeadLetters) -> Self {
        Self { letters, limit: u64::MAX, dry: false, everything: false }
    }

    /// Only the oldest, so many of them.
    pub fn limit(self, limit: u64) -> Self {
        Self { limit, ..self }
    }

    /// Only says what it would do.
    pub fn dry_run(self) -> Self {
        Self { dry: true, ..self }
    }

    /// Allows to remove the letters of all services, where no filter is set.
    pub fn everything(self) -> Self {
        Self { everything: true, ..self }
    }

    async fn run(self) -> Result<Purged, OperatorError> {
        let mut done = Purged::default();
        if self.letters.filter.is_all() && !self.everything && !self.dry {
            return Err(OperatorError::Unfiltered);
        }
        let ended = self.go_through(&mut done).await;
        ended.map(|()| done).map_err(|error| error.after(done.purged))
    }

    async fn go_through(&self, done: &mut Purged) -> Result<(), OperatorError> {
        let (operator, mut walk) = (self.letters.operator()?, self.letters.walk(false)?);
        while done.purged < self.limit
            && let Some(letter) = walk.next().await?
        {
            let purged = if self.dry { Ok(()) } else { operator.purge(&letter.id).await };
            match purged {
                Ok(()) => done.purged += 1,
                Err(OperatorError::NoDeadLetter { .. }) => done.gone += 1,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl IntoFuture for Purge {
    type Output = Result<Purged, OperatorError>;
    type IntoFuture = BoxFuture<'static, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        self.run().boxed()
    }
}

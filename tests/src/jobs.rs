//! Work for the tests of faults: an event that says what its run does, and a handler that notes
//! its runs where they can be counted.

use std::fmt;
use std::num::ParseIntError;
use std::process;
use std::str::FromStr;
use std::time::Duration;

use bus_core::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

/// Something to do.
#[derive(Clone, Debug, Serialize, Deserialize, Event)]
#[event(subject = "jobs.due")]
pub struct Job {
    /// Names it.
    pub number: u32,
    /// What its run does.
    pub does: Does,
}

/// What a run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Does {
    /// Waits for so many milliseconds.
    Sleep(u64),
    /// Blocks its thread for so many milliseconds.
    Block(u64),
    /// Ends the process at once.
    Abort,
    /// Never ends.
    Hang,
    /// Fails each time.
    Fail,
    /// Fails the first time.
    FailFirst,
    /// Fails for good.
    Reject,
    /// Fails for good until it comes back from the dead letters.
    RejectUntilRedriven,
    /// Fails for good after so many milliseconds.
    RejectAfter(u64),
    /// Fails for good with a text of so many bytes.
    RejectWith(usize),
    /// Fails for good with [`SECRET`] in its text.
    Leak,
    /// Panics.
    Panic,
    /// Fails with an error that panics when it is dropped.
    PanicInDrop,
    /// Fails with an error that has no text but panics.
    PanicInText,
    /// Publishes an [`Echo`], and does this then.
    Echo(Then),
    /// Publishes the job that follows on it, which does the same.
    Again,
    /// Tells how many tasks its process has.
    Measure,
}

/// What a run does after its echo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Then {
    /// Fails the first time.
    FailFirst,
    /// Ends the process the first time.
    AbortFirst,
    /// Fails for good.
    Reject,
}

/// What a run leaves behind.
#[derive(Clone, Debug, Serialize, Deserialize, Event)]
#[event(subject = "echoes.heard")]
pub struct Echo {
    /// The job's.
    pub number: u32,
}

/// What nobody but a handler may see.
pub const SECRET: &str = "5105-1051-0510-5100";

/// What happened to a run, as a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// It began.
    Begun {
        /// Of this job.
        number: u32,
        /// From 1.
        attempt: u32,
    },
    /// It ended, with success.
    Ended {
        /// Of this job.
        number: u32,
    },
    /// It has measured its process.
    Measured {
        /// Tasks of its runtime that live.
        tasks: usize,
    },
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begun { number, attempt } => write!(f, "begun {number} {attempt}"),
            Self::Ended { number } => write!(f, "ended {number}"),
            Self::Measured { tasks } => write!(f, "measured {tasks}"),
        }
    }
}

/// A line that is no note.
#[derive(Debug)]
pub struct NoNote;

impl From<ParseIntError> for NoNote {
    fn from(_: ParseIntError) -> Self {
        Self
    }
}

impl FromStr for Note {
    type Err = NoNote;

    fn from_str(line: &str) -> Result<Self, NoNote> {
        match *line.split(' ').collect::<Vec<_>>() {
            ["begun", number, attempt] => {
                Ok(Self::Begun { number: number.parse()?, attempt: attempt.parse()? })
            }
            ["ended", number] => Ok(Self::Ended { number: number.parse()? }),
            ["measured", tasks] => Ok(Self::Measured { tasks: tasks.parse()? }),
            _ => Err(NoNote),
        }
    }
}

/// Does jobs, and tells of each run.
struct Work<T> {
    tell: T,
    /// In place of what the job says.
    does: Option<Does>,
}

impl<T: Fn(Note) + Send + Sync + 'static> Handler<Job> for Work<T> {
    async fn handle(&self, job: Job, ctx: Context) -> HandlerResult {
        let (number, attempt) = (job.number, ctx.attempt());
        (self.tell)(Note::Begun { number, attempt });
        match self.does.unwrap_or(job.does) {
            Does::Measure => {
                let tasks = Handle::current().metrics().num_alive_tasks();
                (self.tell)(Note::Measured { tasks });
            }
            Does::Again => drop(ctx.publish(&Job { number: number + 1, ..job }).await?),
            Does::Echo(then) => {
                ctx.publish(&Echo { number }).await?;
                then.act(attempt)?;
            }
            Does::RejectUntilRedriven if ctx.redrives() > 0 => {}
            does => does.act(attempt).await?,
        }
        (self.tell)(Note::Ended { number });
        Ok(())
    }
}

impl Then {
    fn act(self, attempt: u32) -> HandlerResult {
        match self {
            Self::FailFirst if attempt == 1 => Err(HandlerError::retry("as it was told")),
            Self::AbortFirst if attempt == 1 => process::abort(),
            Self::Reject => Err(HandlerError::reject("as it was told")),
            Self::FailFirst | Self::AbortFirst => Ok(()),
        }
    }
}

/// The service `jobs`, whose handlers do every job once each. Most of what the tests let it do fails,
/// so its handlers have no circuit breaker; `tune` gives them one.
pub struct Jobs {
    /// How long its deliveries are its own without a sign of life.
    pub lease: Duration,
    /// Runs at once.
    pub concurrency: usize,
    /// How often, and how long in between.
    pub retry: Retry,
}

impl Jobs {
    /// The service with one handler, `work`.
    pub fn service(&self, bus: Bus, tell: impl Fn(Note) + Send + Sync + 'static) -> Service {
        self.and(Service::new("jobs", bus).lease(self.lease), "work", tell)
    }

    /// One handler more.
    pub fn and(
        &self,
        service: Service,
        handler: &str,
        tell: impl Fn(Note) + Send + Sync + 'static,
    ) -> Service {
        self.doing(service, handler, None, tell)
    }

    /// One handler more, which may do something else than what jobs say.
    pub fn doing(
        &self,
        service: Service,
        handler: &str,
        does: Option<Does>,
        tell: impl Fn(Note) + Send + Sync + 'static,
    ) -> Service {
        let (concurrency, retry) = (self.concurrency, self.retry);
        let tune = move |options: Options| {
            options.concurrency(concurrency).retry(retry).breaker(Breaker::off())
        };
        service.on(handler, Work { tell, does }).tune(handler, tune)
    }
}

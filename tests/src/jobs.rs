//! Work for the tests of faults: an event that says what its run does, and a handler that notes
//! its runs where they can be counted.

use std::fmt;
use std::num::ParseIntError;
use std::process;
use std::str::FromStr;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use bus_core::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

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
    /// Fails the first time.
    FailFirst,
    /// Fails for good.
    Reject,
    /// Fails for good until it comes back from the dead letters.
    RejectUntilRedriven,
}

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
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begun { number, attempt } => write!(f, "begun {number} {attempt}"),
            Self::Ended { number } => write!(f, "ended {number}"),
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
            _ => Err(NoNote),
        }
    }
}

/// Does jobs, and tells of each run.
struct Work<T>(T);

impl<T: Fn(Note) + Send + Sync + 'static> Handler<Job> for Work<T> {
    async fn handle(&self, job: Job, ctx: Context) -> HandlerResult {
        let (number, attempt) = (job.number, ctx.attempt());
        (self.0)(Note::Begun { number, attempt });
        match job.does {
            Does::Sleep(time) => sleep(Duration::from_millis(time)).await,
            Does::Block(time) => block(Duration::from_millis(time)),
            Does::Abort => process::abort(),
            Does::FailFirst if attempt == 1 => return Err(HandlerError::retry("as it was told")),
            Does::FailFirst => {}
            Does::RejectUntilRedriven if ctx.redrives() > 0 => {}
            Does::Reject | Does::RejectUntilRedriven => {
                return Err(HandlerError::reject("as it was told"));
            }
        }
        (self.0)(Note::Ended { number });
        Ok(())
    }
}

fn block(time: Duration) {
    let never = Mutex::new(());
    let guard = never.lock().unwrap_or_else(PoisonError::into_inner);
    let waited = Condvar::new().wait_timeout_while(guard, time, |()| true);
    drop(waited);
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
        let (concurrency, retry) = (self.concurrency, self.retry);
        let tune = move |options: Options| {
            options.concurrency(concurrency).retry(retry).breaker(Breaker::off())
        };
        service.on(handler, Work(tell)).tune(handler, tune)
    }
}

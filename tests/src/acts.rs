//! What runs do that concerns nobody but themselves.

#![expect(clippy::panic, reason = "to panic is what some are told")]

use std::env;
use std::error::Error;
use std::fmt;
use std::fs::File;
use std::future::pending;
use std::process;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

use bus_core::prelude::*;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::jobs::{Does, SECRET};

impl Does {
    /// Does it, where it takes neither the job nor its context.
    pub(crate) async fn act(self, attempt: u32) -> HandlerResult {
        let rejected = || Err(HandlerError::reject("as it was told"));
        match self {
            Self::Sleep(time) => sleep(Duration::from_millis(time)).await,
            Self::Block(time) => block(Duration::from_millis(time)),
            Self::Abort => process::abort(),
            Self::Hang => hang().await?,
            Self::Fail => return Err(HandlerError::retry("as it was told")),
            Self::FailFirst if attempt == 1 => return Err(HandlerError::retry("as it was told")),
            Self::Reject | Self::RejectUntilRedriven => return rejected(),
            Self::RejectAfter(time) => {
                sleep(Duration::from_millis(time)).await;
                return rejected();
            }
            Self::RejectWith(size) => return Err(HandlerError::reject("x".repeat(size))),
            Self::Leak => return Err(HandlerError::reject(format!("no card like {SECRET}"))),
            Self::Panic => panic!("as it was told"),
            Self::PanicInDrop => return Err(Mine::InDrop.into()),
            Self::PanicInText => return Err(Mine::InText.into()),
            Self::FailFirst | Self::Echo(_) | Self::Again | Self::Measure => {}
        }
        Ok(())
    }
}

/// Never ends; has a file open, and a task of its own, as long as it is there.
async fn hang() -> HandlerResult {
    let (file, mut task) = (File::open(env::current_exe()?)?, JoinSet::new());
    task.spawn(pending::<()>());
    task.join_next().await;
    drop(file);
    Ok(())
}

/// Blocks this thread.
pub fn block(time: Duration) {
    let never = Mutex::new(());
    let guard = never.lock().unwrap_or_else(PoisonError::into_inner);
    let waited = Condvar::new().wait_timeout_while(guard, time, |()| true);
    drop(waited);
}

/// An error that panics.
#[derive(Debug)]
enum Mine {
    InDrop,
    InText,
}

impl fmt::Display for Mine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InDrop => write!(f, "a mine"),
            Self::InText => panic!("as it was told"),
        }
    }
}

impl Error for Mine {}

impl Drop for Mine {
    fn drop(&mut self) {
        if matches!(self, Self::InDrop) {
            panic!("as it was told");
        }
    }
}

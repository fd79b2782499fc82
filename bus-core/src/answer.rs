//! A result that is mostly there at once.

use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Either};

/// What a transport returns: the result itself, or a future of it. Where nothing has to be waited
/// for, nothing is allocated.
#[must_use = "an answer that is not awaited may never be given"]
pub struct Answer<T>(Either<Ready<T>, BoxFuture<'static, T>>);

impl<T> Answer<T> {
    /// The result is there.
    pub fn now(result: T) -> Self {
        Self(Either::Left(ready(result)))
    }

    /// The result will be there.
    pub fn later(result: impl Future<Output = T> + Send + 'static) -> Self {
        Self(Either::Right(Box::pin(result)))
    }

    /// The result if it is there, else the answer as it was.
    pub fn into_now(self) -> Result<T, Self> {
        match self.0 {
            Either::Left(ready) => Ok(ready.into_inner()),
            later @ Either::Right(_) => Err(Self(later)),
        }
    }
}

impl<T> Future for Answer<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        self.0.poll_unpin(cx)
    }
}

impl<T> std::fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if matches!(self.0, Either::Left(_)) { "Answer::now" } else { "Answer::later" })
    }
}

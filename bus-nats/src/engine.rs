//! A runtime thread of our own: a handler that blocks its thread can not stop the client, and with
//! it the renewal of leases.

use std::future::Future;
use std::{io, thread};

use tokio::runtime::{Builder, Handle};
use tokio_util::sync::CancellationToken;

/// Ends its thread, and all that runs on it, when it is dropped.
#[derive(Debug)]
pub(crate) struct Engine {
    handle: Handle,
    stop: CancellationToken,
}

impl Engine {
    pub(crate) fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (handle, stop) = (runtime.handle().clone(), CancellationToken::new());
        let stopped = stop.clone();
        let run = move || runtime.block_on(stopped.cancelled());
        thread::Builder::new().name("bus-nats".to_owned()).spawn(run)?;
        Ok(Self { handle, stop })
    }

    /// Runs a task on the thread.
    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.handle.spawn(task);
    }

    /// Runs a future on the thread, and waits for it from wherever we are. `None` if the thread
    /// has ended, or the future panicked.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        self.handle.spawn(future).await.ok()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

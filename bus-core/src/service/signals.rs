//! SIGTERM and SIGINT.

use std::future::Future;
use std::io;
use std::process;
use std::thread;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use super::error::Error;

/// Listens on a thread of its own, so that a handler that blocks every thread of the service can
/// not keep the process alive: the second signal ends it.
pub(super) fn first() -> Result<impl Future<Output = i32>, Error> {
    let runtime = Builder::new_current_thread().enable_io().build().map_err(Error::Signals)?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::new().map_err(Error::Signals)?
    };
    let (tell, told) = oneshot::channel();
    let listen = move || {
        runtime.block_on(async {
            let first = signals.next().await;
            // Nobody listens any more where the service has ended by itself.
            if tell.send(first).is_ok() {
                let second = signals.next().await;
                process::exit(128 + second);
            }
        });
    };
    thread::Builder::new().name("bus-signals".to_owned()).spawn(listen).map_err(Error::Signals)?;
    Ok(async {
        match told.await {
            Ok(signal) => signal,
            // The thread ends only after it has told.
            Err(_) => std::future::pending().await,
        }
    })
}

struct Signals {
    term: tokio::signal::unix::Signal,
    int: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> i32 {
        tokio::select! {
            biased;
            _ = self.term.recv() => SignalKind::terminate().as_raw_value(),
            _ = self.int.recv() => SignalKind::interrupt().as_raw_value(),
        }
    }
}

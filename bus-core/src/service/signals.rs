//! SIGTERM and SIGINT.

use std::future::Future;
use std::io;
use std::process;
use std::thread;

use tokio::runtime::Builder;
use tokio::sync::oneshot;

use super::error::Error;

/// Their numbers, as POSIX has them, for the exit code.
#[cfg(unix)]
const SIGTERM: i32 = 15;
const SIGINT: i32 = 2;

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
            let last = match tell.send(first) {
                Ok(()) => signals.next().await,
                // The service has ended by itself, and nobody else would heed the signal.
                Err(first) => first,
            };
            process::exit(128 + last);
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

#[cfg(unix)]
struct Signals {
    term: tokio::signal::unix::Signal,
    int: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }

    async fn next(&mut self) -> i32 {
        tokio::select! {
            biased;
            _ = self.term.recv() => SIGTERM,
            _ = self.int.recv() => SIGINT,
        }
    }
}

/// Where there are no Unix signals, Ctrl-C is all there is.
#[cfg(windows)]
struct Signals(tokio::signal::windows::CtrlC);

#[cfg(windows)]
impl Signals {
    fn new() -> io::Result<Self> {
        tokio::signal::windows::ctrl_c().map(Self)
    }

    async fn next(&mut self) -> i32 {
        self.0.recv().await;
        SIGINT
    }
}

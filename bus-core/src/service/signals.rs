//! SIGTERM and SIGINT.

use std::future::Future;
use std::io;
use std::process;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::thread;

use tokio::runtime::Builder;
use tokio::sync::watch;

use super::error::Error;

/// Their numbers, as POSIX has them, for the exit code.
#[cfg(unix)]
const SIGTERM: i32 = 15;
const SIGINT: i32 = 2;

/// The first signal that this process got, for every `run` there is or will be.
static FIRST: LazyLock<watch::Sender<Option<i32>>> = LazyLock::new(|| watch::Sender::new(None));

/// Whether the one listener of this process has been started.
static LISTENS: Mutex<bool> = Mutex::new(false);

/// The first signal. One thread listens for all services of the process, so that neither a handler
/// that blocks every other thread nor a service that has ended keeps the second signal from ending
/// the process.
pub(super) fn first() -> Result<impl Future<Output = i32>, Error> {
    let mut listens = LISTENS.lock().unwrap_or_else(PoisonError::into_inner);
    if !*listens {
        listen().map_err(Error::Signals)?;
        *listens = true;
    }
    let mut told = FIRST.subscribe();
    Ok(async move {
        loop {
            if let Some(signal) = *told.borrow_and_update() {
                return signal;
            }
            if told.changed().await.is_err() {
                // The sender is static.
                std::future::pending::<()>().await;
            }
        }
    })
}

fn listen() -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_io().build()?;
    let mut signals = {
        let _inside = runtime.enter();
        Signals::new()?
    };
    let listen = async move {
        FIRST.send_replace(Some(signals.next().await));
        let second = signals.next().await;
        process::exit(128 + second);
    };
    let name = "bus-signals".to_owned();
    thread::Builder::new().name(name).spawn(move || runtime.block_on(listen)).map(|_| ())
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

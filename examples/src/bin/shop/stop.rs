//! What tells a process to stop.

use std::future::Future;
use std::io;
use std::process;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::sync::oneshot;

/// How long a child may take from its word to stop to its end; a service takes up to 25 s.
pub(crate) const LAST: Duration = Duration::from_secs(40);

/// SIGTERM or SIGINT and, for a child, a word on standard input: its parent asks for its numbers. The
/// input is watched from this call on, the signals from the first poll on.
pub(crate) fn told(child: bool) -> impl Future<Output = ()> {
    let word = child.then(word);
    async {
        match word {
            None => signal().await,
            Some(word) => tokio::select! {
                () = signal() => {}
                _ = word => {}
            },
        }
    }
}

#[cfg(unix)]
async fn signal() {
    use tokio::signal::unix::{SignalKind, signal};

    let (term, int) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()));
    // Without them the system's own answer to the signals stays: the process ends.
    let (Ok(mut term), Ok(mut int)) = (term, int) else { return std::future::pending().await };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

#[cfg(not(unix))]
async fn signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// Without a word the parent is no more, and nobody asks for anything. Whatever hangs elsewhere, a
/// child does not outlive its parent for long. On a thread of its own: one of tokio's would keep the
/// process from ending while nothing comes.
fn word() -> oneshot::Receiver<()> {
    let (tell, told) = oneshot::channel();
    thread::spawn(move || {
        if io::read_to_string(io::stdin()).is_ok_and(|word| !word.is_empty()) {
            let _ = tell.send(());
            let (_kept, nothing) = mpsc::channel::<()>();
            let _ = nothing.recv_timeout(LAST);
        }
        process::exit(1);
    });
    told
}

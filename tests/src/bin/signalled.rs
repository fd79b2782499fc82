//! A service for `tests/signals.rs`, which signals it: `signalled good|again|hang|block`.

#![expect(clippy::print_stdout, reason = "the test reads what it prints")]

use std::process::ExitCode;
use std::sync::{Condvar, Mutex};

use bus_core::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "jobs.run")]
struct Job;

enum Mode {
    Good,
    Hang,
    Block,
}

struct Work {
    mode: Mode,
    begun: mpsc::Sender<()>,
}

impl Handler<Job> for Work {
    async fn handle(&self, _: Job, _: Context) -> HandlerResult {
        self.begun.send(()).await?;
        match self.mode {
            // Long enough to be at work when the signal comes.
            Mode::Good => tokio::time::sleep(SECOND / 2).await,
            Mode::Hang => std::future::pending().await,
            Mode::Block => {
                let never = Mutex::new(());
                if let Ok(guard) = never.lock() {
                    drop(Condvar::new().wait(guard));
                }
            }
        }
        println!("handled");
        Ok(())
    }
}

// One thread: a handler that blocks it leaves none for anybody else.
#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let mode = match std::env::args().nth(1).as_deref() {
        Some("good" | "again") => Mode::Good,
        Some("hang") => Mode::Hang,
        _ => Mode::Block,
    };
    if std::env::args().nth(1).as_deref() == Some("again") {
        // A first try that does not start must not change what a signal does to the next.
        let refused = Service::new("jobs", Bus::in_memory()).run().await.is_err();
        println!("refused {refused}");
    }
    let (begun, mut begins) = mpsc::channel(1);
    let bus = Bus::in_memory();
    let service = Service::new("jobs", bus.clone()).on("work", Work { mode, begun });
    let probe = service.probe();
    let tell = async {
        probe.ready().await;
        let published = bus.publish(&Job).await.is_ok();
        // Printed before the handler goes on, and so before it can block this thread.
        println!("published {published}");
        begins.recv().await;
    };
    let (result, ()) = tokio::join!(service.run(), tell);
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("{error}");
            ExitCode::FAILURE
        }
    }
}

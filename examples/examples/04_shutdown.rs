//! Shows a stop: a signal, what is finished, what is handed back, and that nothing is lost by it.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use bus_core::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::time::sleep;

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "reports.requested")]
struct ReportRequested {
    pages: u32,
}

/// A permit for every report that has been begun.
struct Begun(Semaphore);

/// Prints no more pages than it has paper for.
struct Printer {
    paper: u32,
}

#[handler]
async fn print(
    request: ReportRequested,
    Attempt(attempt): Attempt,
    State(begun): State<Begun>,
    State(printer): State<Printer>,
) {
    println!("{} pages: begun, attempt {attempt}", request.pages);
    begun.0.add_permits(1);
    if request.pages > printer.paper {
        println!("{} pages: the printer waits for paper", request.pages);
        pending::<()>().await;
    }
    sleep(Duration::from_millis(50)).await;
    println!("{} pages: printed", request.pages);
}

fn printing(bus: &Bus, begun: &Arc<Begun>, paper: u32) -> Service {
    Service::new("printing", bus.clone())
        .handlers(handlers![print])
        .shared(Arc::clone(begun))
        .state(Printer { paper })
        // What does not end within it is cut short and handed back; 25 s if nothing is said.
        .grace(Duration::from_millis(200))
}

/// What a container's runtime does to end a program.
async fn terminate() -> std::io::Result<()> {
    let kill = format!("kill -TERM {}", std::process::id());
    Command::new("sh").args(["-c", &kill]).status().await?;
    Ok(())
}

async fn wait_for(begun: &Begun, reports: u32) {
    // The semaphore is never closed.
    if let Ok(permits) = begun.0.acquire_many(reports).await {
        permits.forget();
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // The service says in its log what a stop did.
    tracing_subscriber::fmt().without_time().with_target(false).with_ansi(false).init();
    let (bus, begun) = (Bus::in_memory(), Arc::new(Begun(Semaphore::new(0))));
    for pages in [3, 500] {
        bus.publish(&ReportRequested { pages }).await?;
    }

    let signal = async {
        wait_for(&begun, 2).await;
        terminate().await
    };
    // `run` is what a service's `main` does: until SIGTERM or SIGINT, then drain.
    let (ran, signalled) = tokio::join!(printing(&bus, &begun, 100).run(), signal);
    ran?;
    signalled?;

    println!("the next process: the long report comes at once, and its attempt was not counted");
    let report = printing(&bus, &begun, 1000).run_until(wait_for(&begun, 1)).await?;
    println!("{report}");
    Ok(())
}

//! A shop of three services that react to each other's events, in one process and without a
//! server. It places orders, lets some of them fail, and accounts for every event at the end.
//!
//! ```text
//! orders ─ OrderPlaced ─▶ billing ─ PaymentTaken ───▶ orders ─ OrderCompleted ─▶ mailer
//!                                 └ PaymentRefused ─▶        └ OrderCancelled ─▶
//! ```

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use bus_core::prelude::*;
use clap::Parser;

use self::args::Args;
use self::progress::Progress;
use self::report::Report;
use self::shop::Shop;

mod args;
mod billing;
mod book;
mod events;
mod mailer;
mod orders;
mod progress;
mod report;
mod sabotage;
mod shop;

/// Of all handlers: up to 100, 200 and 400 ms between four runs.
const RETRY: Retry = Retry::exponential(Duration::from_millis(100), MINUTE).factor(2).attempts(4);

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Args::parse()).await {
        Ok(report) if report.lost == 0 => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            explain(&*error);
            ExitCode::FAILURE
        }
    }
}

async fn run(args: &Args) -> Result<Report, Box<dyn Error>> {
    let shop = Shop::open(Bus::in_memory(), args.sabotage).await?;
    let work = async {
        orders::place(shop.bus(), args.orders(), args.rate()).await?;
        shop.settled().await
    };
    let progress = Progress::new(args.json);
    let done = tokio::select! {
        biased;
        done = work => done,
        never = progress.show(shop.book(), args.orders()) => match never {},
    };
    progress.end();
    done?;
    let report = shop.close().await?;
    show(&report, args.json)?;
    Ok(report)
}

fn show(report: &Report, json: bool) -> Result<(), Box<dyn Error>> {
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", serde_json::to_string(report)?)?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(())
}

/// The error and what caused it, in one line.
fn explain(error: &dyn Error) {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    // Where nobody reads it, there is nobody to tell.
    let _ = writeln!(io::stderr(), "shop: {text}");
}

//! The bus beside a loop written by hand and its peers, in one run on one server:
//! `cargo run --release -p benches -- [--quick] [--json] [--only FIGURE] [--report FILE]`.
//!
//! Fails where a contestant does not finish all events. A target that is missed is no failure.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "its report")]

use std::path::PathBuf;

use anyhow::{Result, ensure};
use clap::Parser;
use tokio::time::Instant;

use self::figures::PARTS;
use self::rounds::Effort;
use self::worker::Work;

mod contestants;
mod figure;
mod figures;
mod goal;
mod ground;
mod machine;
mod numbered;
mod plot;
mod report;
mod rounds;
mod worker;

#[derive(Parser)]
struct Args {
    /// Fewer events and rounds, and not what takes minutes.
    #[arg(long)]
    quick: bool,
    /// One array, an object a figure.
    #[arg(long)]
    json: bool,
    /// This part alone.
    #[arg(long, value_name = "FIGURE")]
    only: Option<String>,
    /// Writes the page of documentation, and its plots beside it.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
    #[command(flatten)]
    work: Work,
}

#[tokio::main]
async fn main() -> Result<()> {
    let args = Args::parse();
    if let Some(url) = &args.work.url {
        let said = match args.work.raw {
            true => worker::by_loops(&args.work, url).await?,
            false => worker::run(&args.work, url).await?,
        };
        println!("{}", serde_json::to_string(&said)?);
        return Ok(());
    }
    let effort = match args.quick {
        true => Effort { events: 100_000, rounds: 3, quick: true },
        false => Effort { events: 150_000, rounds: 5, quick: false },
    };
    let chosen = |name: &str| args.only.as_ref().is_none_or(|only| only == name);
    let names: Vec<_> = PARTS.iter().map(|part| part.name).collect();
    ensure!(names.iter().any(|name| chosen(name)), "there are {}", names.join(", "));
    let mut figures = Vec::new();
    for part in PARTS.iter().filter(|part| chosen(part.name)) {
        // What takes minutes is asked for by its name, or by time.
        if part.long && args.quick && args.only.is_none() {
            continue;
        }
        eprint!("{} …", part.name);
        let begun = Instant::now();
        figures.extend((part.measure)(effort).await?);
        eprintln!(" {:.0} s", begun.elapsed().as_secs_f64());
    }
    match args.json {
        true => println!("{}", serde_json::to_string_pretty(&figures)?),
        false => println!("{}\n\n{}", machine::describe(), report::table(&figures)),
    }
    if let Some(file) = args.report {
        report::write(&file, &figures, args.quick)?;
    }
    Ok(())
}

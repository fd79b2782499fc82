//! A process of the service `jobs` for `tests/faults`, which signals and kills it: `worker MANNER`, on
//! the server that the environment names. Notes, its readiness and its log are its output.

#![expect(clippy::print_stdout, reason = "the test reads what it prints")]

use std::convert::Infallible;
use std::env;
use std::future::{pending, poll_fn};
use std::io::stdout;
use std::task::Poll;
use std::time::Duration;

use bus_core::prelude::*;
use bus_nats::{NatsConfig, NatsTransport, Provision};
use tests::acts::block;
use tests::jobs::SECRET;
use tests::manner::Manner;
use tokio::runtime::Builder;
use tokio::task::yield_now;
use tokio::time::sleep;
use tracing_subscriber::filter::LevelFilter;

type Fault = Box<dyn std::error::Error>;

fn main() -> Result<(), Fault> {
    let manner = env::args().nth(1).ok_or("worker MANNER")?;
    let manner: Manner = serde_json::from_str(&manner)?;
    let level = if manner.is_verbose { LevelFilter::DEBUG } else { LevelFilter::INFO };
    tracing_subscriber::fmt().with_max_level(level).with_ansi(false).with_writer(stdout).init();
    let mut runtime = match manner.threads {
        1 => Builder::new_current_thread(),
        _ => Builder::new_multi_thread(),
    };
    let runtime = runtime.worker_threads(manner.threads).enable_all().build()?;
    runtime.block_on(work(manner))
}

async fn work(manner: Manner) -> Result<(), Fault> {
    let provision = if manner.makes_nothing { Provision::Verify } else { Provision::Create };
    let config = NatsConfig { deadline: manner.deadline, provision, ..NatsConfig::from_env()? };
    let bus = Bus::new(NatsTransport::connect(config).await?);
    let timeout = move |options: Options| options.timeout(manner.timeout);
    let (jobs, lease) = (manner.jobs(), manner.lease);
    let mut service = Service::new("jobs", bus).lease(lease).grace(manner.grace);
    service = jobs.doing(service, "work", manner.instead, |note| println!("{note}"));
    service = service.tune("work", timeout);
    if manner.beside.is_some() {
        service = jobs.doing(service, "beside", manner.beside, |_| {});
    }
    if manner.redacts {
        service = service.redact(|text| text.replace(SECRET, "***"));
    }
    let probe = service.probe();
    tokio::select! {
        biased;
        result = service.run() => Ok(result?),
        // Polled with it, and so before anything that it has started.
        never = halt(&probe), if manner.begins_nothing => match never {},
        never = tell(&probe) => match never {},
    }
}

/// Blocks the thread as soon as the service is ready, and has asked for events.
async fn halt(probe: &Probe) -> Infallible {
    poll_fn(|_| if probe.readiness().ready { Poll::Ready(()) } else { Poll::Pending }).await;
    // What it has started is polled once before this goes on: it asks then, and nothing is there yet.
    yield_now().await;
    println!("readiness: true ");
    block(Duration::MAX);
    pending().await
}

/// Says whenever its readiness changes.
async fn tell(probe: &Probe) -> Infallible {
    let mut before = None;
    loop {
        let readiness = probe.readiness();
        if before.as_ref() != Some(&readiness) {
            println!("readiness: {} {}", readiness.ready, readiness.reasons.join("; "));
        }
        before = Some(readiness);
        sleep(Duration::from_millis(20)).await;
    }
}

//! A process of the service `jobs` for `tests/faults`, which signals and kills it:
//! `worker URL LEASE_MS CONCURRENCY ATTEMPTS DELAY_MS`. Notes and its log are its output.

#![expect(clippy::print_stdout, reason = "the test reads what it prints")]

use std::env;
use std::io::stdout;
use std::time::Duration;

use bus_core::prelude::*;
use bus_nats::{NatsConfig, NatsTransport};
use tests::jobs::Jobs;

type Fault = Box<dyn std::error::Error>;

// One thread: a handler that blocks it leaves none for anybody else.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fault> {
    tracing_subscriber::fmt().with_ansi(false).with_writer(stdout).init();
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [url, lease, concurrency, attempts, delay] = arguments.as_slice() else {
        return Err("worker URL LEASE_MS CONCURRENCY ATTEMPTS DELAY_MS".into());
    };
    let jobs = Jobs {
        lease: Duration::from_millis(lease.parse()?),
        concurrency: concurrency.parse()?,
        retry: Retry::fixed(Duration::from_millis(delay.parse()?)).attempts(attempts.parse()?),
    };
    let config = NatsConfig { servers: vec![url.clone()], ..NatsConfig::default() };
    let bus = Bus::new(NatsTransport::connect(config).await?);
    let service = jobs.service(bus, |note| println!("{note}"));
    let probe = service.probe();
    let tell = async {
        probe.ready().await;
        println!("ready");
    };
    let (result, ()) = tokio::join!(service.run(), tell);
    Ok(result?)
}

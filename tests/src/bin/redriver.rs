//! A process that redrives all dead letters, for `tests/faults`, which kills it: `redriver URL RATE`.

#![expect(clippy::print_stdout, reason = "the test reads what it prints")]

use std::env;

use bus_core::prelude::*;
use bus_nats::{NatsConfig, NatsTransport};

type Fault = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Fault> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [url, rate] = arguments.as_slice() else { return Err("redriver URL RATE".into()) };
    let config = NatsConfig { servers: vec![url.clone()], ..NatsConfig::default() };
    let bus = Bus::new(NatsTransport::connect(config).await?);
    println!("{}", bus.dead_letters().redrive().rate(rate.parse()?).await?);
    Ok(())
}

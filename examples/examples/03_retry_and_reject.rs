//! Shows what becomes of failures: retries, rejects, dead letters, their causes, and a redrive.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bus_core::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "orders.placed")]
struct OrderPlaced {
    #[event(key)]
    order: u32,
}

#[derive(Debug, thiserror::Error, Failure)]
enum ChargeError {
    /// A failure is retried unless it says otherwise.
    #[error("the gateway is away")]
    GatewayAway,
    /// The error knows how long to wait.
    #[error("the gateway is busy")]
    #[failure(retry_after)]
    Busy(Duration),
    /// No retry can mend it: a dead letter at once.
    #[error("there is no card {card}")]
    #[failure(reject)]
    NoSuchCard { card: &'static str },
}

#[derive(Default)]
struct Gateway {
    mended: AtomicBool,
}

impl Gateway {
    fn charge(&self, order: u32, attempt: u32) -> Result<(), ChargeError> {
        match order {
            2 if attempt == 1 => Err(ChargeError::Busy(Duration::from_millis(20))),
            3 => Err(ChargeError::NoSuchCard { card: "0000" }),
            4 if !self.mended.load(Ordering::SeqCst) => Err(ChargeError::GatewayAway),
            _ => Ok(()),
        }
    }
}

type Runs = mpsc::UnboundedSender<()>;

// Delays are drawn between 0 and 10, 20, 40 … ms; after the third run the event is a dead letter.
#[handler(retry = Retry::exponential(Duration::from_millis(10), SECOND).factor(2).attempts(3))]
async fn charge(
    placed: OrderPlaced,
    Attempt(attempt): Attempt,
    State(gateway): State<Gateway>,
    State(runs): State<Runs>,
) -> Result<(), ChargeError> {
    let result = gateway.charge(placed.order, attempt);
    println!("order {}, run {attempt}: {result:?}", placed.order);
    // Nobody listens any more once the program has seen enough runs.
    let _ = runs.send(());
    result
}

/// Runs the service until its handler has run so often, then drains it: after that, every run has
/// its answer, and every dead letter stands where it can be listed.
async fn run(bus: &Bus, gateway: &Arc<Gateway>, runs: usize) -> Result<Report, bus_core::Error> {
    let (tell, mut told) = mpsc::unbounded_channel();
    let billing = Service::new("billing", bus.clone())
        .handlers(handlers![charge])
        .shared(Arc::clone(gateway))
        .state::<Runs>(tell);
    let enough = async move {
        for _ in 0..runs {
            told.recv().await;
        }
    };
    billing.run_until(enough).await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (bus, gateway) = (Bus::in_memory(), Arc::new(Gateway::default()));
    for order in 1..=4 {
        bus.publish(&OrderPlaced { order }).await?;
    }
    // One run of order 1, two of 2, one of 3, three of 4.
    run(&bus, &gateway, 7).await?;

    for cause in bus.dead_letters().causes().await? {
        println!("{cause}");
    }
    println!("the gateway is mended; what it failed is redriven, 100 in a second");
    gateway.mended.store(true, Ordering::SeqCst);
    let redriven = bus.dead_letters().class("gateway_away").redrive().rate(100).await?;
    println!("{redriven}");
    run(&bus, &gateway, 1).await?;

    for letter in bus.dead_letters().list(100).await? {
        let (key, reason, failed) = (&letter.envelope.key, letter.reason, &letter.failed);
        println!("dead letter: {key:?} {reason} after {} runs: {}", failed.attempt, failed.text);
    }
    Ok(())
}

//! Shows an idempotent handler: it may run more than once for an event, its effect happens once.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bus_core::prelude::*;
use bus_core::testing::TestBus;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "orders.completed")]
struct OrderCompleted {
    customer: String,
    points: u32,
}

/// Stands for a table whose key is the id of the event: a second row can not be written.
#[derive(Default)]
struct Credits {
    rows: Mutex<BTreeMap<EventId, (String, u32)>>,
    runs: AtomicU32,
}

impl Credits {
    /// `insert … on conflict do nothing`: what was written stays as it is.
    fn credit(&self, event: &EventId, customer: String, points: u32) {
        self.runs.fetch_add(1, Ordering::SeqCst);
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.entry(event.clone()).or_insert((customer, points));
    }

    fn of(&self, customer: &str) -> u32 {
        let rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.values().filter(|(name, _)| name == customer).map(|(_, points)| points).sum()
    }
}

#[handler]
async fn credit(completed: OrderCompleted, ctx: Context, State(credits): State<Credits>) {
    // `points += …` would count a second run twice. The id of the event is the same in each run.
    credits.credit(ctx.id(), completed.customer, completed.points);
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (test, credits) = (TestBus::new(), Arc::new(Credits::default()));
    let loyalty = Service::new("loyalty", test.bus()).handlers(handlers![credit]);
    test.start(loyalty.shared(Arc::clone(&credits))).await?;

    // Runs the handler once, once more, and once more after a crash before its answer; the second
    // argument is looked at in between, and would fail here if it changed.
    let completed = OrderCompleted { customer: "ada".to_owned(), points: 10 };
    test.assert_idempotent_in("credit", &completed, || credits.of("ada")).await;

    let runs = credits.runs.load(Ordering::SeqCst);
    println!("{runs} runs for one event: ada has {} points", credits.of("ada"));

    // Another event is another effect, whatever it says.
    test.publish(&completed).settled().await?;
    println!("one more event: ada has {} points", credits.of("ada"));
    Ok(())
}

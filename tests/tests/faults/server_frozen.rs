//! A server that stands still for a while.

use bus_core::prelude::*;
use tests::jobs::{Does, Job, Jobs};
use tokio::time::sleep;

use crate::ledger::Ledger;
use crate::load::Load;
use crate::{MILLISECOND, PATIENCE, connect, injects, server};

const SLOW: u32 = 1_000_000;

/// It thinks that the lease of the slow run is over. The worker who has it knows better.
#[tokio::test(flavor = "multi_thread")]
async fn fault_b12_a_frozen_server_goes_on_and_what_runs_is_not_run_twice() {
    let (server, _, bus) = server().await;
    let jobs = Jobs { lease: SECOND, concurrency: 4, retry: Retry::DEFAULT };
    let ledger = Ledger::default();
    let worker = jobs.service(Bus::new(connect(&server.url()).await), ledger.of("one"));
    let worker = worker.start().await.unwrap();
    bus.publish(&Job { number: SLOW, does: Does::Sleep(6500) }).await.unwrap();
    let load = Load::start(&bus, 10 * MILLISECOND, |_| Does::Sleep(5));
    ledger.until("it works", PATIENCE, |runs| runs.done.len() > 50).await;
    server.signal("STOP").unwrap();
    sleep(SECOND * 3).await;
    let before = ledger.runs().done.len();
    server.signal("CONT").unwrap();
    ledger.until("it goes on", PATIENCE, |runs| runs.done.len() > before + 50).await;
    let published = load.end().await;
    assert!(published.failed.is_empty(), "{:?}", published.failed.first());
    let mut numbers = published.numbers();
    numbers.push(SLOW);
    ledger.has_done(&numbers, PATIENCE).await;
    let runs = ledger.runs();
    println!("{} jobs, {} ran again", numbers.len(), runs.beyond_the_first());
    assert_eq!(runs.of(SLOW).len(), 1, "{:?}", runs.of(SLOW));
    let report = worker.stop().await;
    assert_eq!(report.abandoned, 0, "{report}");
    injects("fault_b12_a_frozen_server", &[("server frozen", 1)]);
}

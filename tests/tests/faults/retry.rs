//! Delays that outlive those who set them.

use std::time::Duration;

use bus_core::prelude::*;
use bus_nats::dev_server::DevServer;
use tests::jobs::{Does, Job};
use tests::manner::Manner;
use tokio::time::sleep;

use crate::ledger::Ledger;
use crate::process::Process;
use crate::{MILLISECOND, PATIENCE, kill, restart, server};

const DELAY: Duration = Duration::from_secs(2);
const JOBS: u32 = 20;

/// Jobs that fail once; what happens to them while they wait; and when they come again.
async fn waits(fault: impl AsyncFnOnce(&mut DevServer, Process)) -> (Duration, Duration) {
    let (mut server, _, bus) = server().await;
    let (url, ledger) = (server.url(), Ledger::default());
    let manner = Manner { lease: SECOND, delay: DELAY, ..Manner::default() };
    let first = Process::ready(&url, "first", manner, &ledger).await;
    for number in 0..JOBS {
        bus.publish(&Job { number, does: Does::FailFirst }).await.unwrap();
        // At any time of a second: what the server writes down may be rounded.
        sleep(50 * MILLISECOND).await;
    }
    ledger.until("all have failed", PATIENCE, |runs| runs.all.len() >= JOBS as usize).await;
    sleep(200 * MILLISECOND).await;
    fault(&mut server, first).await;
    let _second = Process::ready(&url, "second", manner, &ledger).await;
    ledger.has_done(&(0..JOBS).collect::<Vec<_>>(), PATIENCE).await;
    let runs = ledger.runs();
    let (mut shortest, mut longest) = (PATIENCE, Duration::ZERO);
    for number in 0..JOBS {
        let of = runs.of(number);
        let [failed, again] = of.as_slice() else { panic!("{of:?}") };
        assert_eq!((failed.attempt, again.attempt), (1, 2));
        // The first was noted a little late.
        let waited = again.begun - failed.begun + 50 * MILLISECOND;
        (shortest, longest) = (shortest.min(waited), longest.max(waited));
    }
    println!("they came again after {shortest:?} to {longest:?}");
    (shortest, longest)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_and_its_attempts_outlive_the_worker() {
    let (shortest, longest) = waits(async |_, first| first.kill().await).await;
    assert!(shortest >= DELAY, "{shortest:?}");
    assert!(longest < DELAY + SECOND * 3, "{longest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delay_and_its_attempts_outlive_the_server_and_the_worker() {
    let restarted = async |server: &mut DevServer, first: Process| {
        first.kill().await;
        kill(server);
        restart(server);
    };
    let (shortest, longest) = waits(restarted).await;
    assert!(shortest >= DELAY, "{shortest:?}");
    assert!(longest < DELAY + SECOND * 3, "{longest:?}");
}

//! Everything fails.

use std::collections::BTreeMap;

use bus_core::settle::Reason;
use tests::jobs::Does;
use tests::manner::Manner;

use crate::ledger::{Ledger, Runs};
use crate::process::Process;
use crate::raw::Tap;
use crate::{PATIENCE, injects, letters, publish, server};

/// What failed together does not come back together, and is never handed back without a delay.
async fn storm(count: u32) {
    let (server, transport, bus) = server().await;
    let (tap, ledger) = (Tap::on(&server).await, Ledger::default());
    let manner = Manner { concurrency: 64, attempts: 3, jitter: true, ..Manner::default() };
    let worker = Process::ready(&server.url(), "one", manner, &ledger).await;
    publish(&bus, count, |_| Does::Fail).await;
    let all = |runs: &Runs| runs.all.len() == 3 * count as usize;
    ledger.until("all have failed", PATIENCE * 5, all).await;
    let letters = letters(&transport, count as usize).await;
    let runs = ledger.runs();
    assert_eq!(runs.all.len(), 3 * count as usize);
    assert!(letters.iter().all(|letter| letter.reason == Reason::Exhausted));
    assert!(letters.iter().all(|letter| letter.failed.attempt == 3));
    let (first, mut rate) = (runs.all[0].begun, BTreeMap::new());
    for run in runs.all.iter().filter(|run| run.attempt > 1) {
        *rate.entry((run.begun - first).as_millis() / 100).or_insert(0_u32) += 1;
    }
    let most = *rate.values().max().unwrap();
    println!("{count} fail: of {} runs again at most {most} within 100 ms", 2 * count);
    assert!(rate.len() > 20 && most < count * 45 / 100, "{rate:?}");
    let naks = tap.all().into_iter().filter(|heard| heard.text().starts_with("-NAK"));
    let bare = naks.filter(|heard| !heard.text().contains("delay")).count();
    assert_eq!(bare, 0, "handed back without a delay");
    let (code, log) = worker.stop().await;
    assert_eq!(code, Some(0), "{log}");
    injects("fault_b9", &[("run failed", 3 * count as usize)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_b9_what_fails_together_does_not_come_again_together() {
    storm(600).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "heavy: 10,000 events fail three times each"]
async fn fault_b9_ten_thousand_that_fail_together_do_not_come_again_together() {
    storm(10_000).await;
}

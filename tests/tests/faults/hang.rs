//! Handlers that never end.

use bus_core::prelude::*;
use bus_core::settle::Reason;
use tests::jobs::{Does, Job};
use tests::manner::Manner;
use tokio::time::{Instant, sleep};

use crate::ledger::Ledger;
use crate::process::Process;
use crate::{MILLISECOND, PATIENCE, injects, is_settled, letters, number, publish, server};

#[tokio::test(flavor = "multi_thread")]
async fn fault_c3_a_run_that_hangs_ends_at_its_time_out_is_counted_and_frees_its_slot() {
    let (server, transport, bus) = server().await;
    let (ledger, timeout) = (Ledger::default(), 300 * MILLISECOND);
    let manner =
        Manner { concurrency: 2, attempts: 2, delay: timeout, timeout, ..Manner::default() };
    let worker = Process::ready(&server.url(), "one", manner, &ledger).await;
    // Both slots hang from the beginning.
    let hangs = |number| number % 10 < 2;
    let does = |number| if hangs(number) { Does::Hang } else { Does::Sleep(1) };
    let mut good = publish(&bus, 20, does).await;
    good.retain(|number| !hangs(*number));
    ledger.has_done(&good, PATIENCE).await;
    let letters = letters(&transport, 4).await;
    let runs = ledger.runs();
    for letter in &letters {
        assert_eq!((letter.reason, &*letter.failed.class), (Reason::Exhausted, "timeout"));
        assert_eq!(letter.failed.attempt, 2);
        let of = runs.of(number(letter));
        let attempts: Vec<_> = of.iter().map(|run| run.attempt).collect();
        assert_eq!(attempts, [1, 2]);
        // The time-out, and the delay.
        assert!(of[1].begun - of[0].begun >= timeout * 2, "{of:?}");
    }
    assert_eq!(worker.stop().await.0, Some(0));
    injects("fault_c3", &[("run hung", 8)]);
}

const TIMEOUTS: u32 = 1000;

/// Tasks of the worker's runtime, and files that it has open, once it is at rest.
async fn at_rest(bus: &Bus, worker: &Process, ledger: &Ledger) -> (usize, usize) {
    let known = ledger.runs().tasks.len();
    bus.publish(&Job { number: 0, does: Does::Measure }).await.unwrap();
    ledger.until("it is measured", PATIENCE, |runs| runs.tasks.len() > known).await;
    (ledger.runs().tasks[known], worker.files())
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_c9_a_thousand_time_outs_leave_no_task_and_no_file_behind() {
    let (server, transport, bus) = server().await;
    let (ledger, timeout) = (Ledger::default(), 50 * MILLISECOND);
    let manner = Manner { concurrency: 100, attempts: 1, timeout, ..Manner::default() };
    let worker = Process::ready(&server.url(), "one", manner, &ledger).await;
    publish(&bus, 50, |_| Does::Hang).await;
    letters(&transport, 50).await;
    is_settled(&transport).await;
    let before = at_rest(&bus, &worker, &ledger).await;
    publish(&bus, TIMEOUTS, |_| Does::Hang).await;
    letters(&transport, 50 + TIMEOUTS as usize).await;
    is_settled(&transport).await;
    let (mut after, begun) = (at_rest(&bus, &worker, &ledger).await, Instant::now());
    while after != before && begun.elapsed() < SECOND * 5 {
        sleep(100 * MILLISECOND).await;
        after = at_rest(&bus, &worker, &ledger).await;
    }
    println!("tasks and files: {before:?} before {TIMEOUTS} time-outs, {after:?} after");
    assert!(after.0 <= before.0 && after.1 <= before.1, "{before:?}, {after:?}");
    assert_eq!(worker.stop().await.0, Some(0));
    injects("fault_c9", &[("run hung", 50 + TIMEOUTS as usize)]);
}

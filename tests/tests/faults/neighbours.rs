//! Two handlers in one process, of which one does not behave.

use std::time::Duration;

use bus_core::prelude::*;
use tests::jobs::Does;
use tests::manner::Manner;

use crate::ledger::Ledger;
use crate::load::Load;
use crate::process::Process;
use crate::{MILLISECOND, PATIENCE, injects, server};

const EVENTS: usize = 300;

/// How long 99 of 100 events take to the end of their run, beside a handler that does this with
/// each of them; and the worker's log.
async fn p99(threads: usize, beside: Option<Does>) -> (Duration, String) {
    let (server, _, bus) = server().await;
    let ledger = Ledger::default();
    let manner = Manner { threads, beside, grace: SECOND, ..Manner::default() };
    let worker = Process::ready(&server.url(), "one", manner, &ledger).await;
    let load = Load::start(&bus, 5 * MILLISECOND, |_| Does::Sleep(1));
    ledger.until("enough", PATIENCE, |runs| runs.done.len() >= EVENTS).await;
    let published = load.end().await;
    ledger.has_done(&published.numbers(), PATIENCE).await;
    let done = ledger.runs().done;
    let took = published.stored.iter().map(|(number, sent)| done[number] - *sent);
    let mut took: Vec<_> = took.collect();
    took.sort_unstable();
    let p99 = took[took.len() * 99 / 100];
    println!("beside {beside:?}: p99 {p99:?} of {}, longest {:?}", took.len(), took.last());
    let (code, log) = worker.stop().await;
    // A run that hangs is handed back, and one that blocks its thread may not be over in time.
    assert!(matches!(code, Some(0 | 1)), "{code:?}: {log}");
    (p99, log)
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_c4_a_handler_that_blocks_its_thread_is_named_and_starves_nobody() {
    let (alone, _) = p99(2, None).await;
    let (beside, log) = p99(2, Some(Does::Block(700))).await;
    let warning = log.lines().find(|line| line.contains("blocks its thread"));
    assert!(warning.is_some_and(|line| line.contains("beside")), "{log}");
    // Before it is known to block it holds a thread a few times.
    assert!(beside < alone * 3 + 400 * MILLISECOND, "{alone:?} alone, {beside:?} beside it");
    injects("fault_c4", &[("handler blocked its thread", 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_c5_a_handler_that_hangs_takes_nothing_from_its_neighbour() {
    let (alone, _) = p99(1, None).await;
    let (beside, log) = p99(1, Some(Does::Hang)).await;
    assert!(log.contains(", 0 abandoned"), "{log}");
    assert!(beside < alone * 2 + 200 * MILLISECOND, "{alone:?} alone, {beside:?} beside it");
    injects("fault_c5", &[("handler hung", 1)]);
}

//! Runs that take longer than the lease.

use bus_core::prelude::*;
use tests::jobs::{Does, Job};
use tests::manner::Manner;
use tokio::time::sleep;

use crate::ledger::Ledger;
use crate::process::Process;
use crate::{PATIENCE, injects, server};

/// One that waits and one that blocks the only thread of its process, each for more than three
/// leases, while two workers compete.
#[tokio::test(flavor = "multi_thread")]
async fn fault_b4_c4_a_run_that_outlasts_its_lease_is_the_only_one() {
    let (server, _, bus) = server().await;
    let (url, ledger) = (server.url(), Ledger::default());
    let manner = Manner { lease: SECOND, concurrency: 2, ..Manner::default() };
    let (one, two) = tokio::join!(
        Process::ready(&url, "one", manner, &ledger),
        Process::ready(&url, "two", manner, &ledger)
    );
    for (number, does) in [(0, Does::Sleep(3500)), (1, Does::Block(3500))] {
        bus.publish(&Job { number, does }).await.unwrap();
        ledger.until("it runs", PATIENCE, |runs| !runs.of(number).is_empty()).await;
        // Both are asked for more, and one of them can not answer.
        let quick = (2..12).map(|n| Job { number: n + number * 10, does: Does::Sleep(1) });
        let quick: Vec<_> = quick.collect();
        assert!(bus.publish_all(&quick).await.iter().all(Result::is_ok));
        ledger.until("it is done", PATIENCE, |runs| runs.done.contains_key(&number)).await;
        // Somebody else would have it by now.
        sleep(SECOND * 3 / 2).await;
        let runs = ledger.runs();
        let of = runs.of(number);
        println!("{does:?}: {} runs, {:?}", of.len(), of[0].ended.unwrap() - of[0].begun);
        assert!(of.len() == 1 && of[0].attempt == 1, "{of:?}");
    }
    ledger.has_done(&(0..22).collect::<Vec<_>>(), PATIENCE).await;
    let runs = ledger.runs();
    let busy = |number| runs.of(number)[0].who.clone();
    let other = |who: &str| runs.all.iter().any(|run| *run.who != *who);
    assert!(other(&busy(0)) && other(&busy(1)), "there was another who could have had it");
    assert_eq!(runs.beyond_the_first(), 0);
    for worker in [one, two] {
        let (code, log) = worker.stop().await;
        assert!(code == Some(0) && log.contains(", 0 abandoned"), "{log}");
    }
    injects("fault_b4_c4", &[("run outlasted its lease", 2)]);
}

//! A new build is rolled out, worker by worker.

use std::time::Duration;

use bus_core::prelude::*;
use tests::chaos::injected::Injected;
use tests::jobs::Does;
use tests::manner::Manner;

use crate::ledger::{Ledger, Runs};
use crate::load::Load;
use crate::process::Process;
use crate::{MILLISECOND, PATIENCE, dead_letters, is_settled, server};

const WORKERS: usize = 3;
const ROUNDS: usize = 3;

/// Nobody is killed, so nothing runs twice; and nothing waits for the lease of 30 s.
#[tokio::test(flavor = "multi_thread")]
async fn fault_f6_workers_that_are_replaced_under_load_lose_nothing_and_do_nothing_twice() {
    let injected = Injected::begin("fault_f6_workers_that_are_replaced_under_load");
    let (server, transport, bus) = server().await;
    let (url, ledger) = (server.url(), Ledger::default());
    let start = async |who: String| {
        let worker = Process::ready(&url, &who, Manner::default(), &ledger).await;
        (who, worker)
    };
    let mut workers = Vec::new();
    for nth in 0..WORKERS {
        workers.push(start(format!("0.{nth}")).await);
    }
    let load = Load::start(&bus, 3 * MILLISECOND, |_| Does::Sleep(20));
    for round in 1..=ROUNDS {
        for (nth, place) in workers.iter_mut().enumerate() {
            let (who, old) = std::mem::replace(place, start(format!("{round}.{nth}")).await);
            let begun = ledger.runs().count(&place.0);
            let (code, log) = old.stop().await;
            assert!(code == Some(0) && log.contains(", 0 abandoned"), "{who}: {log}");
            injected.note("worker replaced");
            let works = |runs: &Runs| runs.count(&place.0) > begun;
            ledger.until("the new one works", PATIENCE, works).await;
        }
    }
    let published = load.end().await;
    assert!(published.failed.is_empty(), "{:?}", published.failed.first());
    ledger.has_done(&published.numbers(), PATIENCE).await;
    is_settled(&transport).await;
    let (runs, mut longest) = (ledger.runs(), (Duration::ZERO, 0));
    for (number, sent) in &published.stored {
        longest = longest.max((runs.done[number].duration_since(*sent), *number));
    }
    println!("{} events, the longest took {longest:?}", published.stored.len());
    assert_eq!(runs.beyond_the_first(), 0);
    assert!(runs.all.iter().all(|run| run.attempt == 1));
    assert!(longest.0 < SECOND * 5, "{longest:?}");
    assert!(dead_letters(&transport).await.is_empty());
    for (_, worker) in workers {
        assert_eq!(worker.stop().await.0, Some(0));
    }
}

//! A worker that stands still for longer than its lease, and goes on as if nothing had been.

use bus_core::prelude::*;
use tests::jobs::{Does, Job};
use tests::manner::Manner;
use tokio::time::sleep;

use crate::ledger::{Ledger, Runs};
use crate::process::Process;
use crate::{MILLISECOND, PATIENCE, dead_letters, injects, is_settled, number, server};

/// What it does late is a job done well by somebody else, and an answer that would give it up.
#[tokio::test(flavor = "multi_thread")]
async fn fault_b5_a_worker_that_stood_still_does_no_harm_when_it_goes_on() {
    let (server, transport, bus) = server().await;
    let (url, ledger) = (server.url(), Ledger::default());
    let manner = Manner { lease: SECOND, ..Manner::default() };
    let rejects = Manner { instead: Some(Does::RejectAfter(300)), ..manner };
    let zombie = Process::ready(&url, "zombie", rejects, &ledger).await;
    for number in 0..4 {
        bus.publish(&Job { number, does: Does::Sleep(1) }).await.unwrap();
    }
    ledger.until("all run", PATIENCE, |runs| runs.count("zombie") == 4).await;
    zombie.signal("STOP").await;
    let survivor = Process::ready(&url, "survivor", manner, &ledger).await;
    let done = |runs: &Runs| (0..4).all(|number| runs.done.contains_key(&number));
    ledger.until("the survivor has done them", PATIENCE, done).await;
    sleep(SECOND * 2).await;
    zombie.signal("CONT").await;
    let (worked, mut nth) = (ledger.runs().count("zombie"), 4);
    while ledger.runs().count("zombie") < worked + 5 {
        bus.publish(&Job { number: nth, does: Does::Sleep(20) }).await.unwrap();
        nth += 1;
        sleep(5 * MILLISECOND).await;
        assert!(nth < 5000, "it never works again");
    }
    is_settled(&transport).await;
    let (runs, letters) = (ledger.runs(), dead_letters(&transport).await);
    println!("the zombie worked again, {} of {nth} jobs had two runs", runs.beyond_the_first());
    assert_eq!(runs.beyond_the_first(), 4);
    // What it rejects now is its own, and of what it had before nothing is.
    let rejected: Vec<_> = letters.iter().map(number).collect();
    let mine = runs.by("zombie").into_iter().map(|run| run.number).filter(|number| *number >= 4);
    let (mut expected, mut rejected) = (mine.collect::<Vec<_>>(), rejected);
    expected.sort_unstable();
    rejected.sort_unstable();
    assert_eq!(rejected, expected);
    for worker in [zombie, survivor] {
        let (code, log) = worker.stop().await;
        assert_eq!(code, Some(0), "{log}");
    }
    injects("fault_b5", &[("worker frozen", 1)]);
}

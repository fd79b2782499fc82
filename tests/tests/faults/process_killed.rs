//! Workers that are killed, from outside or by what they run.

use std::time::Duration;

use bus_core::prelude::*;
use bus_core::settle::Reason;
use tests::jobs::{Does, Job};
use tests::manner::Manner;
use tokio::time::{Instant, sleep};

use crate::ledger::{Ledger, Runs};
use crate::process::Process;
use crate::{MILLISECOND, PATIENCE, dead_letters, injects, publish, server};

/// Jobs come in their order. What the survivor has not seen, and what stands before all of what it
/// runs now, the killed one took along.
fn taken_along(runs: &Runs, survivor: &str) -> Vec<u32> {
    let runs_now = runs.by(survivor).into_iter().rev().take(8).map(|run| run.number);
    let first = runs_now.min().unwrap_or_default();
    let seen =
        |number| runs.by(survivor).iter().any(|run| run.number == number && run.ended.is_some());
    (0..first).filter(|number| !runs.done.contains_key(number) && !seen(*number)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_b1_what_a_killed_worker_held_comes_after_one_lease_and_only_runs_count() {
    let (server, transport, bus) = server().await;
    let (lease, ledger) = (SECOND * 2, Ledger::default());
    let manner = Manner { lease, ..Manner::default() };
    let start = |who: &'static str| {
        let (url, ledger) = (server.url(), ledger.clone());
        async move { Process::ready(&url, who, manner, &ledger).await }
    };
    let (killed, _survivor) = tokio::join!(start("killed"), start("survivor"));
    let numbers = publish(&bus, 1200, |_| Does::Sleep(20)).await;
    ledger.until("a third", PATIENCE, |runs| runs.count("killed") > 200).await;
    killed.kill().await;
    let kill = Instant::now();
    sleep(SECOND).await;
    let taken = taken_along(&ledger.runs(), "survivor");
    ledger.has_done(&numbers, PATIENCE).await;

    let (runs, mut longest, mut begun) = (ledger.runs(), Duration::ZERO, 0);
    for number in &taken {
        let of = runs.of(*number);
        let again = of.iter().find(|run| &*run.who == "survivor").unwrap();
        longest = longest.max(again.begun - kill);
        let was_begun = of.iter().any(|run| &*run.who == "killed");
        begun += u32::from(was_begun);
        let most = if was_begun { 2 } else { 1 };
        assert!(again.attempt <= most, "{number}: {of:?}");
    }
    let beyond = runs.beyond_the_first();
    println!("{} taken along, {begun} of them begun, the last came after {longest:?}", taken.len());
    println!("{} runs, {beyond} beyond the first", runs.all.len());
    assert!(begun > 0 && taken.len() > 4 + 8, "there were some that had only been fetched");
    assert!(longest > lease / 3 && longest < lease + SECOND * 3 / 2, "{longest:?}");
    // What it had at work, and what it had done without the ack being sent.
    assert!(beyond <= 4 + 4, "{beyond} runs beyond the first");
    assert!(dead_letters(&transport).await.is_empty());
    injects("fault_b1_what_a_killed_worker_held", &[("worker killed", 1)]);
}

const POISON: u32 = 100;
const ATTEMPTS: u32 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn fault_c2_a_job_that_aborts_its_process_is_a_dead_letter_and_no_other_is() {
    let (server, transport, bus) = server().await;
    let does = |number| if number == POISON { Does::Abort } else { Does::Sleep(1) };
    let mut numbers = publish(&bus, 300, does).await;
    numbers.retain(|number| *number != POISON);
    let ledger = Ledger::default();
    let manner = Manner { lease: SECOND, concurrency: 1, attempts: ATTEMPTS, ..Manner::default() };
    let finished = async {
        ledger.has_done(&numbers, PATIENCE).await;
        while dead_letters(&transport).await.is_empty() {
            sleep(100 * MILLISECOND).await;
        }
    };
    tokio::pin!(finished);
    let mut aborts = 0;
    loop {
        let worker = Process::start(&server.url(), &format!("life {aborts}"), manner, &ledger);
        tokio::select! {
            () = &mut finished => break,
            (code, log) = worker.end() => assert_eq!(code, None, "{log}"),
        }
        aborts += 1;
        assert!(aborts <= ATTEMPTS as usize + 1, "it aborts for ever");
    }

    let runs = ledger.runs();
    let (mut highest, mut waited) = (0, 0);
    for run in &runs.all {
        waited += usize::from(run.number < highest && runs.of(run.number)[0].begun == run.begun);
        highest = highest.max(run.number);
    }
    let attempts: Vec<_> = runs.of(POISON).iter().map(|run| run.attempt).collect();
    println!("{aborts} aborts, attempts {attempts:?}; {waited} waited in a killed process");
    println!("{} runs, {} beyond the first", runs.all.len(), runs.beyond_the_first());
    assert_eq!(attempts.len(), aborts);
    assert!(waited > 0, "others waited in the process when it died");
    let of_others = runs.all.iter().filter(|run| run.number != POISON);
    assert!(of_others.map(|run| run.attempt).max() <= Some(2), "an innocent one is suspected");
    let letters = dead_letters(&transport).await;
    let [letter] = letters.as_slice() else { panic!("{letters:?}") };
    let job: Job = serde_json::from_slice(&letter.envelope.payload).unwrap();
    assert_eq!((job.number, letter.reason), (POISON, Reason::Exhausted));
    assert_eq!((&*letter.failed.class, letter.failed.attempt), ("lost", ATTEMPTS));
    injects("fault_c2", &[("process aborted", aborts)]);
}

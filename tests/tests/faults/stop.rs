//! A stop that costs nothing.

use bus_core::prelude::*;
use tests::jobs::{Does, Job};
use tests::manner::Manner;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::ledger::Ledger;
use crate::process::Process;
use crate::{PATIENCE, injects, server};

const STOPS: u32 = 5;

/// So many jobs are undone all the time: more than the workers run at once, so that there is
/// always something that was fetched; and not without end on a busy machine.
const UNDONE: usize = 400;

/// Publishes until it is told to end: when each job was sent.
pub(crate) async fn publish(bus: Bus, ledger: Ledger, stop: watch::Receiver<bool>) -> Vec<Instant> {
    let mut sent = Vec::new();
    while !*stop.borrow() {
        let from = sent.len() as u32;
        let jobs = (from..from + 20).map(|number| Job { number, does: Does::Sleep(15) });
        sent.resize(sent.len() + 20, Instant::now());
        let stored = bus.publish_all(&jobs.collect::<Vec<_>>()).await;
        assert!(stored.iter().all(Result::is_ok));
        ledger.until("some", PATIENCE, |runs| runs.done.len() + UNDONE > sent.len()).await;
    }
    sent
}

/// Nobody notices that workers come and go: no event waits for a lease, and none runs twice.
#[tokio::test(flavor = "multi_thread")]
async fn fault_f1_stops_under_load_cost_nothing() {
    let (server, _, bus) = server().await;
    let (url, ledger) = (server.url(), Ledger::default());
    let manner = Manner { lease: SECOND * 30, ..Manner::default() };
    let steady = Process::ready(&url, "steady", manner, &ledger).await;
    let (enough, stop) = watch::channel(false);
    let mut load = JoinSet::new();
    load.spawn(publish(bus, ledger.clone(), stop));
    let mut stopped = Vec::new();
    for stop in 0..STOPS {
        let who = format!("stopped {stop}");
        let worker = Process::ready(&url, &who, manner, &ledger).await;
        ledger.until(&who, PATIENCE, |runs| runs.count(&who) > 100).await;
        let begun = Instant::now();
        let (code, log) = worker.stop().await;
        let report = log.lines().last().and_then(|line| line.split_once("running: ")).unwrap().1;
        println!("{who} in {:?} after {}: {report}", begun.elapsed(), ledger.runs().count(&who));
        assert_eq!(code, Some(0), "{log}");
        assert!(report.contains(", 0 abandoned"), "{log}");
        stopped.push(report.to_owned());
    }
    enough.send_replace(true);
    let sent = load.join_next().await.unwrap().unwrap();
    ledger.has_done(&(0..sent.len() as u32).collect::<Vec<_>>(), PATIENCE).await;
    let (code, log) = steady.stop().await;
    assert!(code == Some(0) && log.contains(", 0 abandoned"), "{log}");

    let runs = ledger.runs();
    let waits = runs.done.iter().map(|(number, done)| *done - sent[*number as usize]);
    let longest = waits.max().unwrap();
    let beyond = runs.beyond_the_first();
    println!("{} events, the longest took {longest:?}, {beyond} ran again", runs.done.len());
    assert!(longest < manner.lease / 2, "{longest:?}");
    assert!(stopped.iter().any(|report| !report.contains(", 0 handed back")), "{stopped:?}");
    assert_eq!(beyond, 0);
    assert!(runs.all.iter().all(|run| run.attempt == 1));
    injects("fault_f1_stops_under_load", &[("SIGTERM", STOPS as usize)]);
}

//! Handlers that publish.

use bus_core::prelude::*;
use tests::jobs::{Does, Echo, Job, Then};
use tests::manner::Manner;
use tokio::sync::mpsc;

use crate::ledger::{Ledger, Runs};
use crate::process::Process;
use crate::{MILLISECOND, PATIENCE, api, injects, is_settled, letters, number, server};

/// There is no outbox yet, which would keep the echo of a run that fails. What holds already: however
/// often a run is repeated, by whichever process, its echo is stored once.
#[tokio::test(flavor = "multi_thread")]
async fn fault_c7_a_run_that_publishes_and_fails_publishes_the_same_again() {
    let (server, transport, bus) = server().await;
    let (url, ledger) = (server.url(), Ledger::default());
    bus.publish(&Echo { number: 1000 }).await.unwrap();
    let manner = Manner { lease: SECOND, delay: 50 * MILLISECOND, ..Manner::default() };
    for number in 0..21 {
        let then = match number {
            10 => Then::AbortFirst,
            20 => Then::Reject,
            _ => Then::FailFirst,
        };
        bus.publish(&Job { number, does: Does::Echo(then) }).await.unwrap();
    }
    let finished = async {
        ledger.has_done(&(0..20).collect::<Vec<_>>(), PATIENCE).await;
        assert_eq!(number(&letters(&transport, 1).await[0]), 20);
        is_settled(&transport).await;
    };
    tokio::pin!(finished);
    loop {
        let worker = Process::start(&url, "one of many", manner, &ledger);
        tokio::select! {
            () = &mut finished => break,
            (code, log) = worker.end() => assert_eq!(code, None, "{log}"),
        }
    }
    let runs = ledger.runs();
    // A process that is killed may add one: what it had noted and not run yet, beside what aborts it.
    let added = (0..20).filter(|number| matches!(*runs.of(*number), [only] if only.attempt == 2));
    let added = added.count();
    println!("{added} added, {} beyond", runs.beyond_the_first());
    assert!(added < manner.concurrency, "{added} runs were counted that nobody heard of");
    assert!(runs.beyond_the_first() + added >= 20);
    let stream = api(&transport, "STREAM.INFO.ECHOES", "").await;
    println!("{} runs, {} echoes", runs.all.len(), stream["state"]["messages"]);
    assert_eq!(stream["state"]["messages"], 21 + 1, "{stream}");
    injects("fault_c7", &[("run failed after its publish", 21)]);
}

/// It is seen by its one correlation, it starves nobody, and its hops are counted: it ends.
#[tokio::test(flavor = "multi_thread")]
async fn fault_c8_a_handler_that_publishes_its_own_event_starves_nobody_and_ends_as_a_dead_letter()
{
    let (server, transport, bus) = server().await;
    let ledger = Ledger::default();
    let (tell, mut told) = mpsc::unbounded_channel();
    let watch = move |job: Job, ctx: Context| {
        let tell = tell.clone();
        let (id, root) = (ctx.id().clone(), ctx.envelope().correlation.clone());
        async move { drop(tell.send((job.number, id, root))) }
    };
    let watcher = Service::new("watcher", bus.clone()).on("watch", watch).start().await.unwrap();
    let worker = Process::ready(&server.url(), "one", Manner::default(), &ledger).await;
    let root = bus.publish(&Job { number: 1000, does: Does::Again }).await.unwrap();
    ledger.until("it goes round", PATIENCE, |runs| runs.done.len() > 50).await;
    let others: Vec<_> = (0..100).map(|number| Job { number, does: Does::Sleep(1) }).collect();
    assert!(bus.publish_all(&others).await.iter().all(Result::is_ok));
    let done = |runs: &Runs| (0..100).all(|number| runs.done.contains_key(&number));
    ledger.until("others are done beside it", PATIENCE, done).await;
    let letter = letters(&transport, 1).await.remove(0);
    assert_eq!((&*letter.failed.class, letter.envelope.hops), ("circle", 1000));
    let (code, log) = worker.stop().await;
    assert!(code == Some(0) && log.contains(", 0 abandoned"), "{log}");
    let mut ids = Vec::new();
    while let Ok((number, id, of)) = told.try_recv() {
        if number >= 1000 {
            assert_eq!(of, root, "its correlation");
            ids.push(id);
        }
    }
    let (all, runs) = (ids.len(), ledger.runs());
    ids.sort();
    ids.dedup();
    println!("{all} times round, {} runs in all", runs.all.len());
    assert!(all == 1001 && ids.len() == all, "{all} times round, each with an id of its own");
    watcher.stop().await;
    injects("fault_c8", &[("event published by its own handler", all)]);
}

//! A group's consumer that somebody deletes.

use bus_core::prelude::*;
use tests::jobs::{Does, Jobs};
use tokio::time::{Instant, sleep};

use crate::ledger::{Ledger, Runs};
use crate::load::Load;
use crate::{MILLISECOND, PATIENCE, connect, dead_letters, injects, server};

#[tokio::test(flavor = "multi_thread")]
async fn fault_b10_a_deleted_consumer_comes_back_by_itself_and_nothing_is_lost() {
    let (server, transport, bus) = server().await;
    let jobs = Jobs { lease: SECOND * 2, concurrency: 4, retry: Retry::DEFAULT };
    let ledger = Ledger::default();
    let mut workers = Vec::new();
    for who in ["one", "two"] {
        let bus = Bus::new(connect(&server.url()).await);
        let service = jobs.service(bus, ledger.of(who));
        workers.push(service.start().await.unwrap());
    }
    let load = Load::start(&bus, 5 * MILLISECOND, |_| Does::Sleep(10));
    let mut settled = 0;
    for stream in ["JOBS", "BUS_RETRY", "JOBS"] {
        sleep(SECOND * 3 / 2).await;
        let before = ledger.runs().all.len();
        let delete = format!("$JS.API.CONSUMER.DELETE.{stream}.jobs_work");
        let answer = transport.client().request(delete, "".into()).await.unwrap();
        assert!(String::from_utf8_lossy(&answer.payload).contains("\"success\":true"));
        let deleted = Instant::now();
        let more = |runs: &Runs| {
            let recent = |who| runs.last(who) > Some(deleted + SECOND / 2);
            recent("one") && recent("two")
        };
        ledger.until("both work again", PATIENCE, more).await;
        let probes = workers.iter().map(|worker| worker.probe().readiness().ready);
        println!("{stream}: {before} runs, both work {:?} after", deleted.elapsed());
        assert_eq!(probes.collect::<Vec<_>>(), [true, true]);
        settled = before;
    }
    let published = load.end().await;
    ledger.has_done(&published.numbers(), PATIENCE).await;
    let (runs, jobs) = (ledger.runs(), published.stored.len());
    let beyond = runs.beyond_the_first();
    println!("{jobs} jobs, {beyond} runs beyond the first, {settled} before the last deletion");
    assert!(beyond < jobs / 2, "{beyond} of {jobs} ran again: it begins far behind its last floor");
    assert!(dead_letters(&transport).await.is_empty());
    for worker in workers {
        assert_eq!(worker.stop().await.abandoned, 0);
    }
    injects("fault_b10", &[("consumer deleted", 3)]);
}

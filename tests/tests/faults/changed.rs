//! A group's consumer that is not as a worker wants it.

use std::time::Duration;

use bus_core::prelude::*;
use serde_json::json;
use tests::jobs::{Does, Job};
use tests::manner::Manner;

use crate::ledger::Ledger;
use crate::load::Load;
use crate::process::Process;
use crate::{MILLISECOND, PATIENCE, api, consumer, dead_letters, injects, is_settled, server};

/// An operator lets the server give up. Who works goes on, and nobody else begins to.
#[tokio::test(flavor = "multi_thread")]
async fn fault_b11_a_consumer_that_was_changed_is_refused_in_words_and_left_alone() {
    let (server, transport, bus) = server().await;
    let (url, ledger) = (server.url(), Ledger::default());
    let first = Process::ready(&url, "first", Manner::default(), &ledger).await;
    let load = Load::start(&bus, 10 * MILLISECOND, |_| Does::Sleep(1));
    ledger.until("it works", PATIENCE, |runs| runs.count("first") > 20).await;
    let mut config = consumer(&transport).await["config"].clone();
    config["max_deliver"] = json!(5);
    let update = json!({ "stream_name": "JOBS", "config": config, "action": "update" });
    let update = update.to_string();
    api(&transport, "CONSUMER.CREATE.JOBS.jobs_work.jobs.due", &update).await;
    let second = Process::start(&url, "second", Manner::default(), &ledger);
    let (code, log) = second.end().await;
    assert_eq!(code, Some(1), "{log}");
    assert!(log.contains("max_deliver is 5, -1 is wanted"), "{log}");
    assert_eq!(consumer(&transport).await["config"]["max_deliver"], 5);
    let worked = ledger.runs().count("first");
    ledger.until("it goes on", PATIENCE, |runs| runs.count("first") > worked + 20).await;
    let published = load.end().await;
    ledger.has_done(&published.numbers(), PATIENCE).await;
    assert_eq!(ledger.runs().beyond_the_first(), 0);
    assert_eq!(first.stop().await.0, Some(0));
    injects("fault_b11_a_consumer_that_was_changed", &[("consumer changed", 1)]);
}

/// What the old build runs when the new one comes, whose lease is another.
async fn joined(old: Duration, new: Duration) -> usize {
    let (server, transport, bus) = server().await;
    let (url, ledger) = (server.url(), Ledger::default());
    let with = |lease| Manner { lease, ..Manner::default() };
    let first = Process::ready(&url, "old", with(old), &ledger).await;
    bus.publish(&Job { number: 0, does: Does::Sleep(3500) }).await.unwrap();
    ledger.until("it runs", PATIENCE, |runs| runs.count("old") == 1).await;
    let second = Process::ready(&url, "new", with(new), &ledger).await;
    let wait = consumer(&transport).await["config"]["ack_wait"].as_u64();
    assert_eq!(wait, u64::try_from(new.as_nanos()).ok());
    is_settled(&transport).await;
    let runs = ledger.runs().of(0).len();
    println!("{old:?}, then {new:?}: {runs} runs");
    assert!(dead_letters(&transport).await.is_empty());
    for worker in [first, second] {
        assert_eq!(worker.stop().await.0, Some(0));
    }
    runs
}

/// A longer lease concerns nobody. Of a shorter one the old build does not learn: what it runs then
/// may be run by the new one too, and is settled all the same.
#[tokio::test(flavor = "multi_thread")]
async fn fault_b11_two_builds_with_other_leases_work_side_by_side() {
    assert_eq!(joined(SECOND, SECOND * 30).await, 1);
    assert!(joined(SECOND * 30, SECOND).await <= 2);
    injects("fault_b11_two_builds_with_other_leases", &[("lease changed", 2)]);
}

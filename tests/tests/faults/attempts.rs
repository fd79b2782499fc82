//! What only waited in a worker that died is not suspected.

use bus_core::prelude::*;
use tests::jobs::Does;
use tests::manner::Manner;
use tokio::time::{Instant, sleep};

use crate::ledger::{Ledger, Run};
use crate::process::Process;
use crate::raw::Tap;
use crate::{MILLISECOND, PATIENCE, consumer, dead_letters, injects, is_settled, publish, server};

/// Workers that hold so many and begin none, and are killed, one after the other.
async fn lives(count: usize, events: u32) {
    let (server, transport, bus) = server().await;
    let (url, ledger) = (server.url(), Ledger::default());
    let manner =
        Manner { lease: SECOND, attempts: 3, concurrency: events as usize, ..Manner::default() };
    let numbers = publish(&bus, events, |_| Does::Sleep(0)).await;
    for life in 0..count {
        let holds = Manner { begins_nothing: true, ..manner };
        let worker = Process::ready(&url, "holds", holds, &ledger).await;
        let begun = Instant::now();
        loop {
            let info = consumer(&transport).await;
            let delivered = info["delivered"]["consumer_seq"].as_u64().unwrap();
            let (held, all) = (info["num_ack_pending"].as_u64(), u64::from(events));
            if held == Some(all) && delivered >= (life as u64 + 1) * all {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "life {life}: {held:?}, {delivered} delivered");
            sleep(20 * MILLISECOND).await;
        }
        worker.kill().await;
    }
    assert!(ledger.runs().all.is_empty());
    let worker = Process::ready(&url, "works", manner, &ledger).await;
    ledger.has_done(&numbers, PATIENCE).await;
    is_settled(&transport).await;
    let (runs, info) = (ledger.runs(), consumer(&transport).await);
    println!("{count} killed, {} deliveries of {events}", info["delivered"]["consumer_seq"]);
    let ran = |number, attempt| runs.of(number).iter().any(|run| run.attempt == attempt);
    let counted = |run: &Run| (1..run.attempt).find(|before| !ran(run.number, *before));
    let waited: Vec<_> = runs.all.iter().filter_map(|run| Some((run, counted(run)?))).collect();
    assert!(waited.is_empty(), "what only waited is counted: {waited:?}");
    let beyond = runs.beyond_the_first();
    assert!(runs.all.iter().all(|run| run.attempt == 1), "{beyond} runs more than one of each");
    assert!(dead_letters(&transport).await.is_empty());
    assert_eq!(worker.stop().await.0, Some(0));
    injects("fault_b1_events_that_only_waited", &[("worker killed", count)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_b1_events_that_only_waited_in_killed_workers_are_never_given_up() {
    lives(4, 1000).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "heavy: ten lives, a minute"]
async fn fault_b1_events_that_only_waited_in_ten_killed_workers_are_never_given_up() {
    lives(10, 4096).await;
}

/// More deliveries than attempts, for its workers go away again and again; and no more runs.
#[tokio::test(flavor = "multi_thread")]
async fn fault_b7_deliveries_are_no_attempts_and_the_server_gives_nothing_up() {
    let (server, transport, bus) = server().await;
    let ledger = Ledger::default();
    let lease = 300 * MILLISECOND;
    let manner = Manner { lease, attempts: 2, concurrency: 64, ..Manner::default() };
    let numbers = publish(&bus, 64, |_| Does::Sleep(1)).await;
    for round in 0..4_u64 {
        let holds = Manner { begins_nothing: true, ..manner };
        let worker = Process::ready(&server.url(), "holds", holds, &ledger).await;
        let begun = Instant::now();
        loop {
            let info = consumer(&transport).await;
            let delivered = info["delivered"]["consumer_seq"].as_u64().unwrap();
            if info["num_ack_pending"] == 64 && delivered >= (round + 1) * 64 {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "{info}");
            sleep(20 * MILLISECOND).await;
        }
        worker.kill().await;
    }
    let tap = Tap::on(&server).await;
    let info = consumer(&transport).await;
    assert_eq!(info["config"]["max_deliver"], -1);
    let worker = Process::ready(&server.url(), "works", manner, &ledger).await;
    ledger.has_done(&numbers, PATIENCE).await;
    is_settled(&transport).await;
    let delivered = consumer(&transport).await["delivered"]["consumer_seq"].as_u64().unwrap();
    println!("{delivered} deliveries of {} events, 2 attempts each", numbers.len());
    assert!(delivered > 2 * 64);
    assert!(ledger.runs().all.iter().all(|run| run.attempt == 1));
    assert!(dead_letters(&transport).await.is_empty());
    let gave_up = |subject: &str| subject.contains("MAX_DELIVERIES");
    assert!(!tap.all().iter().any(|heard| gave_up(heard.subject())));
    assert_eq!(worker.stop().await.0, Some(0));
    injects("fault_b7", &[("worker killed", 4)]);
}

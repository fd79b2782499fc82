//! A backlog that is much larger than a worker's memory should be.

use std::env;

use bus_core::prelude::*;
use bus_core::transport::{Transport, TransportError};
use bus_core::{EventId, Subject};
use bus_nats::NatsTransport;
use tests::jobs::{Does, Job};
use tests::manner::Manner;

use crate::ledger::Ledger;
use crate::process::Process;
use crate::{PATIENCE, injects, is_settled, publish, server};

const MIB: u64 = 1024 * 1024;

/// A worker's memory at most after a few events, and after all of a backlog.
async fn backlog(count: u32) -> (u64, u64) {
    let (server, transport, bus) = server().await;
    let ledger = Ledger::default();
    publish(&bus, count, |_| Does::Sleep(0)).await;
    let manner = Manner { concurrency: 64, ..Manner::default() };
    let worker = Process::ready(&server.url(), "one", manner, &ledger).await;
    ledger.until("some", PATIENCE, |runs| runs.done.len() > 5000).await;
    let early = worker.peak();
    ledger.until("all", PATIENCE * 20, |runs| runs.done.len() == count as usize).await;
    is_settled(&transport).await;
    let late = worker.peak();
    println!("{count} events: {} MiB after 5,000, {} MiB after all", early / MIB, late / MIB);
    assert_eq!(worker.stop().await.0, Some(0));
    injects("fault_c6_backlog", &[("event waited", count as usize)]);
    (early, late)
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_c6_memory_does_not_grow_with_the_backlog() {
    let (early, late) = backlog(30_000).await;
    assert!(late < early + 24 * MIB, "{early} bytes early, {late} late");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "heavy: a million events"]
async fn fault_c6_memory_does_not_grow_with_a_backlog_of_a_million() {
    let count = env::var("BACKLOG").map_or(1_000_000, |count| count.parse().unwrap());
    let (early, late) = backlog(count).await;
    assert!(late < early + 24 * MIB, "{early} bytes early, {late} late");
}

/// A job with more bytes than it needs.
pub(crate) async fn publish_padded(
    transport: &NatsTransport,
    number: u32,
    does: Does,
    pad: usize,
) -> Result<(), TransportError> {
    let job = Job { number, does };
    let mut payload = serde_json::to_value(job).unwrap();
    payload["pad"] = "x".repeat(pad).into();
    let subject = Subject::literal("jobs.due");
    let envelope = Envelope::new(EventId::now(), Job::TYPE, subject, payload.to_string());
    transport.publish(envelope).await
}

/// As much is fetched as is drained in a second, however large it is: a quarter of the 100 MB here.
#[tokio::test(flavor = "multi_thread")]
async fn fault_c6_large_events_are_in_memory_only_while_they_are_in_flight() {
    let (server, transport, _) = server().await;
    let (ledger, count) = (Ledger::default(), 400);
    for number in 0..count {
        publish_padded(&transport, number, Does::Sleep(40), 250 * 1024).await.unwrap();
    }
    let worker = Process::ready(&server.url(), "one", Manner::default(), &ledger).await;
    ledger.until("some", PATIENCE, |runs| runs.done.len() > 4).await;
    let early = worker.peak();
    ledger.has_done(&(0..count).collect::<Vec<_>>(), PATIENCE).await;
    let late = worker.peak();
    println!("{count} events of 250 KiB: {} MiB early, {} MiB late", early / MIB, late / MIB);
    assert!(late < early + 400 * 250 * 1024 / 2, "{early} bytes early, {late} late");
    assert_eq!(worker.stop().await.0, Some(0));
    injects("fault_c6_large_events", &[("large event waited", count as usize)]);
}

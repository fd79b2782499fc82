//! A server that has so much to do that requests for messages wait long for their turn.

use bus_core::prelude::*;
use tests::chaos::injected::Injected;
use tests::chaos::proxy::{Action, Proxy, When};
use tests::jobs::{Does, Jobs};
use tokio::time::{Duration, Instant, sleep};

use crate::ledger::Ledger;
use crate::{PATIENCE, connect, publish, server};

/// Longer than a request is waited for, and also longer than ten seconds more.
const LATE: Duration = Duration::from_secs(13);

const JOBS: u32 = 40;

/// Each answer comes after the member has given its request up. It has to come nevertheless, or the events
/// wait for the end of their lease, and then once more.
#[tokio::test(flavor = "multi_thread")]
async fn fault_b12_what_a_server_sends_very_late_is_handled_when_it_comes() {
    let injected = Injected::begin("fault_b12_late");
    let (server, _, bus) = server().await;
    let proxy = Proxy::start(server.port()).await.unwrap();
    let ledger = Ledger::default();
    let jobs = Jobs { lease: SECOND * 30, concurrency: JOBS as usize, retry: Retry::DEFAULT };
    let worker = jobs.service(Bus::new(connect(&proxy.url()).await), ledger.of("one"));
    let worker = worker.start().await.unwrap();
    let asked = When::to_server().subject("$JS.API.CONSUMER.MSG.NEXT.JOBS.");
    let late = proxy.rule(asked, Action::Late(LATE));
    let begun = Instant::now();
    // None of the requests from before is left.
    sleep(SECOND * 3 / 2).await;
    publish(&bus, JOBS, |_| Does::Sleep(1)).await;
    ledger.has_done(&(0..JOBS).collect::<Vec<_>>(), PATIENCE).await;
    let (took, count) = (begun.elapsed(), late.count());
    println!("{JOBS} jobs are done after {took:?}, {count} requests");
    injected.add("request late", count);
    assert!(took < LATE + 2 * SECOND, "with the first answer: {took:?}");
    assert_eq!(ledger.runs().beyond_the_first(), 0);
    // It is known now how long it takes. A member that asks anew every 1.6 s makes it worse.
    sleep(LATE).await;
    let more = late.count() - count;
    println!("{more} more in {LATE:?}");
    assert!(more <= 6, "of two pulls, {more} requests");
    drop(late);
    assert_eq!(worker.stop().await.abandoned, 0);
}

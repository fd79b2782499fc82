//! Family E of the catalogue: a link that is slow, narrow and loses packets.

use std::time::Duration;

use bus_core::prelude::*;
use tests::chaos::frame::Kind;
use tests::chaos::injected::Injected;
use tests::chaos::proxy::{Action, Proxy, When};
use tests::jobs::{Does, Job, Jobs};
use tokio::time::Instant;

use crate::ledger::Ledger;
use crate::{MILLISECOND, PATIENCE, connect, server};

const JOBS: u32 = 300;

/// A packet that gets lost holds up what follows until it is sent again.
const SENT_AGAIN: Duration = Duration::from_millis(200);

#[tokio::test(flavor = "multi_thread")]
async fn fault_e2_a_bad_link_is_slow_and_nothing_is_lost_or_sent_twice() {
    let injected = Injected::begin("fault_e2");
    let (server, ..) = server().await;
    let proxy = Proxy::start(server.port()).await.unwrap();
    let bus = Bus::new(connect(&proxy.url()).await);
    let jobs = Jobs { lease: SECOND * 4, concurrency: 8, retry: Retry::DEFAULT };
    let ledger = Ledger::default();
    let worker = jobs.service(Bus::new(connect(&proxy.url()).await), ledger.of("one"));
    let worker = worker.start().await.unwrap();

    let random = injected.random();
    proxy.jitter(50 * MILLISECOND, 100 * MILLISECOND, random.clone());
    proxy.throttle(100_000);
    let lost = |when: When| {
        let random = random.clone();
        proxy.rule(when.is(move |_| random.chance(0.05)), Action::Delay(SENT_AGAIN))
    };
    let sent = proxy.rule(When::to_server().kind(Kind::HPub).subject("jobs."), Action::Pass);
    let lost = [lost(When::to_server()), lost(When::to_client())];
    let (begun, mut numbers) = (Instant::now(), Vec::new());
    for first in (0..JOBS).step_by(30) {
        let some: Vec<_> =
            (first..first + 30).map(|number| Job { number, does: Does::Sleep(10) }).collect();
        let stored = bus.publish_all(&some).await;
        assert!(stored.iter().all(Result::is_ok), "{:?}", stored.iter().find(|ack| ack.is_err()));
        assert!(worker.probe().readiness().ready, "slow is not dead");
        numbers.extend(first..first + 30);
    }
    println!("{JOBS} published in {:?}", begun.elapsed());
    ledger.has_done(&numbers, PATIENCE).await;
    println!("all done after {:?}, {} sent", begun.elapsed(), sent.count());
    injected.add("packet delayed", lost.iter().map(|rule| rule.count()).sum());
    assert!(sent.count() <= JOBS as usize + JOBS as usize / 20, "{} sent", sent.count());
    assert!(ledger.runs().beyond_the_first() <= JOBS as usize / 20);
    assert_eq!(proxy.connections(), 2, "no connection was given up");
    proxy.latency(Duration::ZERO);
    proxy.throttle(0);
    drop(lost);
    assert_eq!(worker.stop().await.abandoned, 0);
}

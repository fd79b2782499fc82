//! Family A of the catalogue: no room, on the disk, in the stream, in the server.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use bus_core::prelude::*;
use bus_core::publish::PublishLimits;
use bus_core::transport::{Health, TransportError};
use bus_nats::dev_server::DevServer;
use serde::{Deserialize, Serialize};
use tests::chaos::api::{ask, messages};
use tests::chaos::frame::Kind;
use tests::chaos::injected::Injected;
use tests::chaos::proxy::{Action, Proxy, When};
use tests::chaos::store::{Means, SmallStore};
use tests::jobs::{Does, Job, Jobs};
use tokio::task::block_in_place;
use tokio::time::Instant;

use crate::ledger::Ledger;
use crate::{PATIENCE, connect};

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "bulk.sent")]
struct Bulk {
    text: String,
}

fn bulk(length: usize) -> Bulk {
    Bulk { text: "x".repeat(length) }
}

fn full(error: PublishError) -> String {
    let PublishError::Refused(TransportError::Full { reason }) = error else { panic!("{error}") };
    reason
}

/// The server gives no answer at all, and does not recover before it starts anew.
#[tokio::test(flavor = "multi_thread")]
async fn fault_a6_on_a_full_disk_a_publish_ends_by_its_deadline_and_what_is_stored_is_handled() {
    let injected = Injected::begin("fault_a6");
    let mut small = block_in_place(|| SmallStore::start(24)).unwrap();
    let means = small.means();
    println!("{means:?}");
    if means == Means::FileSize {
        injected.not_tried("a file system that is full, which takes root; a file size instead");
    }
    let url = small.server().url();
    let deadline = SECOND * 4;
    let bus = Bus::new(connect(&url).await);
    let bus = bus.limits(PublishLimits { deadline, ..PublishLimits::default() });
    let jobs: Vec<_> = (0..40).map(|number| Job { number, does: Does::Sleep(100) }).collect();
    assert!(bus.publish_all(&jobs).await.iter().all(Result::is_ok));
    bus.publish(&bulk(1)).await.unwrap();
    let ledger = Ledger::default();
    let manner = Jobs { lease: SECOND * 5, concurrency: 1, retry: Retry::DEFAULT };
    let worker = manner.service(Bus::new(connect(&url).await), ledger.of("one"));
    let worker = worker.start().await.unwrap();
    small.fill().unwrap();
    injected.note("disk filled");
    let begun = Instant::now();
    let lost = bus.publish(&bulk(100_000)).await.unwrap_err();
    println!("{:?}: {lost}", begun.elapsed());
    assert!(begun.elapsed() < deadline + SECOND, "{:?}", begun.elapsed());
    let PublishError::Unknown { id, .. } = lost else { panic!("{lost}") };
    assert!(matches!(&*bus.health().borrow(), Health::Unready { .. }), "it looks healthy");
    ledger.has_done(&(0..40).collect::<Vec<_>>(), PATIENCE).await;
    block_in_place(|| small.free()).unwrap();
    assert_eq!(bus.publish(&bulk(100_000)).id(id.clone()).await.unwrap(), id);
    assert_eq!(*bus.health().borrow(), Health::Ready);
    let more: Vec<_> = (40..60).map(|number| Job { number, does: Does::Sleep(1) }).collect();
    assert!(bus.publish_all(&more).await.iter().all(Result::is_ok));
    ledger.has_done(&(0..60).collect::<Vec<_>>(), PATIENCE).await;
    assert_eq!(worker.stop().await.abandoned, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_a7_a_limit_that_is_reached_is_said_at_once_and_not_tried_again() {
    let injected = Injected::begin("fault_a7");
    let limits = "jetstream { max_file_store: 1MB }\n";
    let server = block_in_place(|| DevServer::start_with(limits)).unwrap();
    let transport = connect(&server.url()).await;
    let stream = |name: &str, more: &str| {
        let subjects = name.to_lowercase();
        (
            format!("STREAM.CREATE.{name}"),
            format!("{{\"name\":\"{name}\",\"subjects\":[\"{subjects}.>\"]{more}}}"),
        )
    };
    let (verb, config) = stream("BULK", ",\"max_bytes\":200000,\"discard\":\"new\"");
    ask(&transport, &verb, &config).await.unwrap();
    let proxy = Proxy::start(server.port()).await.unwrap();
    let bus = Bus::new(connect(&proxy.url()).await);
    let tries = proxy.rule(When::to_server().kind(Kind::HPub), Action::Pass);
    for (limit, says) in [("max_bytes", "maximum bytes"), ("max_file_store", "resource")] {
        let mut stored = 0;
        let (error, took) = loop {
            let (begun, before) = (Instant::now(), tries.count());
            match bus.publish(&bulk(50_000)).await {
                Ok(_) => stored += 1,
                Err(error) => {
                    assert_eq!(tries.count(), before + 1, "it is sent once");
                    break (full(error), begun.elapsed());
                }
            }
            assert!(stored < 100, "{limit} is no limit");
        };
        println!("{limit}: {error} after {stored} in {took:?}");
        assert!(error.contains(says) && took < SECOND, "{error} {took:?}");
        injected.note(limit);
        // Without its own limit the stream grows up to the server's.
        let (_, config) = stream("BULK", ",\"discard\":\"new\"");
        ask(&transport, "STREAM.UPDATE.BULK", &config).await.unwrap();
    }
}

const MAX_PAYLOAD: usize = 8192;

/// Gives every event the same time: it is written without zeros at its end, and so not always as long.
struct OneTime;

#[async_trait]
impl Middleware<Envelope> for OneTime {
    async fn call(
        &self,
        mut envelope: Envelope,
        next: Next<'_, Envelope>,
    ) -> Result<EventId, PublishError> {
        envelope.time = SystemTime::UNIX_EPOCH;
        next.run(envelope).await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_a9_the_largest_message_passes_and_a_byte_more_is_refused_before_it_is_sent() {
    let injected = Injected::begin("fault_a9");
    let lines = format!("max_payload: {MAX_PAYLOAD}\n");
    let server = block_in_place(|| DevServer::start_with(&lines)).unwrap();
    let proxy = Proxy::start(server.port()).await.unwrap();
    let bus = Bus::new(connect(&proxy.url()).await).middleware(OneTime);
    let largest = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&largest);
    let look = When::to_server().subject("bulk.").is(move |frame| {
        let size = frame.headers().len() + frame.payload().len();
        seen.fetch_max(size, Ordering::Relaxed);
        true
    });
    let sent = proxy.rule(look, Action::Pass);
    bus.publish(&bulk(1000)).await.unwrap();
    let beside = largest.load(Ordering::Relaxed) - 1000;
    for (over, fits) in [(-1, true), (0, true), (1, false), (100_000, false)] {
        let (length, before) = (MAX_PAYLOAD - beside, sent.count());
        let result = bus.publish(&bulk(length.checked_add_signed(over).unwrap())).await;
        assert_eq!(sent.count() - before, usize::from(fits), "{over}");
        match result {
            Ok(_) => assert!(fits, "{over}"),
            Err(error) => {
                println!("{over}: {}", full(error));
                assert!(!fits, "{over}");
                injected.note("message too large");
            }
        }
    }
    assert_eq!(largest.load(Ordering::Relaxed), MAX_PAYLOAD, "headers are counted");
    let begun = Instant::now();
    let large = bus.publish(&bulk(300_000)).await.unwrap_err();
    assert!(matches!(large, PublishError::TooLarge { .. }) && large.is_permanent(), "{large}");
    assert!(begun.elapsed() < Duration::from_secs(1));
    assert_eq!(proxy.connections(), 1, "the connection is as it was");
    let direct = connect(&server.url()).await;
    assert_eq!(messages(&direct, "BULK").await.unwrap(), 3);
}

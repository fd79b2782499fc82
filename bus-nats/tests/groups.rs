//! Consumers on a real server: made, joined, refused with the difference, and made again where
//! they were deleted.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::future::poll_fn;
use std::time::{Duration, SystemTime};

use async_nats::jetstream::consumer::{AckPolicy, Info, pull, push};
use async_nats::jetstream::stream::Config as Stream;
use async_nats::jetstream::{self, Context};
use bus_core::delivery::Delivery;
use bus_core::prelude::*;
use bus_core::settle::{Failed, Reason, Settlement};
use bus_core::subject::Filter;
use bus_core::transport::{Deliveries, Group, GroupName, Plan, Start, Transport, TransportError};
use bus_core::{EventId, Subject};
use bus_nats::dev_server::DevServer;
use bus_nats::{NatsConfig, NatsTransport, Provision};
use tokio::time::timeout;

struct Bench {
    server: DevServer,
    raw: Context,
}

impl Bench {
    async fn new() -> Self {
        let server = DevServer::start().unwrap();
        let raw = jetstream::new(async_nats::connect(server.url()).await.unwrap());
        Self { server, raw }
    }

    async fn connect(&self, provision: Provision) -> NatsTransport {
        let servers = vec![self.server.url()];
        NatsTransport::connect(NatsConfig { servers, provision, ..NatsConfig::default() })
            .await
            .unwrap()
    }

    async fn info(&self, stream: &str) -> Info {
        let consumer = self.raw.get_consumer_from_stream::<pull::Config, _, _>(NAME, stream).await;
        consumer.unwrap().cached_info().clone()
    }
}

const NAME: &str = "billing_charge";

fn group() -> Group {
    let filter = Filter::parse("orders.*.placed").unwrap();
    Group::new(GroupName::new("billing", "charge").unwrap(), filter)
}

async fn publish(transport: &NatsTransport, numbers: impl Iterator<Item = u32>) {
    for number in numbers {
        let subject = Subject::parse("orders.eu.placed").unwrap();
        let envelope = Envelope::new(EventId::now(), "placed", subject, number.to_string());
        transport.publish(envelope).await.unwrap();
    }
}

async fn next(deliveries: &mut Box<dyn Deliveries>) -> Option<Delivery> {
    let next = poll_fn(|cx| deliveries.poll_next(cx));
    timeout(Duration::from_secs(20), next).await.unwrap_or_else(|_| panic!("nothing arrived"))
}

/// The numbers of this many events, each acked.
async fn handle(deliveries: &mut Box<dyn Deliveries>, count: usize) -> Vec<u32> {
    let mut numbers = Vec::new();
    while numbers.len() < count {
        let delivery = next(deliveries).await.unwrap();
        numbers.push(std::str::from_utf8(&delivery.envelope().payload).unwrap().parse().unwrap());
        delivery.settle(Settlement::Ack).await.unwrap();
    }
    numbers
}

/// A member of a group that has done ten events, and whose process knows it.
async fn done_with_ten(transport: &NatsTransport) -> Box<dyn Deliveries> {
    publish(transport, 0..10).await;
    let mut deliveries = transport.subscribe(group()).await.unwrap();
    handle(&mut deliveries, 10).await;
    deliveries.stop();
    poll_fn(|cx| deliveries.poll_flush(cx)).await.unwrap();
    transport.subscribe(group()).await.unwrap()
}

fn refusal<T>(result: Result<T, TransportError>) -> String {
    match result {
        Err(TransportError::Unsupported { reason }) => reason,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was not refused"),
    }
}

#[tokio::test]
async fn a_group_has_two_consumers_that_count_nothing() {
    let bench = Bench::new().await;
    let transport = bench.connect(Provision::Create).await;
    drop(transport.subscribe(group()).await.unwrap());
    for (stream, filter) in
        [("ORDERS", "orders.*.placed"), ("BUS_RETRY", "BUS.copies.billing_charge.>")]
    {
        let Info { config, .. } = bench.info(stream).await;
        assert_eq!(config.filter_subject, filter);
        assert_eq!((config.max_deliver, config.ack_wait), (-1, Duration::from_secs(30)));
        assert_eq!((config.ack_policy, config.max_ack_pending), (AckPolicy::Explicit, 200_000));
        assert!(config.backoff.is_empty() && config.metadata.contains_key("bus-managed"));
    }
}

#[tokio::test]
async fn a_consumer_that_differs_is_refused_field_by_field_and_left_as_it_was() {
    let bench = Bench::new().await;
    let transport = bench.connect(Provision::Create).await;
    let stream =
        Stream { name: "ORDERS".into(), subjects: vec!["orders.>".into()], ..Stream::default() };
    bench.raw.create_stream(stream).await.unwrap();
    let theirs = pull::Config {
        durable_name: Some(NAME.into()),
        filter_subject: "orders.>".into(),
        ack_policy: AckPolicy::Explicit,
        max_deliver: 5,
        ..pull::Config::default()
    };
    bench.raw.create_consumer_on_stream(theirs, "ORDERS").await.unwrap();
    let before = bench.info("ORDERS").await.config;
    let reason = refusal(transport.subscribe(group()).await);
    for difference in [
        "the consumer `billing_charge` of the stream `ORDERS`",
        "filter_subject is \"orders.>\", \"orders.*.placed\" is wanted",
        "max_deliver is 5, -1 is wanted",
    ] {
        assert!(reason.contains(difference), "{reason}");
    }
    assert_eq!(bench.info("ORDERS").await.config, before);
}

#[tokio::test]
async fn somebody_elses_push_consumer_is_not_taken_over() {
    let bench = Bench::new().await;
    let transport = bench.connect(Provision::Create).await;
    publish(&transport, 0..1).await;
    let theirs = push::Config {
        durable_name: Some(NAME.into()),
        deliver_subject: "elsewhere".into(),
        ..push::Config::default()
    };
    bench.raw.create_consumer_on_stream(theirs, "ORDERS").await.unwrap();
    assert!(refusal(transport.subscribe(group()).await).contains("is no pull consumer"));
}

#[tokio::test]
async fn what_we_made_ourselves_follows_a_new_build_and_is_only_compared_in_production() {
    let bench = Bench::new().await;
    let transport = bench.connect(Provision::Create).await;
    drop(transport.subscribe(group()).await.unwrap());
    let mut longer = group();
    longer.lease = Duration::from_secs(60);
    let strict = bench.connect(Provision::Verify).await;
    let reason = refusal(strict.subscribe(longer.clone()).await);
    assert!(reason.contains("ack_wait is 30s, 60s is wanted"), "{reason}");
    drop(transport.subscribe(longer.clone()).await.unwrap());
    assert_eq!(bench.info("ORDERS").await.config.ack_wait, Duration::from_secs(60));
    drop(strict.subscribe(longer).await.unwrap());
}

#[tokio::test]
async fn where_nothing_may_be_made_what_is_missing_is_named() {
    let bench = Bench::new().await;
    let strict = bench.connect(Provision::Verify).await;
    let missing = strict.subscribe(group()).await.err().unwrap();
    assert!(matches!(missing, TransportError::NoStream { .. }), "{missing}");
    let transport = bench.connect(Provision::Create).await;
    publish(&transport, 0..1).await;
    assert!(refusal(strict.subscribe(group()).await).contains("the stream `BUS_RETRY` is missing"));
    transport.survey(&Plan::new("billing", Vec::new())).await.unwrap();
    let reason = refusal(strict.subscribe(group()).await);
    assert!(reason.contains("has no consumer `billing_charge`"), "{reason}");
}

#[tokio::test]
async fn a_stream_of_our_name_for_other_subjects_is_not_ours() {
    let bench = Bench::new().await;
    let stream =
        Stream { name: "ORDERS".into(), subjects: vec!["other.>".into()], ..Stream::default() };
    bench.raw.create_stream(stream).await.unwrap();
    let transport = bench.connect(Provision::Create).await;
    let reason = refusal(transport.subscribe(group()).await);
    assert!(
        reason.contains("there is a stream `ORDERS` that does not take `orders.>`"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_deleted_consumer_goes_on_behind_what_is_known_to_be_done() {
    let bench = Bench::new().await;
    let transport = bench.connect(Provision::Create).await;
    let mut deliveries = done_with_ten(&transport).await;
    bench.raw.delete_consumer_from_stream(NAME, "ORDERS").await.unwrap();
    assert!(next(&mut deliveries).await.is_none(), "the end of a subscription is told");
    publish(&transport, 10..15).await;
    let mut now = group();
    now.start = Start::Now;
    let mut deliveries = transport.subscribe(now).await.unwrap();
    assert_eq!(handle(&mut deliveries, 5).await, [10, 11, 12, 13, 14]);
}

#[tokio::test]
async fn a_stream_that_was_made_anew_is_read_from_its_beginning() {
    let bench = Bench::new().await;
    let transport = bench.connect(Provision::Create).await;
    let mut deliveries = done_with_ten(&transport).await;
    bench.raw.delete_stream("ORDERS").await.unwrap();
    assert!(next(&mut deliveries).await.is_none(), "the end of a subscription is told");
    publish(&transport, 20..23).await;
    let mut now = group();
    now.start = Start::Now;
    let mut deliveries = transport.subscribe(now).await.unwrap();
    assert_eq!(handle(&mut deliveries, 3).await, [20, 21, 22]);
}

#[tokio::test]
async fn a_stream_that_was_made_anew_has_its_own_dead_letters_and_attempts() {
    let bench = Bench::new().await;
    let transport = bench.connect(Provision::Create).await;
    for round in 0..2_u32 {
        publish(&transport, round..round + 1).await;
        let mut deliveries = transport.subscribe(group()).await.unwrap();
        for attempts in 0..2 {
            let delivery = next(&mut deliveries).await.unwrap();
            assert_eq!((delivery.history().attempts, round), (attempts, round));
            delivery.begin().await.unwrap();
            let failed = Failed::new("away", "away", attempts + 1, SystemTime::now());
            let after = Duration::ZERO;
            let settlement = match attempts {
                0 => Settlement::Retry { after, failed },
                _ => Settlement::DeadLetter { reason: Reason::Exhausted, failed },
            };
            delivery.settle(settlement).await.unwrap();
        }
        drop(deliveries);
        bench.raw.delete_stream("ORDERS").await.unwrap();
    }
    let letters = transport.operator().unwrap().dead_letters(None, 10).await.unwrap();
    let payloads: Vec<_> = letters.iter().map(|letter| &*letter.envelope.payload).collect();
    assert_eq!(payloads, [b"0", b"1"]);
}

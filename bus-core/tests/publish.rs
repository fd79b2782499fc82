//! Publishing: what is sealed into the envelope, what is refused, and what is not known.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bus_core::answer::Answer;
use bus_core::envelope::{InvalidHeader, MAX_HEADERS};
use bus_core::memory::{Memory, MemoryConfig};
use bus_core::prelude::*;
use bus_core::publish::PublishLimits;
use bus_core::testing::{Fact, TestBus};
use bus_core::transport::{Deliveries, Group, Health, Transport, TransportError};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

#[derive(Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(subject = "orders.{region}.placed", version = 2)]
struct OrderPlaced {
    region: String,
    #[event(key)]
    customer: u64,
    lines: Vec<Line>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    price: u32,
}

fn order(customer: u64) -> OrderPlaced {
    OrderPlaced { region: "eu west".into(), customer, lines: vec![Line { price: 5 }] }
}

fn envelopes(test: &TestBus) -> Vec<Arc<Envelope>> {
    let published = |fact| match fact {
        Fact::Published { envelope, duplicate: false } => Some(envelope),
        _ => None,
    };
    test.history().into_iter().filter_map(published).collect()
}

#[tokio::test]
async fn an_envelope_says_all_that_the_event_and_the_publisher_said() {
    let test = TestBus::new();
    let story = EventId::parse("story-1").unwrap();
    let publish = test.bus().source("web").publish(&order(7));
    let id = publish.header("Tenant", "acme").header("tenant", "ACME").correlation(story.clone());
    let id = id.await.unwrap();
    let envelope = &envelopes(&test)[0];
    assert_eq!(envelope.id, id);
    assert_eq!((&*envelope.type_name, envelope.version), ("orders.placed", 2));
    assert_eq!((&*envelope.source, envelope.subject.as_str()), ("web", "orders.eu%20west.placed"));
    assert_eq!((envelope.key.as_deref(), &envelope.correlation), (Some("7"), &story));
    assert_eq!((&envelope.causation, &*envelope.content_type), (&None, "application/json"));
    assert_eq!(envelope.headers.iter().collect::<Vec<_>>(), [("tenant", "ACME")]);
    assert_eq!(&*envelope.payload, br#"{"region":"eu west","customer":7,"lines":[{"price":5}]}"#);
}

#[tokio::test]
async fn a_root_event_begins_its_own_story_also_under_an_id_that_was_given() {
    let test = TestBus::new();
    let own = EventId::parse("order-7").unwrap();
    test.bus().publish(&order(7)).id(own.clone()).await.unwrap();
    test.bus().publish(&order(8)).key("k").await.unwrap();
    let envelopes = envelopes(&test);
    assert_eq!((&envelopes[0].id, &envelopes[0].correlation), (&own, &own));
    assert_eq!(envelopes[1].id, envelopes[1].correlation);
    assert_eq!(envelopes[1].key.as_deref(), Some("k"));
}

#[tokio::test]
async fn the_same_id_is_stored_once_and_is_a_success_each_time() {
    let test = TestBus::new();
    let id = test.bus().publish(&order(7)).await.unwrap();
    assert_eq!(test.bus().publish(&order(7)).id(id.clone()).await.unwrap(), id);
    assert_eq!(test.published::<OrderPlaced>().len(), 1);
}

#[tokio::test]
async fn what_can_not_travel_is_refused_before_it_is_sent() {
    let test = TestBus::new();
    let bus = test.bus();
    for (name, value) in [
        ("Nats-Msg-Id", "1"),
        ("ce-id", "1"),
        ("BUS-attempt", "1"),
        ("Content-Type", "x"),
        ("", "x"),
        ("a b", "x"),
        ("a:b", "x"),
        ("ä", "x"),
        ("x", "a\r\nNats-Rollup: all"),
        ("x", "a\nb"),
        ("x", "\0"),
        ("x", " padded"),
    ] {
        let error = bus.publish(&order(1)).header(name, value).await.unwrap_err();
        assert!(matches!(error, PublishError::Header(_)), "{name:?}: {value:?}: {error:?}");
    }
    let many = (0..=MAX_HEADERS)
        .fold(bus.publish(&order(1)), |publish, n| publish.header(format!("h{n}"), ""));
    let error = many.await.unwrap_err();
    assert!(matches!(error, PublishError::Header(InvalidHeader::TooMany { .. })), "{error:?}");
    let error = bus.publish(&order(1)).header("x", "y".repeat(9000)).await.unwrap_err();
    assert!(matches!(error, PublishError::Header(InvalidHeader::TooManyBytes { .. })), "{error:?}");
    let long = OrderPlaced { region: "x".repeat(300), ..order(1) };
    let error = bus.publish(&long).await.unwrap_err();
    assert!(matches!(error, PublishError::Subject(_)), "{error:?}");
    let small = bus.limits(PublishLimits { payload: 10, ..PublishLimits::default() });
    let error = small.publish(&order(1)).await.unwrap_err();
    assert!(matches!(error, PublishError::TooLarge { limit: 10, .. }), "{error:?}");
    assert!(error.is_permanent());
    assert_eq!(test.published::<OrderPlaced>(), []);
}

#[tokio::test]
async fn a_batch_is_sent_in_order_and_answered_in_order() {
    let test = TestBus::new();
    let bus = test.bus().limits(PublishLimits { in_flight: 7, ..PublishLimits::default() });
    let mut orders: Vec<_> = (0..100).map(order).collect();
    orders[50].region = "x".repeat(300);
    let results = bus.publish_all(&orders).await;
    let failed: Vec<_> = (0..100).filter(|at| results[*at].is_err()).collect();
    assert_eq!(failed, [50]);
    let ids: Vec<_> = results.into_iter().flatten().collect();
    assert_eq!(
        ids,
        envelopes(&test).iter().map(|envelope| envelope.id.clone()).collect::<Vec<_>>()
    );
    orders.remove(50);
    assert_eq!(test.published::<OrderPlaced>(), orders);
}

/// Answers as it is told to, and counts how much is under way.
struct Slow {
    answer: fn() -> Answer<Result<(), TransportError>>,
    begun: Arc<AtomicUsize>,
    health: watch::Sender<Health>,
}

impl Slow {
    fn bus(answer: fn() -> Answer<Result<(), TransportError>>) -> (Bus, Arc<AtomicUsize>) {
        let begun = Arc::new(AtomicUsize::new(0));
        let health = watch::Sender::new(Health::Ready);
        (Bus::new(Self { answer, begun: Arc::clone(&begun), health }), begun)
    }
}

#[async_trait]
impl Transport for Slow {
    fn publish(&self, _: Envelope) -> Answer<Result<(), TransportError>> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        (self.answer)()
    }

    async fn subscribe(&self, _: Group) -> Result<Box<dyn Deliveries>, TransportError> {
        Err(TransportError::Unsupported { reason: "it only publishes".into() })
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }
}

#[tokio::test]
async fn what_is_polled_in_order_is_sent_in_order_however_much_it_is() {
    let test = TestBus::new();
    let bus = test.bus().limits(PublishLimits { in_flight: 5000, ..PublishLimits::default() });
    let orders: Vec<_> = (0..3000).map(order).collect();
    assert!(bus.publish_all(&orders).await.iter().all(Result::is_ok));
    assert_eq!(test.published::<OrderPlaced>(), orders);
}

#[tokio::test(start_paused = true)]
async fn no_answer_is_unknown_and_names_the_id_to_use_again() {
    let (bus, _) = Slow::bus(|| Answer::later(std::future::pending()));
    let error = bus.publish(&order(7)).id(EventId::parse("again").unwrap()).await.unwrap_err();
    let PublishError::Unknown { id, .. } = &error else { panic!("{error:?}") };
    assert_eq!(id.to_string(), "again");
    assert!(!error.is_permanent());
    let (bus, _) = Slow::bus(|| Answer::now(Err(TransportError::Unknown { reason: "cut".into() })));
    let error = bus.publish(&order(7)).await.unwrap_err();
    assert!(matches!(error, PublishError::Unknown { .. }), "{error:?}");
}

#[tokio::test]
async fn a_definite_no_is_not_unknown() {
    let memory = Memory::with(MemoryConfig {
        domains: Some(vec!["billing".into()]),
        ..MemoryConfig::default()
    });
    let error = memory.bus().publish(&order(7)).await.unwrap_err();
    let PublishError::Refused(TransportError::NoStream { subject }) = &error else {
        panic!("{error:?}")
    };
    assert_eq!(subject, "orders.eu%20west.placed");
}

#[tokio::test(start_paused = true)]
async fn no_more_is_under_way_than_the_limit_and_the_rest_says_that_nothing_was_sent() {
    for limits in [
        PublishLimits { in_flight: 3, ..PublishLimits::default() },
        PublishLimits { in_flight_bytes: 3 * 60, ..PublishLimits::default() },
    ] {
        let (bus, begun) = Slow::bus(|| Answer::later(std::future::pending()));
        let bus = bus.limits(limits);
        let results = futures_util::future::join_all((0..5).map(|n| bus.publish(&order(n)))).await;
        let count = |wanted: fn(&PublishError) -> bool| {
            results.iter().filter(|result| result.as_ref().is_err_and(wanted)).count()
        };
        assert_eq!(begun.load(Ordering::SeqCst), 3, "{results:?}");
        assert_eq!(count(|error| matches!(error, PublishError::Unknown { .. })), 3);
        assert_eq!(count(|error| matches!(error, PublishError::Busy { .. })), 2);
    }
}

#[tokio::test(start_paused = true)]
async fn a_full_backlog_holds_the_publisher_back_and_then_refuses() {
    let config =
        MemoryConfig { backlog: 2, patience: Duration::from_secs(3), ..MemoryConfig::default() };
    let memory = Memory::seeded(config, 1);
    let group = Group::new(
        bus_core::transport::GroupName::new("billing", "charge").unwrap(),
        OrderPlaced::SUBJECT.filter(),
    );
    let mut deliveries = memory.subscribe(group).await.unwrap();
    let bus = memory.bus();
    for n in 0..2 {
        bus.publish(&order(n)).await.unwrap();
    }
    let start = tokio::time::Instant::now();
    let error = bus.publish(&order(2)).await.unwrap_err();
    assert!(matches!(error, PublishError::Refused(TransportError::Full { .. })), "{error:?}");
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    // Room that is made while a publisher waits is taken at once.
    let (published, ()) = tokio::join!(bus.publish(&order(3)), async {
        let delivery = std::future::poll_fn(|cx| deliveries.poll_next(cx)).await.unwrap();
        delivery.settle(bus_core::settle::Settlement::Ack).await.unwrap();
    });
    published.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(3));
}

#[test]
fn a_decode_error_names_the_field() {
    let error = Json::decode::<OrderPlaced>(
        br#"{"region":"eu","customer":1,"lines":[{"price":5},{"price":"x"}]}"#,
    );
    let error = error.unwrap_err();
    assert_eq!(error.path.as_deref(), Some("lines[1].price"));
    assert!(error.to_string().starts_with("at `lines[1].price`: invalid type"), "{error}");
    let error = Json::decode::<OrderPlaced>(b"{").unwrap_err();
    assert!(error.to_string().contains("EOF"), "{error}");
    let deep = [b"[".repeat(100_000), b"]".repeat(100_000)].concat();
    let error = Json::decode::<serde_json::Value>(&deep).unwrap_err();
    assert!(error.to_string().contains("recursion limit"), "{error}");
}

#[derive(Debug, Deserialize)]
enum Currency {
    Euro,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Paid {
    _cents: u32,
    _currency: Currency,
    #[serde(default)]
    _limits: BTreeMap<String, u32>,
    #[serde(deserialize_with = "refused")]
    _card: (),
}

fn refused<'de, D: serde::Deserializer<'de>>(from: D) -> Result<(), D::Error> {
    let card = String::deserialize(from)?;
    Err(serde::de::Error::custom(format!("no card like {card}, expected 5105")))
}

#[test]
fn a_decode_error_quotes_no_value() {
    for (json, says) in [
        (r#"{"_cents":"5105"}"#, "at `_cents`: invalid type, expected u32 at line 1 column 16"),
        (r#"{"_cents":"a, expected 5105"}"#, "at `_cents`: invalid type, expected u32 at line 1"),
        (r#"{"_cents":-5105}"#, "at `_cents`: invalid value, expected u32 at line 1"),
        (r#"{"_currency":"5105"}"#, "at `_currency`: unknown variant, expected `Euro`"),
        (r#"{"more":5105}"#, "at `more`: unknown field, expected one of `_cents`"),
        (r#"{"_card":"5105"}"#, "at `_card`: does not fit at line 1"),
        (r#"{"_limits":{"a@5105.org":"x"}}"#, "at `_limits.?`: invalid type, expected u32"),
        (r#"{"_cents":1}"#, "missing field `_currency`"),
        (r#"{"_cents":1,"_cents":1}"#, "duplicate field `_cents`"),
    ] {
        let error = Json::decode::<Paid>(json.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(says) && !error.contains("5105"), "{json}: {error}");
    }
}

proptest! {
    #[test]
    fn a_header_that_is_taken_can_travel(name in "\\PC{0,12}|[a-zA-Z-]{1,12}", value in any::<String>()) {
        let mut headers = Headers::new();
        if headers.insert(name.as_str(), value.as_str()).is_ok() {
            prop_assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'));
            let lower = name.to_lowercase();
            prop_assert!(!["nats-", "ce-", "bus-"].iter().any(|prefix| lower.starts_with(prefix)));
            prop_assert!(!value.contains(['\r', '\n', '\0']));
            prop_assert_eq!(headers.get(&name.to_uppercase()), Some(value.as_str()));
        }
    }

    #[test]
    fn reserved_names_never_arrive_as_a_publishers_own(prefix in "([nN][aA][tT][sS]|[cC][eE]|[bB][uU][sS])-", rest in "\\PC{0,20}") {
        let mut headers = Headers::new();
        let name = format!("{prefix}{rest}");
        prop_assert!(headers.receive(&name, "x").is_err() && headers.insert(name, "x").is_err());
        prop_assert!(headers.is_empty());
    }

    #[test]
    fn an_id_is_read_back_as_it_was_written(text in "\\PC{1,60}") {
        let id = EventId::parse(&text).unwrap();
        prop_assert_eq!(id.to_string(), text);
        let ours = EventId::now();
        prop_assert_eq!(EventId::parse(&ours.to_string()).unwrap(), ours);
    }
}

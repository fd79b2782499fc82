//! Events that wait for their time: through the bus, in memory, and by a clock that is moved by hand.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bus_core::memory::{Memory, MemoryConfig};
use bus_core::operator::Operator;
use bus_core::prelude::*;
use bus_core::testing::{Fact, TestBus, TestContext};
use bus_core::transport::{GroupName, TransportError};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

#[derive(Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(subject = "orders.placed")]
struct Placed {
    order: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(subject = "orders.{region}.reminder")]
struct Reminder {
    region: String,
    order: u32,
}

fn reminder(order: u32) -> Reminder {
    Reminder { region: "eu".into(), order }
}

#[handler]
async fn remind_later(placed: Placed, ctx: Context) -> HandlerResult {
    ctx.publish(&reminder(placed.order)).after(24 * HOUR).await?;
    Ok(())
}

#[handler]
async fn remind(_: Reminder) {}

fn refusal(refused: Result<EventId, PublishError>) -> TransportError {
    match refused.unwrap_err() {
        PublishError::Refused(error) => error,
        error => unreachable!("{error}"),
    }
}

#[tokio::test]
async fn moving_the_clock_brings_what_waits() {
    let test = TestBus::new();
    let service = Service::new("shop", test.bus()).handlers(handlers![remind_later, remind]);
    test.start(service).await.unwrap();
    test.publish(&Placed { order: 7 }).settled().await.unwrap();
    assert_eq!((test.handled("remind-later"), test.handled("remind")), (1, 0));
    assert_eq!(test.published::<Reminder>(), [reminder(7)], "it is stored while it waits");
    let due = |fact: &Fact| matches!(fact, Fact::Delayed { due, .. } if *due == 24 * HOUR);
    assert!(test.history().iter().any(due), "{:?}", test.history());
    test.advance(24 * HOUR - Duration::from_nanos(1)).await;
    assert_eq!(test.handled("remind"), 0);
    test.advance(Duration::from_nanos(1)).await;
    assert_eq!(test.handled("remind"), 1);
}

#[tokio::test]
async fn a_story_is_finished_when_what_waits_has_come() {
    let test = TestBus::new();
    let service = Service::new("shop", test.bus()).handlers(handlers![remind_later, remind]);
    test.start(service).await.unwrap();
    test.publish(&Placed { order: 7 }).finished().await.unwrap();
    assert_eq!(test.handled("remind"), 1);
    test.publish(&reminder(8)).with(|publish| publish.after(HOUR)).finished().await.unwrap();
    assert_eq!(test.handled("remind"), 2);
}

#[tokio::test]
async fn a_handler_takes_back_what_another_one_published() {
    async fn cancel(placed: Placed, ctx: Context) -> HandlerResult {
        let id = EventId::parse(&format!("reminder-{}", placed.order))?;
        if !ctx.cancel::<Reminder>(&id).await? {
            return Err(HandlerError::reject("it came before"));
        }
        Ok(())
    }

    let test = TestBus::new();
    let service = Service::new("shop", test.bus()).on("cancel", cancel).handlers(handlers![remind]);
    test.start(service).await.unwrap();
    for order in [7, 8] {
        let id = EventId::parse(&format!("reminder-{order}")).unwrap();
        test.bus().publish(&reminder(order)).id(id).after(HOUR).await.unwrap();
    }
    test.publish(&Placed { order: 7 }).settled().await.unwrap();
    test.advance(HOUR).await;
    test.publish(&Placed { order: 8 }).settled().await.unwrap();
    assert_eq!((test.handled("cancel"), test.dead_letters("cancel").len()), (1, 1));
    assert_eq!(test.handled("remind"), 1);
}

#[tokio::test]
async fn without_any_group_the_clock_moves_as_well() {
    let test = TestBus::new();
    let id = test.bus().publish(&reminder(7)).after(HOUR).await.unwrap();
    test.advance(2 * HOUR).await;
    assert!(!test.bus().cancel::<Reminder>(&id).await.unwrap(), "it has come");
    test.start(Service::new("shop", test.bus()).handlers(handlers![remind])).await.unwrap();
    test.settled().await;
    assert_eq!(test.handled("remind"), 1);
}

#[tokio::test]
async fn a_run_that_is_repeated_publishes_the_same_id_also_for_later() {
    let test = TestBus::new();
    let service = Service::new("shop", test.bus()).handlers(handlers![remind_later, remind]);
    test.start(service).await.unwrap();
    test.assert_idempotent("remind-later", &Placed { order: 7 }).await;
    let context = TestContext::new(&Placed { order: 7 }).unwrap();
    let (now, later) = (context.context(), context.context());
    let later = later.publish(&reminder(7)).after(HOUR).at(SystemTime::now());
    assert_eq!(now.publish(&reminder(7)).event_id(), later.event_id());
}

#[tokio::test]
async fn a_cancel_is_for_what_waits_in_the_domain_of_the_event() {
    #[derive(Serialize, Deserialize, Event)]
    #[event(subject = "mails.sent")]
    struct Sent;

    let bus = Bus::in_memory();
    let id = bus.publish(&reminder(7)).after(HOUR).await.unwrap();
    assert!(!bus.cancel::<Sent>(&id).await.unwrap(), "nothing of that domain waits");
    assert!(bus.cancel::<Reminder>(&id).await.unwrap());
    assert!(!bus.cancel::<Reminder>(&id).await.unwrap());
}

#[tokio::test]
async fn what_waits_is_bounded() {
    let bus = Memory::with(MemoryConfig { delayed: 1, ..MemoryConfig::default() }).bus();
    let first = bus.publish(&reminder(1)).after(HOUR).await.unwrap();
    let error = refusal(bus.publish(&reminder(2)).after(HOUR).await);
    let reason = "1 events wait for their time already".to_owned();
    assert_eq!(error, TransportError::Full { reason });
    bus.publish(&reminder(1)).id(first.clone()).after(HOUR).await.unwrap();
    assert!(bus.cancel::<Reminder>(&first).await.unwrap());
    bus.publish(&reminder(2)).after(HOUR).await.unwrap();
}

#[tokio::test]
async fn a_time_that_never_comes_is_refused_and_a_far_one_is_kept() {
    let bus = Bus::in_memory();
    let error = refusal(bus.publish(&reminder(1)).after(Duration::MAX).await);
    assert!(matches!(error, TransportError::Unsupported { .. }), "{error}");
    let id = bus.publish(&reminder(1)).after(1_000_000 * HOUR).await.unwrap();
    assert!(bus.cancel::<Reminder>(&id).await.unwrap());
}

/// Counts what passes, and takes a second for it.
struct Slow(Arc<AtomicU32>);

#[async_trait]
impl Middleware<Envelope> for Slow {
    async fn call(
        &self,
        envelope: Envelope,
        next: Next<'_, Envelope>,
    ) -> Result<EventId, PublishError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        tokio::time::sleep(SECOND).await;
        next.run(envelope).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_delay_counts_from_the_sending_behind_all_middleware() {
    let (passed, seen) = (Arc::new(AtomicU32::new(0)), Arc::new(Mutex::new(None)));
    let memory = Memory::seeded(MemoryConfig::default(), 1);
    let bus = memory.bus().middleware(Slow(Arc::clone(&passed)));
    let look = Arc::clone(&seen);
    let note = move |_: Reminder, ctx: Context| {
        let came = (Instant::now(), ctx.envelope().time);
        *look.lock().unwrap() = Some(came);
        async { HandlerResult::Ok(()) }
    };
    let running = Service::new("shop", bus.clone()).on("note", note).start().await.unwrap();
    let (begun, publish) = (Instant::now(), bus.publish(&reminder(7)).after(10 * SECOND));
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
    publish.await.unwrap();
    assert_eq!((begun.elapsed(), passed.load(Ordering::SeqCst)), (Duration::from_millis(1000), 1));
    let group = GroupName::new("shop", "note").unwrap();
    assert_eq!(memory.lag(&group).await.unwrap().behind(), 0);
    tokio::time::sleep(11 * SECOND).await;
    let (came, published) = seen.lock().unwrap().unwrap();
    assert_eq!((came - begun).as_secs(), 11);
    assert_eq!(published, time, "the time is that of the call");
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_due_comes_also_where_the_backlog_is_full() {
    let config = MemoryConfig { backlog: 1, patience: Duration::ZERO, ..MemoryConfig::default() };
    let memory = Memory::seeded(config, 1);
    let bus = memory.bus();
    let running =
        Service::new("shop", bus.clone()).handlers(handlers![remind]).start().await.unwrap();
    running.stop().await;
    bus.publish(&reminder(1)).after(SECOND).await.unwrap();
    bus.publish(&reminder(2)).await.unwrap();
    assert!(matches!(refusal(bus.publish(&reminder(3)).await), TransportError::Full { .. }));
    tokio::time::sleep(SECOND).await;
    let lag = memory.lag(&GroupName::new("shop", "remind").unwrap()).await.unwrap();
    assert_eq!(lag.waiting, 2);
}

#[tokio::test(start_paused = true)]
async fn an_id_that_was_taken_back_is_spent_inside_the_window() {
    let config = MemoryConfig { duplicate_window: 10 * SECOND, ..MemoryConfig::default() };
    let bus = Memory::seeded(config, 1).bus();
    let id = bus.publish(&reminder(7)).after(HOUR).await.unwrap();
    assert!(bus.cancel::<Reminder>(&id).await.unwrap());
    bus.publish(&reminder(7)).id(id.clone()).after(HOUR).await.unwrap();
    assert!(!bus.cancel::<Reminder>(&id).await.unwrap(), "it was a duplicate");
    tokio::time::sleep(10 * SECOND).await;
    bus.publish(&reminder(7)).id(id.clone()).after(HOUR).await.unwrap();
    assert!(bus.cancel::<Reminder>(&id).await.unwrap());
}

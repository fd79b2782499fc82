//! The test bus itself: it neither hangs nor comes back too early.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use bus_core::prelude::*;
use bus_core::testing::TestBus;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::time::timeout;

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "jobs.todo")]
struct Job;

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "parts.todo")]
struct Part;

/// Ends when it is let, and counts its runs.
#[derive(Clone, Default)]
struct Gate(Arc<(Notify, AtomicU32)>);

impl<E: Event> Handler<E> for Gate {
    async fn handle(&self, _: E, _: Context) -> HandlerResult {
        self.0.1.fetch_add(1, Ordering::SeqCst);
        self.0.0.notified().await;
        Ok(())
    }
}

async fn flaky(_: Part, ctx: Context) -> HandlerResult {
    if ctx.attempt() < 3 { Err("not yet".into()) } else { Ok(()) }
}

async fn parent(_: Job, ctx: Context) -> HandlerResult {
    ctx.publish(&Part).await?;
    Ok(())
}

#[tokio::test(start_paused = true)]
async fn one_flow_does_not_wait_for_another_and_does_not_end_its_leases() {
    let (test, gate) = (TestBus::new(), Gate::default());
    let service = Service::new("s", test.bus()).on::<Job>("gate", gate.clone()).on("flaky", flaky);
    let service = service.tune("flaky", |o| o.retry(Retry::fixed(HOUR)));
    test.start(service).await.unwrap();
    test.bus().publish(&Job).await.unwrap();
    timeout(MINUTE, test.publish(&Part).finished()).await.unwrap().unwrap();
    assert_eq!((test.handled("flaky"), test.retried("flaky")), (1, 2));
    assert_eq!(gate.0.1.load(Ordering::SeqCst), 1, "the other flow's run is not run again");
}

/// A member that looks while the clock is moved either sees the new time, or is woken to look again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_moved_while_a_member_looks_is_seen() {
    for round in 0..500 {
        let test = TestBus::seeded(round);
        let service = Service::new("s", test.bus()).on("flaky", flaky);
        test.start(service.tune("flaky", |o| o.retry(Retry::fixed(HOUR)))).await.unwrap();
        let finished = timeout(Duration::from_secs(20), test.publish(&Part).finished()).await;
        assert!(finished.is_ok(), "round {round}: {:?}", test.history());
    }
}

#[tokio::test(start_paused = true)]
async fn children_are_waited_for_also_where_the_story_began_elsewhere() {
    let (test, gate) = (TestBus::new(), Gate::default());
    let service = Service::new("s", test.bus()).on("parent", parent).on::<Part>("gate", gate);
    test.start(service).await.unwrap();
    let story = EventId::parse("story-7").unwrap();
    let settled = test.publish(&Job).with(|publish| publish.correlation(story)).settled();
    assert!(timeout(SECOND, settled).await.is_err(), "the child has not been answered");
}

#[tokio::test(start_paused = true)]
async fn waiting_ends_when_nobody_is_left_to_answer() {
    let (test, gate) = (TestBus::new(), Gate::default());
    let service = Service::new("s", test.bus()).on::<Job>("gate", gate).grace(Duration::ZERO);
    let running = service.tune("gate", |o| o.concurrency(1)).start().await.unwrap();
    test.bus().publish(&Job).await.unwrap();
    test.bus().publish(&Job).await.unwrap();
    let (settled, _) = tokio::join!(timeout(HOUR, test.settled()), running.stop());
    settled.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_never_comes_is_reached_by_a_clock_that_is_moved_by_hand() {
    async fn later(_: Job, ctx: Context) -> HandlerResult {
        match ctx.attempt() {
            1 => Err(HandlerError::retry_after(Duration::MAX, "busy")),
            _ => Ok(()),
        }
    }
    let test = TestBus::new();
    test.start(Service::new("s", test.bus()).on("later", later)).await.unwrap();
    test.advance(SECOND).await;
    timeout(MINUTE, test.publish(&Job).finished()).await.unwrap().unwrap();
    assert_eq!(test.handled("later"), 1);
    test.advance(Duration::MAX).await;
}

struct Tenant(Arc<String>);

impl Parameter for Tenant {
    fn read(ctx: &Context) -> Result<Self, HandlerError> {
        State::<String>::read(ctx).map(|State(name)| Self(name))
    }
}

#[handler]
async fn greet(_: Job, tenant: Tenant, ctx: Context) -> HandlerResult {
    ctx.publish(&Part).header("tenant", tenant.0.as_str()).await?;
    Ok(())
}

#[tokio::test]
async fn a_context_by_hand_has_what_a_parameter_reads()
-> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let test = bus_core::testing::TestContext::new(&Job)?.state("acme".to_owned());
    let tenant = Tenant::read(&test.context()).map_err(HandlerError::into_source)?;
    greet(Job, tenant, test.context()).await.map_err(HandlerError::into_source)?;
    assert_eq!(test.published::<Part>().len(), 1);
    Ok(())
}

#[tokio::test]
#[should_panic = "published other events when it ran again"]
async fn a_handler_that_publishes_past_its_context_is_not_idempotent() {
    let test = TestBus::new();
    let bus = test.bus();
    let past = move |_: Job, _: Context| {
        let bus = bus.clone();
        async move {
            bus.publish(&Part).await?;
            HandlerResult::Ok(())
        }
    };
    test.start(Service::new("s", test.bus()).on("past", past)).await.unwrap();
    test.assert_idempotent("past", &Job).await;
}

#[tokio::test]
#[should_panic = "was not made on `test.bus()`"]
async fn a_service_of_another_bus_is_refused() {
    let test = TestBus::new();
    let _ = test.start(Service::new("s", Bus::in_memory()).on("parent", parent)).await;
}

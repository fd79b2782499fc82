//! What a fresh pair of eyes found, one test each: the engine under odd handlers, odd transports and
//! odd numbers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::{pending, poll_fn};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context as Task, Poll};
use std::time::Duration;

use bus_core::answer::Answer;
use bus_core::delivery::{Delivery, History};
use bus_core::memory::{Memory, MemoryConfig};
use bus_core::prelude::*;
use bus_core::publish::{MAX_KEY, PublishLimits};
use bus_core::settle::{Reason, Settle, SettleError, Settlement};
use bus_core::transport::{Deliveries, Group, GroupName, Health, Transport, TransportError};
use futures_util::future::join_all;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::task::unconstrained;
use tokio::time::{Instant, timeout};
use tokio_util::task::TaskTracker;

#[derive(Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(subject = "jobs.todo")]
struct Job {
    n: u64,
}

fn group() -> Group {
    Group::new(GroupName::new("s", "work").unwrap(), Job::SUBJECT.filter())
}

fn leased(lease: Duration, timeout: Duration) -> Group {
    let mut group = group();
    (group.lease, group.timeout) = (lease, timeout);
    group
}

async fn next(deliveries: &mut Box<dyn Deliveries>) -> Delivery {
    poll_fn(|cx| deliveries.poll_next(cx)).await.unwrap()
}

/// Never waits for anything, and so uses up tokio's budget each time it is polled.
async fn spin(ended: Arc<AtomicBool>) {
    while !ended.load(Ordering::SeqCst) {
        tokio::task::consume_budget().await;
    }
}

async fn a_run_that_never_waits(limit: Duration, grace: Duration) -> (Report, bool) {
    let (memory, ended) = (Memory::new(), Arc::new(AtomicBool::new(false)));
    let spinning = Arc::clone(&ended);
    let work = move |_: Job, _| spin(Arc::clone(&spinning));
    let service = Service::new("s", memory.bus()).on("work", work).grace(grace);
    let service = service.tune("work", move |o| o.timeout(limit).retry(Retry::never()));
    let running = service.start().await.unwrap();
    memory.bus().publish(&Job { n: 1 }).await.unwrap();
    let dead = async {
        while memory.operator().unwrap().dead_letters(None, 1).await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let timed_out = timeout(Duration::from_millis(500), dead).await.is_ok();
    let report = running.stop().await;
    ended.store(true, Ordering::SeqCst);
    (report, timed_out)
}

const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_run_that_never_waits_is_timed_out_and_can_be_cut_short() {
    assert!(a_run_that_never_waits(SHORT, MINUTE).await.1);
    assert_eq!(a_run_that_never_waits(MINUTE, SHORT).await.0.handed_back, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_never_waits_is_timed_out_and_can_be_cut_short_on_threads_too() {
    assert!(a_run_that_never_waits(SHORT, MINUTE).await.1);
    assert_eq!(a_run_that_never_waits(MINUTE, SHORT).await.0.handed_back, 1);
}

#[tokio::test]
async fn a_crash_loop_ends_in_the_dead_letters_without_another_run() {
    let memory = Memory::new();
    let mut deliveries = memory.subscribe(leased(Duration::ZERO, MINUTE)).await.unwrap();
    memory.bus().publish(&Job { n: 1 }).await.unwrap();
    for _ in 0..3 {
        next(&mut deliveries).await.begin().await.unwrap();
    }
    drop(deliveries);
    let runs = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&runs);
    let work = move |_: Job, _| {
        count.fetch_add(1, Ordering::SeqCst);
        async {}
    };
    let service = Service::new("s", memory.bus()).on("work", work);
    let service = service.tune("work", |o| o.retry(Retry::fixed(SECOND).attempts(3)));
    let running = service.start().await.unwrap();
    let letter = loop {
        if let [letter] = &memory.operator().unwrap().dead_letters(None, 9).await.unwrap()[..] {
            break letter.clone();
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(
        (letter.reason, &*letter.failed.class, letter.failed.attempt),
        (Reason::Exhausted, "lost", 3)
    );
    assert_eq!(runs.load(Ordering::SeqCst), 0);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_member_that_waits_takes_over_a_run_that_outlives_its_lease() {
    let memory = Memory::seeded(MemoryConfig::default(), 1);
    let lease = leased(SECOND, SECOND * 10);
    let mut first = memory.subscribe(lease.clone()).await.unwrap();
    let mut second = memory.subscribe(lease).await.unwrap();
    memory.bus().publish(&Job { n: 1 }).await.unwrap();
    let delivery = next(&mut first).await;
    // The second one waits before the run begins, and is told of nothing afterwards.
    let waiting =
        TaskTracker::new().spawn(async move { next(&mut second).await.history().attempts });
    tokio::task::yield_now().await;
    delivery.begin().await.unwrap();
    assert_eq!(timeout(HOUR, waiting).await.unwrap().unwrap(), 1);
    assert_eq!(delivery.settle(Settlement::Ack).await, Err(SettleError::Expired));
}

#[tokio::test]
async fn publishers_that_wait_for_room_are_served_in_turn() {
    let memory = Memory::with(MemoryConfig { backlog: 3, ..MemoryConfig::default() });
    let mut deliveries = memory.subscribe(group()).await.unwrap();
    let jobs: Vec<_> = (0..200).map(|n| Job { n }).collect();
    let bus = memory.bus();
    let (results, seen) = tokio::join!(bus.publish_all(&jobs), async {
        let mut seen = Vec::new();
        while seen.len() < 200 {
            let delivery = next(&mut deliveries).await;
            seen.push(Json::decode::<Job>(&delivery.envelope().payload).unwrap());
            delivery.settle(Settlement::Ack).await.unwrap();
            tokio::task::yield_now().await;
        }
        seen
    });
    assert!(results.iter().all(Result::is_ok));
    assert_eq!(seen, jobs);
}

/// Were all of them woken for each place, a thousand would look half a million times.
#[tokio::test]
async fn a_place_that_gets_free_is_offered_to_one_publisher() {
    const PUBLISHERS: u64 = 1000;
    let memory = Memory::with(MemoryConfig { backlog: 2, ..MemoryConfig::default() });
    let mut deliveries = memory.subscribe(group()).await.unwrap();
    let (bus, polls) = (memory.bus(), AtomicU64::new(0));
    let publishing = (0..PUBLISHERS).map(|n| {
        let mut publish = Box::pin(bus.publish(&Job { n }));
        let polls = &polls;
        unconstrained(poll_fn(move |cx| {
            polls.fetch_add(1, Ordering::Relaxed);
            publish.as_mut().poll(cx)
        }))
    });
    let published = join_all(publishing);
    let (published, ()) = tokio::join!(published, async {
        for _ in 0..PUBLISHERS {
            next(&mut deliveries).await.settle(Settlement::Ack).await.unwrap();
        }
    });
    assert!(published.iter().all(Result::is_ok));
    let polls = polls.into_inner();
    assert!(polls <= 4 * PUBLISHERS, "{polls} looks by {PUBLISHERS} publishers");
}

#[tokio::test]
async fn limits_of_nothing_still_let_one_through() {
    let limits = PublishLimits { in_flight: 0, in_flight_bytes: 0, ..PublishLimits::default() };
    let bus = Bus::in_memory().limits(limits);
    let jobs: Vec<_> = (0..10).map(|n| Job { n }).collect();
    let results = timeout(MINUTE, bus.publish_all(&jobs)).await.unwrap();
    assert!(results.iter().all(Result::is_ok));
}

struct Slow(Duration);

#[async_trait]
impl Middleware<Envelope> for Slow {
    async fn call(
        &self,
        envelope: Envelope,
        next: Next<'_, Envelope>,
    ) -> Result<EventId, PublishError> {
        tokio::time::sleep(self.0).await;
        next.run(envelope).await
    }
}

#[tokio::test(start_paused = true)]
async fn the_deadline_holds_for_middleware_and_nothing_is_sent_after_it() {
    let memory = Memory::seeded(MemoryConfig::default(), 1);
    memory.record();
    let begun = Instant::now();
    let error = memory.bus().middleware(Slow(HOUR)).publish(&Job { n: 1 }).await.unwrap_err();
    assert!(matches!(error, PublishError::Busy { .. }), "{error}");
    assert_eq!((begun.elapsed(), memory.history().len()), (SECOND * 10, 0));
}

#[tokio::test(start_paused = true)]
async fn a_duration_without_end_is_no_limit_and_no_panic() {
    let config = MemoryConfig {
        patience: Duration::MAX,
        duplicate_window: Duration::MAX,
        backlog: 1,
        ..MemoryConfig::default()
    };
    let memory = Memory::seeded(config, 1);
    let mut deliveries = memory.subscribe(leased(Duration::MAX, Duration::MAX)).await.unwrap();
    let bus =
        memory.bus().limits(PublishLimits { deadline: Duration::MAX, ..PublishLimits::default() });
    bus.publish(&Job { n: 1 }).await.unwrap();
    let failed = bus_core::settle::Failed::new("x", "x", 1, std::time::SystemTime::UNIX_EPOCH);
    let never = Settlement::Retry { after: Duration::MAX, failed };
    next(&mut deliveries).await.settle(never).await.unwrap();
    // What waits for ever is still undone, so there is no room, and the publisher waits for ever.
    assert!(timeout(HOUR, bus.publish(&Job { n: 2 })).await.is_err());
}

#[test]
fn a_policy_without_end_decides_and_does_not_panic() {
    let endless = Retry::exponential(Duration::MAX, Duration::MAX);
    for draw in [0.0, 0.5, 1.0, f64::NAN, f64::INFINITY] {
        assert!(matches!(endless.decide(Verdict::Retry, 1, draw), Decision::Again { .. }));
    }
}

#[tokio::test]
async fn a_key_that_is_no_header_any_more_is_refused() {
    let bus = Bus::in_memory();
    let key = |length| "k".repeat(length);
    assert!(bus.publish(&Job { n: 1 }).key(key(MAX_KEY)).await.is_ok());
    let error = bus.publish(&Job { n: 1 }).key(key(MAX_KEY + 1)).await.unwrap_err();
    assert!(matches!(error, PublishError::KeyTooLong { .. }) && error.is_permanent(), "{error}");
}

#[tokio::test]
async fn two_buses_on_one_broker_are_one_broker() {
    #[handler]
    async fn work(_: Job) {}
    let memory = Memory::new();
    let first = Service::new("one", memory.bus()).handlers(handlers![work]).start().await.unwrap();
    let error =
        Service::new("two", memory.bus()).handlers(handlers![work]).start().await.unwrap_err();
    assert!(matches!(&error, StartError::Claimed { .. }), "{error}");
    first.stop().await;
}

/// A transport that gives deliveries without end, or up to a number, and answers as it is told to.
#[derive(Clone)]
struct Odd {
    given: Arc<AtomicU64>,
    begun: Arc<AtomicU64>,
    settled: Arc<AtomicU64>,
    limit: u64,
    bug: bool,
    begin: fn() -> Answer<Result<(), SettleError>>,
    settle: fn() -> Answer<Result<(), SettleError>>,
    health: Arc<Mutex<Option<watch::Sender<Health>>>>,
}

fn odd() -> Odd {
    Odd {
        given: Arc::default(),
        begun: Arc::default(),
        settled: Arc::default(),
        limit: u64::MAX,
        bug: false,
        begin: || Answer::now(Ok(())),
        settle: || Answer::now(Ok(())),
        health: Arc::new(Mutex::new(Some(watch::Sender::new(Health::Ready)))),
    }
}

impl Settle for Odd {
    fn begin(&self, _: u64) -> Answer<Result<(), SettleError>> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        (self.begin)()
    }

    fn settle(&self, _: u64, _: Settlement) -> Answer<Result<(), SettleError>> {
        self.settled.fetch_add(1, Ordering::SeqCst);
        (self.settle)()
    }
}

impl Deliveries for Odd {
    fn poll_next(&mut self, _: &mut Task<'_>) -> Poll<Option<Delivery>> {
        let n = self.given.fetch_add(1, Ordering::SeqCst);
        if n >= self.limit {
            assert!(!self.bug, "the transport has a bug");
            return Poll::Pending;
        }
        let payload = format!("{{\"n\":{n}}}");
        let envelope =
            Envelope::new(EventId::now(), Job::TYPE, Subject::literal("jobs.todo"), payload);
        let lane = Arc::new(self.clone());
        Poll::Ready(Some(Delivery::new(Arc::new(envelope), History::default(), n, lane)))
    }

    fn stop(&mut self) -> u64 {
        self.limit = 0;
        0
    }
}

#[async_trait]
impl Transport for Odd {
    fn publish(&self, _: Envelope) -> Answer<Result<(), TransportError>> {
        Answer::now(Ok(()))
    }

    async fn subscribe(&self, _: Group) -> Result<Box<dyn Deliveries>, TransportError> {
        Ok(Box::new(self.clone()))
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.health.lock().unwrap().as_ref().unwrap().subscribe()
    }
}

fn on_odd(odd: &Odd) -> Service {
    let hangs = |job: Job, _| async move {
        if job.n < 3 {
            pending::<()>().await;
        }
    };
    Service::new("s", Bus::new(odd.clone())).on("work", hangs).grace(Duration::ZERO)
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_can_not_be_told_of_a_run_is_not_asked_without_end() {
    let away = || Answer::now(Err(SettleError::Unavailable { reason: "away".into() }));
    let odd = Odd { begin: away, ..odd() };
    let running = on_odd(&odd).start().await.unwrap();
    tokio::time::sleep(SECOND * 10).await;
    assert!(odd.begun.load(Ordering::SeqCst) <= 16 * 11, "{:?}", odd.begun);
    running.stop().await;
}

#[tokio::test]
async fn answers_that_never_arrive_do_not_pile_up_without_end() {
    let odd = Odd { settle: || Answer::later(pending()), ..odd() };
    let running = on_odd(&odd).start().await.unwrap();
    let most = 4096 + 16;
    while odd.settled.load(Ordering::SeqCst) < most - 16 {
        tokio::task::yield_now().await;
    }
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    assert!(odd.settled.load(Ordering::SeqCst) <= most, "{:?}", odd.settled);
    drop(running);
}

#[tokio::test(start_paused = true)]
async fn what_an_engine_that_died_held_is_in_the_report_and_liveness_is_red() {
    let odd = Odd { limit: 3, bug: true, ..odd() };
    let running = on_odd(&odd).start().await.unwrap();
    let probe = running.probe().clone();
    tokio::time::sleep(SECOND).await;
    assert!(!probe.is_alive() && !probe.readiness().ready, "{:?}", probe.readiness());
    assert_eq!(running.stop().await.abandoned, 3);
}

#[tokio::test(start_paused = true)]
async fn a_transport_that_tells_its_health_no_more_is_not_healthy() {
    let odd = Odd { limit: 0, ..odd() };
    let running = on_odd(&odd).start().await.unwrap();
    running.probe().ready().await;
    *odd.health.lock().unwrap() = None;
    tokio::time::sleep(SECOND).await;
    assert_eq!(running.probe().readiness().reasons, ["transport: it tells its health no more"]);
    running.stop().await;
}

#[tokio::test]
async fn waiting_for_readiness_ends_where_there_will_be_none() {
    let service = Service::new("s", Bus::in_memory());
    let probe = service.probe();
    assert!(service.start().await.is_err());
    probe.ready().await;
    let reasons = probe.readiness().reasons;
    assert!(reasons[0].starts_with("start: the service `s` has no handlers"), "{reasons:?}");
}

#[tokio::test(start_paused = true)]
async fn an_event_whose_dead_letter_can_not_be_stored_stays_undone_and_comes_again() {
    let memory = Memory::seeded(MemoryConfig { dead_letters: 1, ..MemoryConfig::default() }, 1);
    let bus = memory.bus();
    for n in 0..2 {
        bus.publish(&Job { n }).await.unwrap();
    }
    let runs = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&runs);
    let work = move |_: Job, _| {
        count.fetch_add(1, Ordering::SeqCst);
        std::future::ready(Err::<(), _>(HandlerError::reject("never")))
    };
    let running = Service::new("s", bus).on("work", work).lease(SECOND).start().await.unwrap();
    tokio::time::sleep(SECOND * 10).await;
    let operator = memory.operator().unwrap();
    let letters = operator.dead_letters(None, 9).await.unwrap();
    let lag = operator.lag(&group().name).await.unwrap();
    assert_eq!((letters.len(), lag.behind()), (1, 1), "one is kept, the other is not lost");
    let reasons = running.probe().readiness().reasons;
    assert_eq!(reasons, ["transport: dead letters can not be stored: 1 are kept already"]);
    // One for the first, then one a lease: neither once nor as fast as it goes.
    assert!((5..=12).contains(&runs.load(Ordering::SeqCst)), "{runs:?}");
    // As soon as there is room it is a dead letter like any other.
    operator.purge(&letters[0].id).await.unwrap();
    tokio::time::sleep(SECOND * 2).await;
    assert!(running.probe().readiness().ready);
    assert_eq!(operator.dead_letters(None, 9).await.unwrap().len(), 1);
    assert_eq!(operator.lag(&group().name).await.unwrap().behind(), 0);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_answers_that_are_on_their_way() {
    let late = || {
        Answer::later(async {
            tokio::time::sleep(SECOND / 2).await;
            Ok(())
        })
    };
    let odd = Odd { limit: 4, settle: late, ..odd() };
    let running = on_odd(&odd).start().await.unwrap();
    while odd.settled.load(Ordering::SeqCst) == 0 {
        tokio::task::yield_now().await;
    }
    // The fourth has ended and is being answered; three hang, and are cut short at once.
    assert_eq!(running.stop().await.to_string(), "1 finished, 3 handed back, 0 abandoned");
}

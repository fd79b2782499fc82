//! An outage of a handler: few events burn, others go on, and it is seen.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the figures belong into the log")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bus_core::answer::Answer;
use bus_core::memory::{Memory, MemoryConfig};
use bus_core::operator::Operator;
use bus_core::prelude::*;
use bus_core::settle::Reason;
use bus_core::testing::TestBus;
use bus_core::transport::{Deliveries, Group, GroupName, Health, Transport, TransportError};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "orders.placed")]
struct Placed {
    n: u32,
}

const EVENTS: u32 = 10_000;
const OUTAGE: Duration = Duration::from_secs(600);

/// Fails until a time; notes each order that it handles, and how many runs there were at once.
struct Charge {
    mended: Instant,
    done: Mutex<BTreeSet<u32>>,
    runs: AtomicUsize,
    now: AtomicUsize,
    /// When each run after the outage began, and beside how many.
    ramp: Mutex<Vec<(Duration, usize)>>,
}

impl Charge {
    fn new(outage: Duration) -> Arc<Self> {
        let (runs, now, ramp) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::default());
        let mended = Instant::now() + outage;
        Arc::new(Self { mended, done: Mutex::default(), runs, now, ramp })
    }

    fn done(&self) -> usize {
        self.done.lock().unwrap().len()
    }

    fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }
}

struct Shared(Arc<Charge>);

const RUN: Duration = Duration::from_millis(20);

impl Handler<Placed> for Shared {
    async fn handle(&self, order: Placed, _: Context) -> HandlerResult {
        let Charge { mended, done, runs, now, ramp } = &*self.0;
        runs.fetch_add(1, Ordering::SeqCst);
        let at_once = now.fetch_add(1, Ordering::SeqCst) + 1;
        let well = mended.elapsed();
        if Instant::now() >= *mended {
            ramp.lock().unwrap().push((well, at_once));
        }
        sleep(RUN).await;
        now.fetch_sub(1, Ordering::SeqCst);
        if Instant::now() < *mended + RUN {
            return Err("the gateway at 10.1.2.3 is away".into());
        }
        done.lock().unwrap().insert(order.n);
        Ok(())
    }
}

fn seeded() -> Memory {
    Memory::seeded(MemoryConfig::default(), 1)
}

async fn publish(memory: &Memory, events: u32) {
    let orders: Vec<_> = (0..events).map(|n| Placed { n }).collect();
    for result in memory.bus().publish_all(&orders).await {
        result.unwrap();
    }
}

fn service(bus: Bus, handler: impl Handler<Placed>) -> Service {
    Service::new("billing", bus).on("charge", handler)
}

fn billing(memory: &Memory, charge: &Arc<Charge>) -> Service {
    service(memory.bus(), Shared(Arc::clone(charge)))
}

async fn letters(memory: &Memory) -> Vec<Reason> {
    let letters = memory.dead_letters(None, usize::MAX).await.unwrap();
    letters.iter().map(|letter| letter.reason).collect()
}

async fn until_idle(memory: &Memory) {
    let group = GroupName::new("billing", "charge").unwrap();
    while memory.lag(&group).await.unwrap() != Default::default() {
        sleep(SECOND).await;
    }
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            sleep(Duration::from_millis(1)).await;
        }
    };
    assert!(timeout(MINUTE * 10, wait).await.is_ok(), "never: {what}");
}

fn is_open(probe: &Probe) -> bool {
    probe.readiness().reasons.iter().any(|reason| reason.contains("its circuit breaker is open"))
}

/// What an outage of ten minutes leaves: dead letters, successes, runs, and how long it took.
async fn an_outage(breaker: Breaker) -> (usize, usize, usize, Duration) {
    let (memory, began, charge) = (seeded(), Instant::now(), Charge::new(OUTAGE));
    publish(&memory, EVENTS).await;
    let service = billing(&memory, &charge).tune("charge", move |options| options.breaker(breaker));
    let running = service.start().await.unwrap();
    until_idle(&memory).await;
    assert_eq!(running.stop().await.abandoned, 0);
    (letters(&memory).await.len(), charge.done(), charge.runs(), began.elapsed())
}

#[tokio::test(start_paused = true)]
async fn an_outage_leaves_few_dead_letters_and_everything_else_is_handled() {
    let (letters, done, runs, took) = an_outage(Breaker::new()).await;
    println!("{letters} dead letters, {done} handled in {runs} runs and {took:?}");
    assert_eq!(letters + done, EVENTS as usize);
    assert!(letters <= 36, "{letters} dead letters");
    assert!(took < OUTAGE + MINUTE, "it comes back late: {took:?}");
    let (letters, done, runs, took) = an_outage(Breaker::off()).await;
    println!("without: {letters} dead letters, {done} handled in {runs} runs and {took:?}");
    assert_eq!((letters, done), (EVENTS as usize, 0));
}

#[tokio::test(start_paused = true)]
async fn it_is_seen_while_it_lasts_and_other_handlers_go_on() {
    let (memory, charge) = (seeded(), Charge::new(MINUTE));
    let mail = Charge::new(Duration::ZERO);
    let service = billing(&memory, &charge).on("mail", Shared(Arc::clone(&mail)));
    let running = service.redact(|text| text.replace("10.1.2.3", "…")).start().await.unwrap();
    let probe = running.probe().clone();
    publish(&memory, 200).await;
    until("open", || is_open(&probe)).await;
    let said = "billing_charge: its circuit breaker is open: 20 of the last 20 events failed, \
                last with _OTHER: the gateway at … is away; next probe in 1 s";
    assert_eq!(probe.readiness().reasons, [said]);
    assert!(probe.is_alive());
    until("all mails", || mail.done() == 200).await;
    assert!(!probe.readiness().ready && charge.done() == 0);
    until("a longer pause", || probe.readiness().reasons[0].ends_with("next probe in 16 s")).await;
    probe.ready().await;
    assert!(charge.done() < 5, "ready as soon as a probe is a success");
    until("all charged", || charge.done() == 200).await;
    assert_eq!(letters(&memory).await, []);
    assert_eq!(running.stop().await.abandoned, 0);
}

#[tokio::test(start_paused = true)]
async fn afterwards_it_ramps_up() {
    let (memory, charge) = (seeded(), Charge::new(MINUTE));
    publish(&memory, 1_000).await;
    let running = billing(&memory, &charge).start().await.unwrap();
    until("all charged", || charge.done() == 1_000).await;
    running.stop().await;
    let ramp = charge.ramp.lock().unwrap();
    let first = ramp[0].0;
    let most = |rounds: u32| {
        let until = first + RUN * rounds;
        ramp.iter().filter(|(at, _)| *at < until).map(|(_, at_once)| *at_once).max().unwrap()
    };
    // Timers end with the millisecond, and so a round may last one more.
    assert_eq!([1, 2, 3, 4].map(most), [1, 2, 4, 8]);
    assert_eq!(most(100), 16);
}

#[tokio::test(start_paused = true)]
async fn with_one_run_at_a_time_a_single_success_closes_it() {
    let (memory, charge) = (seeded(), Charge::new(MINUTE));
    publish(&memory, 60).await;
    let service = billing(&memory, &charge).tune("charge", |options| options.concurrency(1));
    let running = service.start().await.unwrap();
    until("open", || is_open(running.probe())).await;
    running.probe().ready().await;
    assert!(charge.done() < 3, "{}", charge.done());
    until("all charged", || charge.done() == 60).await;
    assert!(running.probe().readiness().ready);
    running.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_it_is_open_ends_at_once() {
    let (memory, charge) = (seeded(), Charge::new(HOUR));
    publish(&memory, 200).await;
    let running = billing(&memory, &charge).start().await.unwrap();
    let probe = running.probe().clone();
    until("a long pause", || {
        probe.readiness().reasons.iter().any(|reason| reason.ends_with("in 30 s"))
    })
    .await;
    let before = Instant::now();
    assert_eq!(running.stop().await.to_string(), "0 finished, 0 handed back, 0 abandoned");
    assert_eq!(before.elapsed(), Duration::ZERO);
    let group = GroupName::new("billing", "charge").unwrap();
    let lag = memory.lag(&group).await.unwrap();
    assert_eq!((lag.in_flight, lag.waiting + lag.delayed), (0, 200));
}

#[tokio::test(start_paused = true)]
async fn replicas_that_are_well_do_the_work_of_one_that_is_not() {
    let (memory, sick, well) = (seeded(), Charge::new(HOUR), Charge::new(Duration::ZERO));
    publish(&memory, 2_000).await;
    let (first, second) = (billing(&memory, &sick), billing(&memory, &well));
    let (first, second) = (first.start().await.unwrap(), second.start().await.unwrap());
    until("all charged", || well.done() == 2_000).await;
    assert!(is_open(first.probe()) && second.probe().readiness().ready);
    assert_eq!(letters(&memory).await, []);
    tokio::join!(first.stop(), second.stop());
}

/// Whether a handler's breaker opens within 40 events, and its dead letters.
async fn opens(handler: impl Handler<Placed>, payload: &'static str) -> (bool, Vec<Reason>) {
    let memory = seeded();
    let running = service(memory.bus(), handler)
        .tune("charge", |options| options.retry(Retry::never()).timeout(SECOND).concurrency(4));
    let running = running.start().await.unwrap();
    for _ in 0..40 {
        let (id, subject) = (EventId::now(), Subject::literal("orders.placed"));
        memory.publish(Envelope::new(id, "orders.placed", subject, payload)).await.unwrap();
    }
    sleep(SECOND * 6).await;
    let open = !running.probe().readiness().ready;
    running.stop().await;
    (open, letters(&memory).await)
}

#[tokio::test(start_paused = true)]
async fn panics_time_outs_and_unreadable_events_open_it_and_rejects_do_not() {
    const READABLE: &str = r#"{"n":1}"#;
    let panics = |order: Placed, _| async move { assert_eq!(order.n, 0) };
    let hangs = |_: Placed, _| std::future::pending::<()>();
    let busy = |_: Placed, _| async { Err::<(), _>(HandlerError::retry_after(SECOND, "busy")) };
    let rejects = |_: Placed, _| async { Err::<(), _>(HandlerError::reject("declined")) };
    assert!(opens(panics, READABLE).await.0);
    assert!(opens(hangs, READABLE).await.0);
    assert!(opens(busy, READABLE).await.0);
    let (open, unreadable) = opens(|_: Placed, _| async {}, "{").await;
    assert!(open && unreadable.iter().all(|reason| *reason == Reason::Undecodable));
    let (open, rejected) = opens(rejects, READABLE).await;
    assert!(!open && rejected.len() == 40, "{}", rejected.len());
}

#[tokio::test(start_paused = true)]
async fn nothing_to_probe_with_is_no_reason_to_stay_unready() {
    let (memory, charge) = (seeded(), Charge::new(HOUR));
    publish(&memory, 20).await;
    let service = billing(&memory, &charge).tune("charge", |o| o.retry(Retry::never()));
    let running = service.start().await.unwrap();
    until("open", || is_open(running.probe())).await;
    sleep(SECOND * 10).await;
    let said = running.probe().readiness().reasons;
    assert!(said[0].contains("its circuit breaker is half-open: 20 of"), "{said:?}");
    memory.bus().publish(&Placed { n: 100 }).await.unwrap();
    timeout(MINUTE, running.probe().ready()).await.unwrap();
    assert!(charge.runs() == 21 && letters(&memory).await.len() == 21);
    // It has forgotten nothing: with two more it is open again.
    for n in 101..103 {
        memory.bus().publish(&Placed { n }).await.unwrap();
    }
    until("open again", || is_open(running.probe())).await;
    running.stop().await;
}

/// A broker that can not be joined while it is away.
struct Away {
    memory: Memory,
    away: Arc<AtomicBool>,
}

#[async_trait]
impl Transport for Away {
    fn publish(&self, envelope: Envelope) -> Answer<Result<(), TransportError>> {
        self.memory.publish(envelope)
    }

    async fn subscribe(&self, group: Group) -> Result<Box<dyn Deliveries>, TransportError> {
        if self.away.load(Ordering::SeqCst) {
            return Err(TransportError::Unavailable { reason: "it is away".to_owned() });
        }
        self.memory.subscribe(group).await
    }

    fn health(&self) -> watch::Receiver<Health> {
        self.memory.health()
    }
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_is_away_when_it_wants_to_probe_is_waited_for() {
    let (memory, away, charge) = (seeded(), Arc::new(AtomicBool::new(false)), Charge::new(SECOND));
    let transport = Away { memory: memory.clone(), away: Arc::clone(&away) };
    publish(&memory, 200).await;
    let service = service(Bus::new(transport), Shared(Arc::clone(&charge)));
    let running = service.start().await.unwrap();
    let probe = running.probe();
    until("open", || is_open(probe)).await;
    away.store(true, Ordering::SeqCst);
    let away_too = "billing_charge: the broker is not available: it is away";
    until("unready for two reasons", || probe.readiness().reasons.contains(&away_too.to_owned()))
        .await;
    sleep(MINUTE).await;
    away.store(false, Ordering::SeqCst);
    until("all charged", || charge.done() == 200).await;
    assert!(probe.readiness().ready);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_threads_it_opens_and_closes_again_and_again_and_forgets_nothing() {
    let memory = Memory::new();
    let (runs, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, handled) = (Arc::clone(&runs), Arc::clone(&done));
    let flaps = move |_: Placed, _| {
        let (run, handled) = (counted.fetch_add(1, Ordering::SeqCst), Arc::clone(&handled));
        async move {
            tokio::task::yield_now().await;
            if run / 50 % 2 == 0 {
                return Err(HandlerError::retry("as it was told"));
            }
            handled.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }
    };
    let brief = Duration::from_millis(10);
    let running = service(memory.bus(), flaps).tune("charge", move |options| {
        let breaker = Breaker::new().pause(brief, brief);
        options.breaker(breaker).retry(Retry::fixed(brief).attempts(1_000))
    });
    let running = running.start().await.unwrap();
    publish(&memory, 1_500).await;
    let all = until("all handled", || done.load(Ordering::SeqCst) == 1_500);
    timeout(MINUTE, all).await.unwrap();
    assert_eq!(running.stop().await.abandoned, 0);
    assert_eq!(letters(&memory).await, []);
}

#[tokio::test]
async fn on_a_test_bus_it_is_off() {
    let test = TestBus::new();
    let fails = |_: Placed, _| async { Err::<(), _>(HandlerError::retry("as it was told")) };
    let service = service(test.bus(), fails).tune("charge", |o| o.retry(Retry::never()));
    test.start(service).await.unwrap();
    for n in 0..200 {
        test.bus().publish(&Placed { n }).await.unwrap();
    }
    timeout(MINUTE, test.settled()).await.unwrap();
    assert_eq!(test.dead_letters("charge").len(), 200);
}

//! A service: what it refuses to start with, its health, and what a stop does with the work.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bus_core::memory::{Memory, MemoryConfig};
use bus_core::operator::Operator;
use bus_core::prelude::*;
use bus_core::testing::Fact;
use bus_core::transport::GroupName;
use serde::{Deserialize, Serialize};
use tokio::sync::{Notify, mpsc};
use tokio_util::task::TaskTracker;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(subject = "jobs.{lane}.run")]
struct Job {
    lane: String,
    n: u32,
}

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "tasks.run")]
struct Task {
    n: u32,
}

fn job(n: u32) -> Job {
    Job { lane: "a".into(), n }
}

struct Db;

#[handler]
async fn store(_: Job, State(_): State<Db>) {}

#[handler(name = "store")]
async fn another(_: Job) {}

#[handler]
async fn slow(_: Job) {}

mod conflict {
    use super::*;

    #[derive(Serialize, Deserialize, Event)]
    #[event(subject = "mixed.{field}.run")]
    pub(super) struct Wide {
        field: u32,
    }

    #[derive(Serialize, Deserialize, Event)]
    #[event(subject = "mixed.narrow.run", type = "mixed.narrow")]
    pub(super) struct Narrow;
}

#[handler]
async fn wide(_: conflict::Wide) {}

async fn refusal(service: Service) -> StartError {
    service.start().await.unwrap_err()
}

fn service(bus: &Bus) -> Service {
    Service::new("jobs", bus.clone())
}

#[tokio::test]
async fn a_service_that_can_not_be_right_does_not_start_and_says_why() {
    let bus = Bus::in_memory();
    let here = file!();
    let cases = [
        (service(&bus), "the service `jobs` has no handlers: add `.handlers(discover!())` or `.on(..)`".to_owned()),
        (Service::new("Jobs", bus.clone()).handlers(handlers![slow]), "`Jobs` is not a name: use 1 to 64 of `a-z`, `0-9` and `-`".to_owned()),
        (service(&bus).on("a_b", |_: Job, _| async {}), "`a_b` is not a name: use 1 to 64 of `a-z`, `0-9` and `-`".to_owned()),
        (service(&bus).state(Db).handlers(handlers![store, another]), format!("two handlers have one name: `store` ({here}:) and `store` ({here}:); give one of them `name = \"…\"`")),
        (service(&bus).state(7u8).handlers(handlers![store]), format!("`store` ({here}:) needs `State<service::Db>`: add `.state(..)` with such a value; given are [\"u8\"]")),
        (service(&bus).handlers(handlers![slow]).tune("slwo", |o| o), "`tune(\"slwo\")`: no handler of the service has this name; there are [\"slow\"]".to_owned()),
        (service(&bus).handlers(handlers![slow]).retired("slow"), "`retired(\"slow\")`: the service has a handler of this name".to_owned()),
        (service(&bus).handlers(handlers![wide]), "`mixed.run` on `mixed.{field}.run` (service::conflict::Wide) and `mixed.narrow` on `mixed.narrow.run` (service::conflict::Narrow) share subjects: each one's handlers would dead-letter the other's events. Give each type a subject of its own, or make them one enum".to_owned()),
        (service(&bus).handlers(handlers![]), "`handlers![]` found no handler: is the module declared, the crate a dependency, a feature off?".to_owned()),
        (
            service(&bus).state(1u8).state(2u8).handlers(handlers![slow]),
            "two values of the type `u8` were given: wrap one of them in a type of its own".to_owned(),
        ),
        (
            service(&bus).handlers(handlers![slow]).lease(Duration::ZERO),
            "the lease can not be 0ns: it is at least 100 ms".to_owned(),
        ),
        (
            service(&bus).handlers(handlers![slow]).tune("slow", |o| o.timeout(Duration::ZERO)),
            format!("the time-out of `slow` ({here}:) can not be 0: no run could end in time"),
        ),
        (
            service(&bus).handlers(handlers![slow]).tune("slow", |o| o.name("other")),
            format!("the name of `slow` ({here}:) can not be tuned: another name is another group; set it in the attribute"),
        ),
    ];
    for (service, text) in cases {
        // Lines move whenever this file is edited.
        let said = refusal(service).await.to_string();
        let said =
            said.split(':').map(|part| part.trim_start_matches(|c: char| c.is_ascii_digit()));
        assert_eq!(said.collect::<Vec<_>>().join(":"), text);
    }
}

#[tokio::test]
async fn what_the_broker_can_not_do_is_said_before_the_first_event() {
    let domains = Some(vec!["jobs".to_owned()]);
    let memory = Memory::with(MemoryConfig { domains, renew: false, ..MemoryConfig::default() });
    let error = refusal(service(&memory.bus()).on("tasks", |_: Task, _| async {})).await;
    assert!(
        matches!(&error, StartError::NoStream { subject, .. } if subject.as_str() == "tasks.run"),
        "{error}"
    );
    let error = refusal(service(&memory.bus()).handlers(handlers![slow])).await;
    let StartError::LeaseTooShort { timeout, lease, .. } = error else { panic!("{error}") };
    assert_eq!((timeout, lease), (MINUTE * 5, SECOND * 30));
    let fits = service(&memory.bus()).handlers(handlers![slow]).tune("slow", |o| o.timeout(SECOND));
    fits.start().await.unwrap().stop().await;
}

#[tokio::test]
async fn a_group_without_a_handler_is_named_with_its_backlog() {
    let bus = Bus::in_memory();
    let old = service(&bus).on("old-name", |_: Job, _| async {}).start().await.unwrap();
    old.stop().await;
    for n in 0..3 {
        bus.publish(&job(n)).await.unwrap();
    }
    let error = refusal(service(&bus).handlers(handlers![slow])).await;
    assert_eq!(
        error.to_string(),
        "the group `jobs_old-name` is on the broker with 3 events waiting, and no handler here has its name: \
         was it renamed? `.retired(\"old-name\")` says that it is meant so"
    );
    let meant = service(&bus).handlers(handlers![slow]).retired("old-name");
    meant.start().await.unwrap().stop().await;
}

#[tokio::test]
async fn one_handler_in_two_services_is_refused_and_in_two_replicas_is_not() {
    let bus = Bus::in_memory();
    let first = service(&bus).handlers(handlers![slow]).start().await.unwrap();
    let replica = service(&bus).handlers(handlers![slow]).start().await.unwrap();
    let other = || Service::new("other", bus.clone()).handlers(handlers![slow]);
    let error = refusal(other()).await;
    assert!(matches!(&error, StartError::Claimed { other, .. } if other == "jobs"), "{error}");
    first.stop().await;
    assert!(matches!(refusal(other()).await, StartError::Claimed { .. }));
    replica.stop().await;
    other().start().await.unwrap().stop().await;
    // Another bus is another broker.
    let elsewhere = Service::new("other", Bus::in_memory()).handlers(handlers![slow]);
    elsewhere.start().await.unwrap().stop().await;
}

/// A handler that tells when it begins, and ends when it is let.
struct Gate {
    begun: mpsc::UnboundedSender<u32>,
    open: Arc<Notify>,
}

impl Gate {
    fn new() -> (Self, mpsc::UnboundedReceiver<u32>, Arc<Notify>) {
        let (begun, told) = mpsc::unbounded_channel();
        let open = Arc::new(Notify::new());
        (Self { begun, open: Arc::clone(&open) }, told, open)
    }
}

impl Handler<Job> for Gate {
    async fn handle(&self, job: Job, _: Context) -> HandlerResult {
        let open = self.open.notified();
        self.begun.send(job.n)?;
        open.await;
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_finishes_what_it_can_hands_back_the_rest_and_adds_up() {
    let memory = Memory::seeded(MemoryConfig::default(), 1);
    memory.record();
    let bus = memory.bus();
    let (gate, mut begun, open) = Gate::new();
    let running =
        service(&bus).on("gate", gate).tune("gate", |o| o.concurrency(3)).start().await.unwrap();
    for n in 0..10 {
        bus.publish(&job(n)).await.unwrap();
    }
    let started = [begun.recv().await, begun.recv().await, begun.recv().await].map(Option::unwrap);
    assert_eq!(started, [0, 1, 2]);
    let (report, ()) = tokio::join!(running.stop(), async { open.notify_one() });
    assert_eq!(report.to_string(), "1 finished, 2 handed back, 0 abandoned");
    assert!(begun.recv().await.is_none(), "nothing begins after the stop");

    // What was handed back is there at once, and no attempt was counted.
    let before = tokio::time::Instant::now();
    let (done, mut handled) = mpsc::unbounded_channel();
    let finish = move |job: Job, ctx: Context| {
        let done = done.clone();
        async move { done.send((job.n, ctx.attempt())).unwrap_or_default() }
    };
    let running = service(&bus).on("gate", finish).start().await.unwrap();
    let mut seen = BTreeSet::new();
    while seen.len() < 9 {
        seen.insert(handled.recv().await.unwrap());
    }
    assert_eq!(seen, (1..10).map(|n| (n, 1)).collect());
    assert_eq!(before.elapsed(), Duration::ZERO);
    assert_eq!(running.stop().await.abandoned, 0);
}

#[tokio::test]
async fn reports_add_up_wherever_the_stop_falls() {
    for round in 0..100u64 {
        let memory = Memory::seeded(MemoryConfig::default(), round);
        memory.record();
        let bus = memory.bus();
        let work = |job: Job, _| async move {
            for _ in 0..job.n % 7 {
                tokio::task::yield_now().await;
            }
        };
        let (mut finished, mut rounds) = (0, 0);
        for n in 0..200 {
            bus.publish(&job(n)).await.unwrap();
        }
        while rounds < 50 && finished < 200 {
            let running = service(&bus)
                .on("work", work)
                .tune("work", |o| o.concurrency(5))
                .start()
                .await
                .unwrap();
            for _ in 0..round % 41 {
                tokio::task::yield_now().await;
            }
            let before = acks(&memory);
            let report = running.stop().await;
            assert_eq!((report.abandoned, report.handed_back), (0, 0), "{report}");
            // No more than the slots were held, and each that was held is answered now.
            assert!(report.finished <= 5 && acks(&memory) - before >= report.finished as usize);
            let group = GroupName::new("jobs", "work").unwrap();
            assert_eq!(memory.lag(&group).await.unwrap().in_flight, 0);
            finished = acks(&memory);
            rounds += 1;
        }
        let ids: BTreeSet<_> = acked(&memory).into_iter().collect();
        assert_eq!(ids.len(), finished, "nothing was handled twice");
    }
}

fn acked(memory: &Memory) -> Vec<EventId> {
    let acked = |fact| match fact {
        Fact::Settled { id, settlement: bus_core::settle::Settlement::Ack, .. } => Some(id),
        _ => None,
    };
    memory.history().into_iter().filter_map(acked).collect()
}

fn acks(memory: &Memory) -> usize {
    acked(memory).len()
}

#[tokio::test]
async fn health_goes_from_starting_to_ready_to_stopping() {
    let bus = Bus::in_memory();
    let service = service(&bus).handlers(handlers![slow]);
    let probe = service.probe();
    assert_eq!(probe.readiness().reasons, ["the service is starting"]);
    let running = service.start().await.unwrap();
    probe.ready().await;
    assert!(probe.readiness().ready && probe.is_alive());
    running.stop().await;
    assert_eq!(probe.readiness().reasons, ["the service does not run"]);
    // It never will be ready again, and says so at once.
    probe.ready().await;
    assert!(probe.is_alive(), "a service that stops is no reason to kill the process");
}

/// Handles until `total` is reached, then tells.
fn counter(
    total: usize,
) -> (impl Fn(Task, Context) -> std::future::Ready<()> + Send + Sync, Arc<Notify>) {
    let (count, done) = (AtomicUsize::new(0), Arc::new(Notify::new()));
    let tell = Arc::clone(&done);
    let handle = move |_: Task, _: Context| {
        if count.fetch_add(1, Ordering::SeqCst) + 1 == total {
            tell.notify_one();
        }
        std::future::ready(())
    };
    (handle, done)
}

#[tokio::test]
async fn a_handler_that_hangs_does_not_starve_another() {
    let bus = Bus::in_memory();
    let (count, done) = counter(100);
    let hangs = |_: Job, _| std::future::pending::<()>();
    let running = service(&bus).on("hangs", hangs).on("count", count).grace(Duration::ZERO);
    let running = running.start().await.unwrap();
    for n in 0..100 {
        bus.publish(&job(n)).await.unwrap();
        bus.publish(&Task { n }).await.unwrap();
    }
    done.notified().await;
    let report = running.stop().await;
    assert_eq!((report.handed_back, report.abandoned), (16, 0));
}

#[tokio::test]
async fn a_flood_for_one_handler_does_not_starve_another() {
    let memory = Memory::new();
    let bus = memory.bus();
    let busy = |_: Job, _| async { tokio::task::yield_now().await };
    let (count, done) = counter(100);
    for n in 0..20_000 {
        bus.publish(&job(n)).await.unwrap();
    }
    let running = service(&bus).on("busy", busy).on("count", count).start().await.unwrap();
    for n in 0..100 {
        bus.publish(&Task { n }).await.unwrap();
    }
    done.notified().await;
    let group = GroupName::new("jobs", "busy").unwrap();
    let lag = memory.lag(&group).await.unwrap();
    assert!(lag.waiting > 10_000, "the flood was over too early to show anything: {lag:?}");
    running.stop().await;
}

/// Blocks threads until it is opened.
#[derive(Default)]
struct Wall {
    open: Mutex<bool>,
    changed: Condvar,
    blocked: AtomicUsize,
}

impl Wall {
    fn block(&self) {
        self.blocked.fetch_add(1, Ordering::SeqCst);
        let open = self.open.lock().unwrap();
        drop(self.changed.wait_while(open, |open| !*open));
    }
}

impl Drop for Opener {
    fn drop(&mut self) {
        *self.0.open.lock().unwrap() = true;
        self.0.changed.notify_all();
    }
}

/// Opens the wall also when the test fails: a runtime waits for its blocked threads.
struct Opener(Arc<Wall>);

/// A handler that blocks for good after a number of sleeps of 60 ms, beside one that counts.
async fn beside_a_wall(sleeps: usize, blocked: usize) -> Report {
    let bus = Bus::in_memory();
    let wall = Arc::new(Wall::default());
    let opener = Opener(Arc::clone(&wall));
    let begun = Arc::new(AtomicUsize::new(0));
    let blocks = {
        let wall = Arc::clone(&wall);
        move |_: Job, _| {
            let (wall, begun) = (Arc::clone(&wall), Arc::clone(&begun));
            async move {
                if begun.fetch_add(1, Ordering::SeqCst) < sleeps {
                    #[expect(
                        clippy::disallowed_methods,
                        reason = "it blocks its thread on purpose"
                    )]
                    std::thread::sleep(Duration::from_millis(60));
                } else {
                    wall.block();
                }
            }
        }
    };
    let (count, done) = counter(1000);
    let running = service(&bus).on("blocks", blocks).on("count", count).grace(Duration::ZERO);
    let running = running.start().await.unwrap();
    for n in 0..100 {
        bus.publish(&job(n)).await.unwrap();
    }
    while wall.blocked.load(Ordering::SeqCst) < blocked {
        tokio::task::yield_now().await;
    }
    for n in 0..1000 {
        bus.publish(&Task { n }).await.unwrap();
    }
    done.notified().await;
    let report = running.stop().await;
    drop(opener);
    report
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_blocks_from_its_first_run_on_does_not_starve_another() {
    // Its runs begin some time apart until it is known: here one, and perhaps a few more.
    let report = beside_a_wall(0, 1).await;
    assert!(report.handed_back == 0 && report.abandoned >= 1, "{report}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_that_is_known_to_block_gets_threads_and_does_not_starve_another() {
    // More threads are blocked than the runtime has workers.
    let report = beside_a_wall(2, 16).await;
    assert_eq!((report.handed_back, report.abandoned), (0, 16));
}

/// By then its runs are begun where they are taken, and whoever takes them is what blocks.
#[tokio::test(flavor = "multi_thread", worker_threads = 5)]
async fn a_quick_handler_that_blocks_for_once_holds_up_neither_its_own_events_nor_a_stop() {
    let bus = Bus::in_memory();
    let (wall, done) = (Arc::new(Wall::default()), Arc::new(AtomicUsize::new(0)));
    let opener = Opener(Arc::clone(&wall));
    let handler = {
        let (wall, done) = (Arc::clone(&wall), Arc::clone(&done));
        move |job: Job, _| {
            match job.n {
                u32::MAX => wall.block(),
                _ => drop(done.fetch_add(1, Ordering::SeqCst)),
            }
            std::future::ready(())
        }
    };
    let running = service(&bus).on("quick", handler).grace(Duration::ZERO).start().await.unwrap();
    let until = async |number: &AtomicUsize, wanted: usize| {
        let reached = async {
            while number.load(Ordering::SeqCst) < wanted {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(MINUTE, reached).await.expect("the others go on");
    };
    for round in 1..=3 {
        for n in 0..1000 {
            bus.publish(&job(n)).await.unwrap();
        }
        until(&done, round * 1100 - 100).await;
        bus.publish(&job(u32::MAX)).await.unwrap();
        until(&wall.blocked, round).await;
        for n in 0..100 {
            bus.publish(&job(n)).await.unwrap();
        }
        until(&done, round * 1100).await;
    }
    let report = tokio::time::timeout(MINUTE, running.stop()).await.expect("it stops");
    assert_eq!((report.handed_back, report.abandoned), (0, 3), "{report}");
    drop(opener);
}

#[tokio::test]
async fn a_new_group_begins_where_start_says() {
    let bus = Bus::in_memory();
    let (all, mut from_the_beginning) = mpsc::unbounded_channel();
    let (new, mut from_now) = mpsc::unbounded_channel();
    let collect = |into: mpsc::UnboundedSender<u32>| {
        move |job: Job, _: Context| {
            into.send(job.n).unwrap();
            std::future::ready(())
        }
    };
    for n in 0..3 {
        bus.publish(&job(n)).await.unwrap();
    }
    let running = service(&bus)
        .on("all", collect(all))
        .on("new", collect(new))
        .tune("new", |o| o.start(Start::Now))
        .start()
        .await
        .unwrap();
    let lines: Vec<_> = running.serves().iter().map(ToString::to_string).collect();
    let expected = [
        "jobs_all handles jobs.run on jobs.*.run, 16 at once, 3 waiting",
        "jobs_new handles jobs.run on jobs.*.run, 16 at once, 0 waiting",
    ];
    assert_eq!(lines, expected);
    bus.publish(&job(3)).await.unwrap();
    for n in 0..4 {
        assert_eq!(from_the_beginning.recv().await, Some(n));
    }
    assert_eq!(from_now.recv().await, Some(3));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_publishers_and_many_workers_lose_nothing_and_repeat_nothing() {
    let memory = Memory::new();
    memory.record();
    let bus = memory.bus();
    let work = |_: Job, _| async { tokio::task::yield_now().await };
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(service(&bus).on("work", work).start().await.unwrap());
    }
    let tasks = TaskTracker::new();
    for lane in 0..4 {
        let bus = bus.clone();
        tasks.spawn(async move {
            let jobs: Vec<_> = (0..2500).map(|n| Job { lane: lane.to_string(), n }).collect();
            for result in bus.publish_all(&jobs).await {
                result.unwrap();
            }
        });
    }
    tasks.close();
    tasks.wait().await;
    let group = GroupName::new("jobs", "work").unwrap();
    while memory.lag(&group).await.unwrap() != Default::default() {
        tokio::task::yield_now().await;
    }
    for replica in replicas {
        assert_eq!(replica.stop().await.abandoned, 0);
    }
    let acked = acked(&memory);
    assert_eq!((acked.len(), acked.iter().collect::<BTreeSet<_>>().len()), (10_000, 10_000));
}

trait Gateway: Send + Sync {
    fn charge(&self) -> u32;
}

struct Fake;

impl Gateway for Fake {
    fn charge(&self) -> u32 {
        7
    }
}

#[handler]
async fn charge(_: Task, State(gateway): State<dyn Gateway>) {
    assert_eq!(gateway.charge(), 7);
}

#[tokio::test]
async fn a_state_may_be_a_trait_object() {
    let test = bus_core::testing::TestBus::new();
    let service = Service::new("jobs", test.bus()).shared::<dyn Gateway>(Arc::new(Fake));
    test.start(service.handlers(handlers![charge])).await.unwrap();
    test.publish(&Task { n: 1 }).settled().await.unwrap();
    assert_eq!(test.handled("charge"), 1);
    // A unit test can call it.
    charge(Task { n: 1 }, State(Arc::new(Fake))).await;
}

#[tokio::test]
async fn a_start_error_reads_as_a_sentence_where_main_shows_it() {
    let error = service(&Bus::in_memory()).run().await.unwrap_err();
    let expected = "the service did not start: the service `jobs` has no handlers: \
                    add `.handlers(discover!())` or `.on(..)`";
    assert_eq!(format!("{error:?}"), expected);
}

/// Whatever is awaited can be spawned. It compiles, and that is all.
#[expect(dead_code, reason = "it is compiled and never run")]
fn every_future_is_send(service: fn() -> Service, bus: &Bus, test: &bus_core::testing::TestBus) {
    fn send(_: impl Send) {}
    let (job, jobs) = (job(1), [job(1)]);
    send(service().start());
    send(service().run());
    send(service().run_until(std::future::ready(())));
    send(async move { service().start().await.unwrap().stop().await });
    send(bus.publish(&job));
    send(bus.publish_all(&jobs));
    send(test.publish(&job).settled());
    send(test.publish(&job).finished());
    send(test.start(service()));
    send(test.advance(SECOND));
    send(test.assert_idempotent("charge", &job));
    let probe = service().probe();
    send(async move { probe.ready().await });
}

//! A handler's run: whatever it does, the event is answered, and nothing else suffers.

#![expect(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bus_core::memory::Memory;
use bus_core::prelude::*;
use bus_core::settle::Reason;
use bus_core::testing::TestBus;
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(subject = "jobs.run")]
struct Job {
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
enum Kind {
    Good,
    Fails,
    Rejects,
    Panics,
    PanicsInDrop,
    PanicsInDisplay,
    PanicsInErrorDrop,
    Hangs,
    HangsAndPanicsInDrop,
    PanicsBeforeItIsPolled,
}

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "jobs.done")]
struct Done {
    n: u32,
}

struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("boom in drop");
        }
    }
}

#[derive(Debug)]
struct BadDisplay;

impl fmt::Display for BadDisplay {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("boom in display")
    }
}

impl std::error::Error for BadDisplay {}

struct BadDrop;

impl fmt::Debug for BadDrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BadDrop")
    }
}

impl fmt::Display for BadDrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bad drop")
    }
}

impl std::error::Error for BadDrop {}

impl Drop for BadDrop {
    fn drop(&mut self) {
        panic!("boom in an error's drop");
    }
}

const POLICY: Retry = Retry::fixed(MINUTE).attempts(2);

#[handler(timeout = Duration::from_millis(50), retry = POLICY)]
async fn work(job: Job) -> HandlerResult {
    match job.kind {
        Kind::Good => Ok(()),
        Kind::Fails => Err("it fails".into()),
        Kind::Rejects => Err(HandlerError::reject("never").classed("hopeless")),
        Kind::Panics => panic!("boom {}", 7),
        Kind::PanicsInDrop => {
            let _bomb = Bomb;
            tokio::task::yield_now().await;
            Ok(())
        }
        Kind::PanicsInDisplay => Err(BadDisplay.into()),
        Kind::PanicsInErrorDrop => Err(BadDrop.into()),
        Kind::Hangs => std::future::pending().await,
        Kind::HangsAndPanicsInDrop => {
            let _bomb = Bomb;
            std::future::pending().await
        }
        Kind::PanicsBeforeItIsPolled => Ok(()),
    }
}

struct Eager;

impl Handler<Job> for Eager {
    fn handle(&self, job: Job, _: Context) -> impl Future<Output = HandlerResult> + Send {
        assert_ne!(job.kind, Kind::PanicsBeforeItIsPolled, "boom before a future is there");
        async { Ok(()) }
    }
}

async fn bus_with_work() -> TestBus {
    let test = TestBus::new();
    test.start(Service::new("jobs", test.bus()).handlers(handlers![work])).await.unwrap();
    test
}

#[tokio::test]
async fn every_way_to_fail_is_a_failed_attempt_and_then_a_dead_letter() {
    for (kind, class, text) in [
        (Kind::Fails, "_OTHER", "it fails"),
        (Kind::Panics, "panic", "boom 7"),
        (Kind::PanicsInDrop, "panic", "boom in drop"),
        (Kind::PanicsInDisplay, "_OTHER", "its text panics"),
        (Kind::PanicsInErrorDrop, "_OTHER", "bad drop"),
        (Kind::Hangs, "timeout", "no end within 50ms"),
        (Kind::HangsAndPanicsInDrop, "timeout", "no end within 50ms"),
    ] {
        let test = bus_with_work().await;
        test.publish(&Job { kind }).settled().await.unwrap();
        assert_eq!((test.handled("work"), test.retried("work")), (0, 1), "{kind:?}");
        test.advance(MINUTE).await;
        let letters = test.dead_letters("work");
        let [letter] = &letters[..] else { panic!("{kind:?}: {letters:?}") };
        assert_eq!((letter.reason, letter.failed.attempt), (Reason::Exhausted, 2), "{kind:?}");
        assert_eq!((&*letter.failed.class, letter.failed.text.as_str()), (class, text), "{kind:?}");
        assert_eq!(letter.failed.last.duration_since(letter.failed.first).unwrap(), MINUTE);
        assert_eq!((&*letter.failed.handler, &*letter.failed.service), ("work", "jobs"));
        assert_eq!(letter.failed.version, env!("CARGO_PKG_VERSION"));
        // The worker lives on.
        test.publish(&Job { kind: Kind::Good }).settled().await.unwrap();
        assert_eq!(test.handled("work"), 1, "{kind:?}");
    }
}

#[tokio::test]
async fn a_handler_that_panics_before_there_is_a_future_is_caught_too() {
    let test = TestBus::new();
    test.start(Service::new("jobs", test.bus()).on("eager", Eager)).await.unwrap();
    test.publish(&Job { kind: Kind::PanicsBeforeItIsPolled }).settled().await.unwrap();
    assert_eq!(test.failures("eager")[0].class, "panic");
    test.publish(&Job { kind: Kind::Good }).settled().await.unwrap();
    assert_eq!(test.handled("eager"), 1);
}

#[tokio::test]
async fn a_rejected_event_is_a_dead_letter_at_once() {
    let test = bus_with_work().await;
    test.publish(&Job { kind: Kind::Rejects }).settled().await.unwrap();
    let letter = &test.dead_letters("work")[0];
    assert_eq!((letter.reason, letter.failed.attempt), (Reason::Rejected, 1));
    assert_eq!((&*letter.failed.class, letter.failed.text.as_str()), ("hopeless", "never"));
}

/// An event of the same subject as `Job`, with other content.
fn foreign(type_name: &'static str, payload: &'static [u8]) -> Envelope {
    let id = EventId::parse(&format!("foreign-{type_name}")).unwrap();
    let mut envelope = Envelope::new(id, type_name, Subject::literal("jobs.run"), payload);
    envelope.headers.receive("X_odd", "as it came").unwrap();
    envelope
}

#[tokio::test]
async fn what_nobody_can_read_is_a_dead_letter_with_its_bytes_and_headers() {
    use bus_core::transport::Transport;

    let memory = Memory::new();
    let service = Service::new("jobs", memory.bus()).handlers(handlers![work]);
    for envelope in [foreign("jobs.run", b"\xff not json"), foreign("jobs.other", b"{}")] {
        memory.publish(envelope).await.unwrap();
    }
    let running = service.start().await.unwrap();
    let operator = memory.operator().unwrap();
    let letters = loop {
        let letters = operator.dead_letters(None, 10).await.unwrap();
        if letters.len() == 2 {
            break letters;
        }
        tokio::task::yield_now().await;
    };
    let kinds: Vec<_> =
        letters.iter().map(|letter| (letter.reason, letter.failed.attempt)).collect();
    assert_eq!(kinds, [(Reason::Undecodable, 1), (Reason::UnknownType, 0)]);
    assert_eq!(*letters[0].envelope, foreign("jobs.run", b"\xff not json"));
    assert_eq!(*letters[1].envelope, foreign("jobs.other", b"{}"));
    assert_eq!(letters[1].failed.text, "the group handles `jobs.run`, this is `jobs.other`");
    running.stop().await;
}

#[handler(retry = POLICY)]
async fn publishes(job: Job, ctx: Context, Attempt(attempt): Attempt) -> HandlerResult {
    for n in [1, 2, 2] {
        ctx.publish(&Done { n }).await?;
    }
    if job.kind == Kind::Fails && attempt == 1 {
        return Err("after it published".into());
    }
    Ok(())
}

#[tokio::test]
async fn a_handler_that_runs_again_publishes_the_same_ids() {
    let test = TestBus::new();
    test.start(Service::new("jobs", test.bus()).handlers(handlers![publishes])).await.unwrap();
    let id = test.publish(&Job { kind: Kind::Fails }).finished().await.unwrap();
    assert_eq!((test.handled("publishes"), test.retried("publishes")), (1, 1));
    // Two runs of three, of which two are equal: three events, each of them once.
    assert_eq!(test.published::<Done>().iter().map(|done| done.n).collect::<Vec<_>>(), [1, 2, 2]);
    let children: Vec<_> = test
        .history()
        .into_iter()
        .filter_map(|fact| match fact {
            bus_core::testing::Fact::Published { envelope, .. } => Some(envelope),
            _ => None,
        })
        .filter(|envelope| envelope.causation.as_ref() == Some(&id))
        .collect();
    assert_eq!(children.len(), 6);
    assert!(children.iter().all(|child| child.correlation == id && &*child.source == "jobs"));
    assert_eq!(children[0].id, children[3].id);
    assert_ne!(children[1].id, children[2].id);
    let text = children[0].id.to_string();
    assert_eq!(&text[14..15], "8", "a UUIDv8: {text}");
}

#[tokio::test]
async fn ids_of_children_never_change() {
    let test = TestBus::new();
    test.start(Service::new("jobs", test.bus()).handlers(handlers![publishes])).await.unwrap();
    let root = EventId::parse("00000000-0000-7000-8000-000000000001").unwrap();
    test.publish(&Job { kind: Kind::Good })
        .with(|publish| publish.id(root))
        .settled()
        .await
        .unwrap();
    let ids: Vec<_> = test
        .history()
        .into_iter()
        .filter_map(|fact| match fact {
            bus_core::testing::Fact::Published { envelope, .. } => Some(envelope.id.to_string()),
            _ => None,
        })
        .skip(1)
        .collect();
    // A build that makes other ids would publish twice what an older one published before a retry.
    let known = [
        "22aaa774-b781-8d75-92ad-e6172b6d21dc",
        "09f545c7-713f-840f-be07-025ca78af9d7",
        "b0d100e8-9bdd-8e3c-a92e-398d20a31104",
    ];
    assert_eq!(ids, known);
}

struct Counting(Arc<AtomicUsize>, &'static str);

#[async_trait]
impl Middleware<Context> for Counting {
    async fn call(&self, ctx: Context, next: Next<'_, Context>) -> HandlerResult {
        self.0.fetch_add(1, Ordering::SeqCst);
        if ctx.headers().get("skip") == Some(self.1) {
            return Err(HandlerError::reject("skipped").classed(self.1));
        }
        next.run(ctx).await
    }
}

struct Stamp(&'static str);

#[async_trait]
impl Middleware<Envelope> for Stamp {
    async fn call(
        &self,
        mut envelope: Envelope,
        next: Next<'_, Envelope>,
    ) -> Result<EventId, PublishError> {
        let stamps = envelope.headers.get("stamps").unwrap_or_default().to_owned();
        envelope.headers.insert("stamps", stamps + self.0)?;
        next.run(envelope).await
    }
}

#[tokio::test]
async fn middleware_wraps_the_bus_the_service_and_one_handler_in_this_order() {
    let test = TestBus::new();
    let count = || Arc::new(AtomicUsize::new(0));
    let (global, service, handler) = (count(), count(), count());
    let bus = test.bus().middleware(Counting(global.clone(), "global")).middleware(Stamp("g"));
    let jobs = Service::new("jobs", bus)
        .handlers(handlers![publishes, work])
        .middleware(Counting(service.clone(), "service"))
        .middleware(Stamp("s"))
        .middleware_for("publishes", Counting(handler.clone(), "handler"))
        .middleware_for("publishes", Stamp("h"));
    test.start(jobs).await.unwrap();
    test.publish(&Job { kind: Kind::Good }).settled().await.unwrap();
    let read = || [&global, &service, &handler].map(|count| count.swap(0, Ordering::SeqCst));
    assert_eq!(read(), [2, 2, 1], "two handlers, one of them with its own");
    let stamps: Vec<_> = test
        .history()
        .into_iter()
        .filter_map(|fact| match fact {
            bus_core::testing::Fact::Published { envelope, .. } => {
                envelope.headers.get("stamps").map(str::to_owned)
            }
            _ => None,
        })
        .collect();
    assert_eq!(stamps, ["gsh"; 3]);
    let skip = |publish: Publish| publish.header("skip", "service");
    test.publish(&Job { kind: Kind::Good }).with(skip).settled().await.unwrap();
    assert_eq!(read(), [2, 2, 0], "an outer one can end the run");
    assert_eq!(test.dead_letters("publishes")[0].failed.class, "service");
}

#[tokio::test]
async fn texts_of_errors_are_redacted_before_they_are_kept() {
    let redacted = async |redact: fn(&str) -> String| {
        let test = TestBus::new();
        let jobs = Service::new("jobs", test.bus()).handlers(handlers![work]).redact(redact);
        test.start(jobs).await.unwrap();
        test.publish(&Job { kind: Kind::Rejects }).settled().await.unwrap();
        test.dead_letters("work")[0].failed.text.clone()
    };
    assert_eq!(redacted(|text| format!("{} letters", text.len())).await, "5 letters");
    assert_eq!(redacted(|_| panic!("boom")).await, "its redaction panics");
}

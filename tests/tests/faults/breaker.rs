//! Circuit breakers, where much was fetched ahead.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bus_core::prelude::*;
use tests::jobs::{Does, Job};
use tokio::time::{Instant, sleep, timeout};

use crate::{MILLISECOND, PATIENCE, connect, dead_letters, server};

/// Does jobs while it is well; all workers note what is done in one place.
#[derive(Clone, Default)]
struct Work {
    sick: Arc<AtomicBool>,
    failed: Arc<AtomicUsize>,
    done: Arc<Mutex<BTreeSet<u32>>>,
}

impl Handler<Job> for Work {
    async fn handle(&self, job: Job, _: Context) -> HandlerResult {
        sleep(MILLISECOND).await;
        if self.sick.load(Ordering::SeqCst) {
            self.failed.fetch_add(1, Ordering::SeqCst);
            return Err("the database is away".into());
        }
        self.done.lock().unwrap().insert(job.number);
        Ok(())
    }
}

impl Work {
    fn done(&self) -> usize {
        self.done.lock().unwrap().len()
    }

    async fn until(&self, what: &str, holds: impl Fn(&Self) -> bool) {
        let wait = async {
            while !holds(self) {
                sleep(10 * MILLISECOND).await;
            }
        };
        let done = self.done();
        assert!(timeout(PATIENCE, wait).await.is_ok(), "never: {what}; {done} were done at first");
    }

    async fn start(&self, bus: Bus, breaker: Breaker) -> Running {
        let service = Service::new("jobs", bus).lease(SECOND * 30).on("work", self.clone());
        service.tune("work", move |options| options.breaker(breaker)).start().await.unwrap()
    }
}

async fn publish(bus: &Bus, jobs: std::ops::Range<u32>) {
    let jobs: Vec<_> = jobs.map(|number| Job { number, does: Does::Sleep(0) }).collect();
    assert!(bus.publish_all(&jobs).await.iter().all(Result::is_ok));
}

fn is_open(running: &Running) -> bool {
    let reasons = running.probe().readiness().reasons;
    reasons.iter().any(|reason| reason.starts_with("jobs_work: its circuit breaker is open"))
}

/// What a sick worker has fetched does not wait until it is well.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_sick_worker_has_fetched_goes_to_one_that_is_well_at_once() {
    let (server, transport, bus) = server().await;
    let (one, other) = (Work::default(), Work::default());
    let other = Work { done: Arc::clone(&one.done), ..other };
    // For ever, as far as this test is concerned.
    let sick = one.start(bus.clone(), Breaker::new().pause(HOUR, HOUR)).await;
    publish(&bus, 0..20_000).await;
    one.until("it has gained pace", |one| one.done() > 5_000).await;
    one.sick.store(true, Ordering::SeqCst);
    one.until("it is open", |_| is_open(&sick)).await;
    let (before, begun) = (one.done(), Instant::now());
    let well = other.start(Bus::new(connect(&server.url()).await), Breaker::new()).await;
    other.until("all is done", |other| other.done() == 20_000).await;
    let failed = one.failed.load(Ordering::SeqCst);
    println!("{before} before, {failed} failed, the rest in {:?}", begun.elapsed());
    assert!(failed < 200, "{failed}");
    assert!(dead_letters(&transport).await.is_empty());
    assert!(well.probe().readiness().ready && is_open(&sick));
    let begun = Instant::now();
    assert_eq!(sick.stop().await.abandoned, 0);
    assert!(begun.elapsed() < SECOND * 5, "{:?}", begun.elapsed());
    assert_eq!(well.stop().await.abandoned, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_burns_little_and_ends_by_itself() {
    let (_server, transport, bus) = server().await;
    let work = Work::default();
    let running = work.start(bus.clone(), Breaker::new().pause(200 * MILLISECOND, SECOND)).await;
    for round in 0..2 {
        let before = work.failed.load(Ordering::SeqCst);
        work.sick.store(true, Ordering::SeqCst);
        publish(&bus, round * 2_000..(round + 1) * 2_000).await;
        work.until("it is open", |_| is_open(&running)).await;
        sleep(SECOND * 2).await;
        let failed = work.failed.load(Ordering::SeqCst) - before;
        work.sick.store(false, Ordering::SeqCst);
        let mended = Instant::now();
        running.probe().ready().await;
        println!("{failed} failed, ready after {:?}", mended.elapsed());
        assert!(failed < 100, "{failed}");
        work.until("all is done", |work| work.done() == (round as usize + 1) * 2_000).await;
    }
    assert!(dead_letters(&transport).await.is_empty());
    assert_eq!(running.stop().await.abandoned, 0);
}

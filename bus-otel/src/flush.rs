use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::SdkLoggerProvider;

use crate::error::FlushError;
use crate::export::{Failures, Health, Queue};
use crate::pipeline::{Pipeline, Providers};

/// How long sending what is left may take in all: less than the SDK's own limit, so that what waits
/// is counted here.
const LIMIT: Duration = Duration::from_millis(4_800);
const SDK_LIMIT: Duration = Duration::from_secs(5);

/// Everything that holds telemetry back.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) pipeline: Arc<Pipeline>,
    pub(crate) services: Vec<(Providers, Option<Arc<Queue>>)>,
    pub(crate) logger: Option<(SdkLoggerProvider, Arc<Queue>)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Then {
    GoOn,
    End,
}

type Job = Box<dyn FnOnce() -> OTelSdkResult + Send>;

impl Held {
    /// Sends what is held, on threads of its own: the SDK waits in ways that a runtime must not.
    pub(crate) fn send(self, then: Then) -> Result<(), FlushError> {
        let pipeline = &self.pipeline;
        let before = pipeline.failures();
        if then == Then::End {
            pipeline.healths().into_iter().for_each(Health::close);
        }
        // What a deaf collector keeps waiting is there once, however often it is asked for.
        let under_way = Arc::clone(&pipeline.flushing);
        if under_way.swap(true, Ordering::AcqRel) && then == Then::GoOn {
            return Err(FlushError::Busy);
        }
        match run(self.jobs(then), under_way).map_err(FlushError::Thread)? {
            Finished::InTime(sdk_failed) => self.verdict(before, sdk_failed),
            Finished::Late => Err(FlushError::Timeout { limit: LIMIT, lost: self.abandon(then) }),
        }
    }

    fn jobs(&self, then: Then) -> Vec<Job> {
        let mut jobs: Vec<Job> = Vec::new();
        for (Providers { tracer, meter }, _) in &self.services {
            let (tracer, meter) = (tracer.clone(), meter.clone());
            match then {
                Then::GoOn => {
                    jobs.push(Box::new(move || tracer.force_flush()));
                    jobs.push(Box::new(move || meter.force_flush()));
                }
                Then::End => {
                    jobs.push(Box::new(move || tracer.shutdown_with_timeout(SDK_LIMIT)));
                    jobs.push(Box::new(move || meter.shutdown_with_timeout(SDK_LIMIT)));
                }
            }
        }
        if let Some((logger, _)) = self.logger.clone() {
            jobs.push(match then {
                Then::GoOn => Box::new(move || logger.force_flush()),
                Then::End => Box::new(move || logger.shutdown_with_timeout(SDK_LIMIT)),
            });
        }
        jobs
    }

    /// By our own counters: the SDK's shutdown of spans says `Ok` when it sent nothing.
    fn verdict(&self, before: Failures, sdk_failed: Option<String>) -> Result<(), FlushError> {
        let pipeline = &self.pipeline;
        pipeline.healths().into_iter().for_each(Health::say_overflow);
        let failing = pipeline.healths().into_iter().find_map(Health::failing);
        let lost = pipeline.failures();
        match failing.or(sdk_failed) {
            Some(cause) => Err(FlushError::Lost { lost, cause }),
            None if lost != before => {
                Err(FlushError::Lost { lost, cause: "an export failed".into() })
            }
            None => Ok(()),
        }
    }

    /// Counts what nobody will send any more.
    fn abandon(&self, then: Then) -> Failures {
        if then == Then::End {
            let queues = self.services.iter().filter_map(|(_, queue)| queue.as_ref());
            let spans: usize = queues.map(|queue| queue.waiting()).sum();
            self.pipeline.spans.abandon(spans as u64);
            let logs = self.logger.as_ref().map_or(0, |(_, queue)| queue.waiting());
            self.pipeline.logs.abandon(logs as u64);
        }
        self.pipeline.failures()
    }
}

enum Finished {
    /// With the first failure that the SDK itself saw.
    InTime(Option<String>),
    Late,
}

/// Runs all jobs at once and waits for them, but not longer than the limit.
fn run(jobs: Vec<Job>, under_way: Arc<AtomicBool>) -> std::io::Result<Finished> {
    let (done, finished) = mpsc::channel();
    let count = jobs.len();
    for job in jobs {
        let done = done.clone();
        let work = move || drop(done.send(job()));
        thread::Builder::new().name("otel-flush".into()).spawn(work)?;
    }
    drop(done);
    let (all, joined) = mpsc::channel();
    thread::Builder::new().name("otel-flush".into()).spawn(move || {
        let results: Vec<_> = finished.iter().take(count).collect();
        under_way.store(false, Ordering::Release);
        let panicked = (results.len() < count).then(|| "the SDK panicked".to_owned());
        drop(all.send(results.into_iter().find_map(failure).or(panicked)));
    })?;
    Ok(match joined.recv_timeout(LIMIT) {
        Ok(failed) => Finished::InTime(failed),
        Err(_) => Finished::Late,
    })
}

/// A provider that the program has shut down itself has nothing left.
fn failure(result: OTelSdkResult) -> Option<String> {
    match result {
        Ok(()) | Err(OTelSdkError::AlreadyShutdown) => None,
        Err(error) => Some(error.to_string()),
    }
}

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use futures_executor::block_on;
use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::trace::{Span, SpanData, SpanExporter, SpanProcessor};

/// As in the SDK.
const FLUSH_LIMIT: Duration = Duration::from_secs(5);

/// How many spans leave at once, and how long one waits at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) batch: usize,
    pub(crate) delay: Duration,
}

/// Hands spans to the exporter in batches, on a thread of its own.
///
/// The SDK's own takes the memory of its whole queue at once: 23 MB for 65,536 spans. And it frees
/// each span on the thread of the exporter: an allocator with arenas takes its slow way then, each
/// time that the next span is made. Here one that was exported goes back to where one ends.
#[derive(Debug)]
pub(crate) struct Batches {
    shared: Arc<Shared>,
    pace: Pace,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<SpanData>,
    /// Exported, and to be freed by those who make spans.
    exported: Vec<SpanData>,
    /// Who waits until all that is waiting now has left.
    flushes: Vec<Sender<OTelSdkResult>>,
    resource: Option<Resource>,
    ended: bool,
}

impl Batches {
    pub(crate) fn start(exporter: impl SpanExporter + 'static, pace: Pace) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let worker = Worker { shared: shared.clone(), exporter, pace };
        thread::Builder::new().name("otel-spans".into()).spawn(|| worker.run())?;
        Ok(Self { shared, pace })
    }

    fn flush(&self, end: bool, limit: Duration) -> OTelSdkResult {
        let (done, flushed) = channel();
        {
            let mut state = self.shared.state();
            if state.ended {
                return Err(OTelSdkError::AlreadyShutdown);
            }
            state.ended = end;
            state.flushes.push(done);
        }
        self.shared.work.notify_one();
        flushed.recv_timeout(limit).unwrap_or(Err(OTelSdkError::Timeout(limit)))
    }
}

impl SpanProcessor for Batches {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        let mut state = self.shared.state();
        state.waiting.push_back(span);
        let (full, exported) = (state.waiting.len() == self.pace.batch, state.exported.pop());
        drop(state);
        drop(exported);
        if full {
            self.shared.work.notify_one();
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.flush(false, FLUSH_LIMIT)
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.flush(true, timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.shared.state().resource = Some(resource.clone());
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Worker<E> {
    shared: Arc<Shared>,
    exporter: E,
    pace: Pace,
}

impl<E: SpanExporter> Worker<E> {
    fn run(mut self) {
        let _unexported = Context::enter_telemetry_suppressed_scope();
        loop {
            let (mut due, flushes, ended) = self.wait();
            let mut result = Ok(());
            while due > 0 {
                let batch = self.take(due.min(self.pace.batch));
                due -= batch.len();
                // The exporter frees what it is given, on this thread.
                if let Err(error) = block_on(self.exporter.export(batch.clone())) {
                    result = Err(error);
                }
                if !ended {
                    self.give_back(batch);
                }
            }
            if ended {
                let _ = self.exporter.shutdown();
            }
            for flush in flushes {
                let result =
                    result.as_ref().map_err(|e| OTelSdkError::InternalFailure(e.to_string()));
                // Who gave up waiting has said so itself.
                let _ = flush.send(result.copied());
            }
            if ended {
                return;
            }
        }
    }

    /// Until a batch is full, the time is over, or somebody asks: how many spans are due.
    fn wait(&mut self) -> (usize, Vec<Sender<OTelSdkResult>>, bool) {
        let Pace { batch, delay } = self.pace;
        let idle = |state: &mut State| {
            state.waiting.len() < batch && state.flushes.is_empty() && !state.ended
        };
        let state = self.shared.work.wait_timeout_while(self.shared.state(), delay, idle);
        let (mut state, _) = state.unwrap_or_else(PoisonError::into_inner);
        if let Some(resource) = state.resource.take() {
            self.exporter.set_resource(&resource);
        }
        // Where nobody makes spans, nobody frees them; and not under the lock.
        let idle = state.waiting.is_empty() || state.ended;
        let _exported = if idle { std::mem::take(&mut state.exported) } else { Vec::new() };
        let due = (state.waiting.len(), std::mem::take(&mut state.flushes), state.ended);
        drop(state);
        due
    }

    fn take(&self, spans: usize) -> Vec<SpanData> {
        let mut state = self.shared.state();
        let batch = state.waiting.drain(..spans).collect();
        if state.waiting.is_empty() {
            // The memory of a burst is not kept for ever.
            state.waiting.shrink_to(2 * self.pace.batch);
        }
        batch
    }

    fn give_back(&self, batch: Vec<SpanData>) {
        // What was there before nobody took: it is freed here, where nobody waits for the lock.
        let _before = std::mem::replace(&mut self.shared.state().exported, batch);
    }
}

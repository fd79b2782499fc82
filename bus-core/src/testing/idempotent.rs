//! Whether a handler that runs again does the same again.

use std::sync::Arc;
use std::time::Duration;

use super::test_bus::TestBus;
use crate::envelope::{Envelope, EventId};
use crate::event::Event;
use crate::memory::history::Fact;
use crate::settle::Settlement;
use crate::transport::GroupName;

/// Longer than any lease; the clock is moved by it, nobody waits.
const AFTER_THE_LEASE: Duration = Duration::from_secs(24 * 60 * 60);

impl TestBus {
    /// Runs a handler on an event, runs it once more, and once more after a crash between its end
    /// and its answer; each run has to *publish* the same events under the same ids. Effects beside
    /// that are what [`assert_idempotent_in`](Self::assert_idempotent_in) looks at.
    ///
    /// # Panics
    /// If it does not, or if the handler fails.
    pub async fn assert_idempotent<E: Event>(&self, handler: &str, event: &E) {
        self.assert_idempotent_in(handler, event, || ()).await;
    }

    /// The same, and what `look` sees of the handler's effects must be the same after one run and
    /// after all of them.
    ///
    /// # Panics
    /// If it is not.
    #[expect(clippy::panic, reason = "a test has to fail here")]
    pub async fn assert_idempotent_in<E: Event, T: PartialEq + std::fmt::Debug>(
        &self,
        handler: &str,
        event: &E,
        look: impl Fn() -> T,
    ) {
        let group = self.group(handler);
        let envelope = match self.bus().seal(event) {
            Ok(envelope) => Arc::new(envelope),
            Err(error) => panic!("the event does not encode: {error}"),
        };
        let first = self.run_once(&group, &envelope, false).await;
        let seen = look();
        let second = self.run_once(&group, &envelope, false).await;
        assert_eq!(first, second, "`{handler}` published other events when it ran again");
        let crashed = self.run_once(&group, &envelope, true).await;
        let twice = [first.clone(), first].concat();
        assert_eq!(twice, crashed, "`{handler}` published other events after a crash");
        assert_eq!(seen, look(), "the effects of `{handler}` are not the same after it ran again");
    }

    /// What one delivery published, in order: type and id.
    async fn run_once(
        &self,
        group: &GroupName,
        envelope: &Arc<Envelope>,
        crash: bool,
    ) -> Vec<(String, EventId)> {
        let before = self.history().len();
        let now = self.memory().clock().elapsed();
        self.memory().broker(|broker| {
            if crash {
                broker.recorder.crashes.push((group.clone(), envelope.id.clone()));
            }
            broker.deliver(group, envelope, now);
        });
        self.settled().await;
        if crash {
            self.advance(AFTER_THE_LEASE).await;
        }
        let facts = self.history().split_off(before);
        let answers = facts.iter().filter_map(|fact| match fact {
            Fact::Settled { group: other, id, settlement }
                if other == group && *id == envelope.id =>
            {
                Some(settlement)
            }
            _ => None,
        });
        let answers: Vec<_> = answers.collect();
        assert_eq!(answers, [&Settlement::Ack], "`{group}` did not handle the event");
        facts.iter().filter_map(|fact| child(fact, &envelope.id)).collect()
    }
}

fn child(fact: &Fact, parent: &EventId) -> Option<(String, EventId)> {
    match fact {
        // What was published past the context names no cause, and has another id each time.
        Fact::Published { envelope, .. }
            if envelope.causation.as_ref().is_none_or(|id| id == parent) =>
        {
            Some((envelope.type_name.to_string(), envelope.id.clone()))
        }
        _ => None,
    }
}

//! A publish in a test, and what is waited for.

use super::test_bus::TestBus;
use crate::envelope::{Envelope, EventId};
use crate::publish::{Publish, PublishError};

/// How often the clock is moved to the next retry before a flow is called endless.
const MAX_STEPS: usize = 100_000;

/// A publish in a test: what should have happened when it is done?
#[derive(Debug)]
#[must_use = "nothing is published until it is waited for"]
pub struct TestPublish<'a> {
    test: &'a TestBus,
    publish: Publish,
}

impl<'a> TestPublish<'a> {
    pub(super) fn new(test: &'a TestBus, publish: Publish) -> Self {
        Self { test, publish }
    }

    /// Sets what a publish can be given: id, key, headers.
    pub fn with(mut self, set: impl FnOnce(Publish) -> Publish) -> Self {
        self.publish = set(self.publish);
        self
    }

    /// Waits until every handler that the event woke has answered, and every handler that their
    /// events woke. A retry that waits for its time is an answer.
    pub async fn settled(self) -> Result<EventId, PublishError> {
        let (test, story) = (self.test, self.publish.correlation_id().cloned());
        let id = self.publish.await?;
        test.wait(of(story, id.clone()), false).await;
        Ok(id)
    }

    /// As [`settled`](Self::settled), and moves the clock to every retry, until each event is
    /// handled or a dead letter.
    ///
    /// # Panics
    /// If there is no end to it.
    pub async fn finished(self) -> Result<EventId, PublishError> {
        let (test, story) = (self.test, self.publish.correlation_id().cloned());
        let id = self.settled().await?;
        let ours = of(story, id.clone());
        for _ in 0..MAX_STEPS {
            let Some(due) = test.memory().broker(|broker| broker.due(&ours)) else { return Ok(id) };
            test.move_to(due, &ours).await;
        }
        assert_eq!(MAX_STEPS, 0, "the retries of {id} have no end");
        Ok(id)
    }
}

/// The event itself, and the story that it is part of.
fn of(story: Option<EventId>, id: EventId) -> impl Fn(&Envelope) -> bool {
    move |envelope| envelope.id == id || Some(&envelope.correlation) == story.as_ref()
}

//! A `Context` by hand.

use std::sync::Arc;

use super::test_bus::TestBus;
use crate::context::{Context, Desk};
use crate::delivery::History;
use crate::envelope::Envelope;
use crate::event::Event;
use crate::publish::PublishError;
use crate::state::States;
use crate::transport::GroupName;

/// What a unit test gives to a handler that it calls.
///
/// ```
/// use bus_core::prelude::*;
/// use bus_core::testing::TestContext;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize, Event)] #[event(subject = "orders.placed")] struct OrderPlaced;
/// # #[derive(Serialize, Deserialize, Event)] #[event(subject = "payments.taken")] struct PaymentTaken;
/// #[handler]
/// async fn charge(order: OrderPlaced, ctx: Context) -> HandlerResult {
///     ctx.publish(&PaymentTaken).header("attempt", ctx.attempt().to_string()).await?;
///     Ok(())
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let test = TestContext::new(&OrderPlaced)?.attempt(3);
/// charge(OrderPlaced, test.context()).await.map_err(|error| error.to_string())?;
/// assert_eq!(test.published::<PaymentTaken>().len(), 1);
/// # Ok(()) }
/// ```
pub struct TestContext {
    test: TestBus,
    envelope: Envelope,
    history: History,
    states: States,
}

impl TestContext {
    /// The first delivery of an event.
    pub fn new<E: Event>(event: &E) -> Result<Self, PublishError> {
        let test = TestBus::new();
        let envelope = test.bus().seal(event)?;
        Ok(Self { test, envelope, history: History::default(), states: States::default() })
    }

    /// Makes it the delivery of this attempt, from 1.
    pub fn attempt(mut self, attempt: u32) -> Self {
        self.history.attempts = attempt.saturating_sub(1);
        self
    }

    /// Changes the envelope: id, key, headers.
    pub fn with(mut self, change: impl FnOnce(&mut Envelope)) -> Self {
        change(&mut self.envelope);
        self
    }

    /// Gives a value to what reads `State<T>` from the context, such as a parameter of your own. The
    /// function itself takes it as `State(Arc::new(gateway))`.
    pub fn state<T: Send + Sync + 'static>(mut self, value: T) -> Self {
        self.states.insert(Arc::new(value));
        self
    }

    /// The context.
    pub fn context(&self) -> Context {
        let group = GroupName::new("test", "handler");
        let Ok(group) = group else { unreachable!("both names are literals that fit") };
        let desk = Desk { bus: self.test.bus(), states: self.states.clone(), group };
        Context::new(Arc::new(self.envelope.clone()), self.history, Arc::new(desk), None)
    }

    /// What was published through the context.
    #[track_caller]
    pub fn published<E: Event>(&self) -> Vec<E> {
        self.test.published()
    }
}

impl std::fmt::Debug for TestContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestContext").field("envelope", &self.envelope).finish_non_exhaustive()
    }
}

//! What the services tell each other, and who listens.

use bus_core::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize, Event)]
#[event(subject = "orders.{region}.placed")]
pub(crate) struct OrderPlaced {
    pub(crate) region: String,
    #[event(key)]
    pub(crate) order: u64,
    pub(crate) total_cents: u64,
}

#[derive(Debug, Serialize, Deserialize, Event)]
#[event(subject = "orders.{region}.completed")]
pub(crate) struct OrderCompleted {
    pub(crate) region: String,
    #[event(key)]
    pub(crate) order: u64,
    pub(crate) receipt: String,
}

#[derive(Debug, Serialize, Deserialize, Event)]
#[event(subject = "orders.{region}.cancelled")]
pub(crate) struct OrderCancelled {
    pub(crate) region: String,
    #[event(key)]
    pub(crate) order: u64,
    pub(crate) reason: String,
}

#[derive(Debug, Serialize, Deserialize, Event)]
#[event(subject = "payments.taken")]
pub(crate) struct PaymentTaken {
    pub(crate) region: String,
    #[event(key)]
    pub(crate) order: u64,
    pub(crate) receipt: String,
}

#[derive(Debug, Serialize, Deserialize, Event)]
#[event(subject = "payments.refused")]
pub(crate) struct PaymentRefused {
    pub(crate) region: String,
    #[event(key)]
    pub(crate) order: u64,
    pub(crate) reason: String,
}

/// One handler, and the type of event that all has to reach it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listener {
    pub(crate) service: &'static str,
    pub(crate) handler: &'static str,
    pub(crate) event: &'static str,
}

/// Who listens to what. It is written down, and not asked from the services: a handler that one of
/// them lost has to be missed.
pub(crate) const LISTENERS: [Listener; 5] = [
    Listener { service: "billing", handler: "charge", event: OrderPlaced::TYPE },
    Listener { service: "orders", handler: "complete", event: PaymentTaken::TYPE },
    Listener { service: "orders", handler: "cancel", event: PaymentRefused::TYPE },
    Listener { service: "mailer", handler: "confirm", event: OrderCompleted::TYPE },
    Listener { service: "mailer", handler: "regret", event: OrderCancelled::TYPE },
];

//! What the services tell each other, and who listens.

use bus_core::prelude::*;
use serde::{Deserialize, Serialize};

use crate::role::Role;

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

/// The end of an order's story, if nothing gave up on the way.
#[derive(Debug, Serialize, Deserialize, Event)]
#[event(subject = "mails.sent")]
pub(crate) struct MailSent {
    #[event(key)]
    pub(crate) order: u64,
}

/// One handler.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listener {
    pub(crate) service: Role,
    pub(crate) handler: &'static str,
}

/// Who listens, in the order of the journey. It is written down, and not asked from the services: a
/// handler that one of them lost has to be missed.
pub(crate) const LISTENERS: [Listener; 8] = [
    Listener { service: Role::Mailer, handler: "welcome" },
    Listener { service: Role::Billing, handler: "charge" },
    Listener { service: Role::Orders, handler: "complete" },
    Listener { service: Role::Orders, handler: "cancel" },
    Listener { service: Role::Mailer, handler: "invoice" },
    Listener { service: Role::Mailer, handler: "confirm" },
    Listener { service: Role::Mailer, handler: "regret" },
    Listener { service: Role::Orders, handler: "close" },
];

//! The service `mailer`: tells customers how it ended.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bus_core::prelude::*;

use crate::RETRY;
use crate::events::{OrderCancelled, OrderCompleted};

pub(crate) fn service(bus: Bus) -> Service {
    Service::new("mailer", bus).handlers(discover!(crate::mailer)).state(Outbox::default())
}

#[derive(Debug, thiserror::Error, Failure)]
enum MailError {
    /// The server says itself when to come again.
    #[error("the mail server is busy for {0:?}")]
    #[failure(retry_after)]
    Busy(Duration),
}

#[handler(retry = RETRY)]
async fn confirm(
    completed: OrderCompleted,
    Attempt(attempt): Attempt,
    State(outbox): State<Outbox>,
) -> Result<(), MailError> {
    let OrderCompleted { order, receipt, .. } = completed;
    outbox.send(order, attempt, format!("Thank you for order {order}. Your receipt: {receipt}"))
}

#[handler(retry = RETRY)]
async fn regret(
    cancelled: OrderCancelled,
    Attempt(attempt): Attempt,
    State(outbox): State<Outbox>,
) -> Result<(), MailError> {
    let OrderCancelled { order, reason, .. } = cancelled;
    outbox.send(order, attempt, format!("Order {order} is cancelled: {reason}"))
}

/// Stands for a mail server; it keeps the last mail.
#[derive(Default)]
struct Outbox(Mutex<String>);

impl Outbox {
    fn send(&self, order: u64, attempt: u32, mail: String) -> Result<(), MailError> {
        if order % 40 == 1 && attempt == 1 {
            return Err(MailError::Busy(Duration::from_millis(250)));
        }
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = mail;
        Ok(())
    }
}

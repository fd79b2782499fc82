//! The service `mailer`: tells customers how it ended.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bus_core::prelude::*;

use crate::RETRY;
use crate::events::{MailSent, OrderCancelled, OrderCompleted, OrderPlaced};

pub(crate) fn service(bus: Bus) -> Service {
    Service::new("mailer", bus).handlers(discover!(crate::mailer)).state(Outbox::default())
}

#[derive(Debug, thiserror::Error, Failure)]
enum MailError {
    /// The server says itself when to come again.
    #[error("the mail server is busy for {0:?}")]
    #[failure(retry_after)]
    Busy(Duration),
    #[error("failed to tell")]
    #[failure(inherit)]
    Publish(#[from] PublishError),
}

/// Listens to the same event as billing's `charge`, and hears nothing of its troubles.
#[handler(retry = RETRY)]
async fn welcome(placed: OrderPlaced, State(outbox): State<Outbox>) {
    outbox.keep(format!("We have received order {}", placed.order));
}

#[handler(retry = RETRY)]
async fn confirm(
    completed: OrderCompleted,
    ctx: Context,
    State(outbox): State<Outbox>,
) -> Result<(), MailError> {
    let OrderCompleted { order, receipt, .. } = completed;
    let mail = format!("Thank you for order {order}. Your receipt: {receipt}");
    outbox.send(order, ctx.attempt(), mail)?;
    ctx.publish(&MailSent { order }).await?;
    Ok(())
}

#[handler(retry = RETRY)]
async fn regret(
    cancelled: OrderCancelled,
    ctx: Context,
    State(outbox): State<Outbox>,
) -> Result<(), MailError> {
    let OrderCancelled { order, reason, .. } = cancelled;
    outbox.send(order, ctx.attempt(), format!("Order {order} is cancelled: {reason}"))?;
    ctx.publish(&MailSent { order }).await?;
    Ok(())
}

/// Stands for a mail server; it keeps the last mail.
#[derive(Default)]
struct Outbox(Mutex<String>);

impl Outbox {
    fn send(&self, order: u64, attempt: u32, mail: String) -> Result<(), MailError> {
        if order % 40 == 1 && attempt == 1 {
            return Err(MailError::Busy(Duration::from_millis(250)));
        }
        self.keep(mail);
        Ok(())
    }

    fn keep(&self, mail: String) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = mail;
    }
}

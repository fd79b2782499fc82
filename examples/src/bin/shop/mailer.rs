//! The service `mailer`: tells customers how it ended.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bus_core::prelude::*;

use crate::RETRY;
use crate::events::{MailSent, OrderCancelled, OrderCompleted, OrderPlaced, PaymentTaken};

/// Where they are `mended`, mailboxes have room for what comes back from the dead letters.
pub(crate) fn service(bus: Bus, mended: bool) -> Service {
    let outbox = Outbox { last: Mutex::default(), mended };
    Service::new("mailer", bus).handlers(discover!(crate::mailer)).state(outbox)
}

/// The class of the error for which the mailer is not to blame: see [`MailError::MailboxFull`].
pub(crate) const MAILBOX_FULL: &str = "mailbox_full";

#[derive(Debug, thiserror::Error, Failure)]
enum MailError {
    /// The server says itself when to come again.
    #[error("the mail server is busy for {0:?}")]
    #[failure(retry_after)]
    Busy(Duration),
    #[error("the customer's mailbox is full")]
    MailboxFull,
    #[error("failed to tell")]
    #[failure(inherit)]
    Publish(#[from] PublishError),
}

/// Listens to the same event as billing's `charge`, and hears nothing of its troubles.
#[handler(retry = RETRY)]
async fn welcome(placed: OrderPlaced, State(outbox): State<Outbox>) {
    outbox.keep(format!("We have received order {}", placed.order));
}

/// An invoice is long, and does not go into every mailbox.
#[handler(retry = RETRY)]
async fn invoice(
    taken: PaymentTaken,
    ctx: Context,
    State(outbox): State<Outbox>,
) -> Result<(), MailError> {
    let PaymentTaken { order, receipt, .. } = taken;
    let has_room = order % 100 != 60 || (outbox.mended && ctx.redrives() > 0);
    if !has_room {
        return Err(MailError::MailboxFull);
    }
    outbox.keep(format!("Invoice for order {order}. Your receipt: {receipt}"));
    Ok(())
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
struct Outbox {
    last: Mutex<String>,
    mended: bool,
}

impl Outbox {
    fn send(&self, order: u64, attempt: u32, mail: String) -> Result<(), MailError> {
        if order % 40 == 1 && attempt == 1 {
            return Err(MailError::Busy(Duration::from_millis(250)));
        }
        self.keep(mail);
        Ok(())
    }

    fn keep(&self, mail: String) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = mail;
    }
}

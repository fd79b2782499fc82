//! The service `billing`: charges every order, by a gateway that is not always there.

use bus_core::prelude::*;
use tracing::instrument;

use crate::RETRY;
use crate::events::{OrderPlaced, PaymentRefused, PaymentTaken};

/// Where the gateway is `mended`, it is there for what comes back from the dead letters.
pub(crate) fn service(bus: Bus, mended: bool) -> Service {
    Service::new("billing", bus).handlers(discover!(crate::billing)).state(Gateway { mended })
}

/// The class of the error for which billing is not to blame: see [`ChargeError::GatewayAway`].
pub(crate) const GATEWAY_AWAY: &str = "gateway_away";

#[derive(Debug, thiserror::Error, Failure)]
enum ChargeError {
    #[error("the gateway is away")]
    GatewayAway,
    #[error("the card of order {order} does not exist")]
    #[failure(reject)]
    NoSuchCard { order: u64 },
    #[error("failed to tell")]
    #[failure(inherit)]
    Publish(#[from] PublishError),
}

#[handler(retry = RETRY)]
async fn charge(
    placed: OrderPlaced,
    ctx: Context,
    State(gateway): State<Gateway>,
) -> Result<(), ChargeError> {
    let answer = gateway.charge(&placed, ctx.attempt(), ctx.redrives())?;
    let OrderPlaced { region, order, .. } = placed;
    match answer {
        Answer::Taken { receipt } => ctx.publish(&PaymentTaken { region, order, receipt }).await?,
        Answer::Refused { reason } => {
            ctx.publish(&PaymentRefused { region, order, reason }).await?
        }
    };
    Ok(())
}

/// A payment gateway that behaves by the order's number, so that every run of the shop is the
/// same.
struct Gateway {
    mended: bool,
}

enum Answer {
    Taken {
        receipt: String,
    },
    /// A "no" is an answer, not a failure: it has an event of its own.
    Refused {
        reason: String,
    },
}

impl Gateway {
    /// A span in the traces of billing, beneath that of the run.
    #[instrument(name = "charge card", skip_all, fields(order = placed.order), err)]
    fn charge(
        &self,
        placed: &OrderPlaced,
        attempt: u32,
        redrives: u32,
    ) -> Result<Answer, ChargeError> {
        let OrderPlaced { order, total_cents, .. } = *placed;
        if order % 50 == 0 {
            return Err(ChargeError::NoSuchCard { order });
        }
        let is_back = self.mended && redrives > 0;
        if attempt <= Self::away(order) && !is_back {
            return Err(ChargeError::GatewayAway);
        }
        if order % 25 == 3 {
            return Ok(Answer::Refused { reason: format!("no cover for {total_cents} cents") });
        }
        Ok(Answer::Taken { receipt: format!("R-{order}") })
    }

    /// How many attempts fail: one or two for every tenth order, all for every 75th.
    fn away(order: u64) -> u32 {
        match order {
            order if order % 75 == 74 => u32::MAX,
            order if order % 20 == 5 => 1,
            order if order % 20 == 15 => 2,
            _ => 0,
        }
    }
}

//! Shows how handlers and flows are tested: no server, no sleep, and a clock that is moved by
//! hand. The tests at the end do what `main` does, so `cargo test` runs them too.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::sync::Arc;

use bus_core::prelude::*;
use bus_core::testing::{TestBus, TestContext};
use serde::{Deserialize, Serialize};

type Checked = Result<(), Box<dyn std::error::Error>>;

#[derive(Debug, Serialize, Deserialize, Event)]
#[event(subject = "orders.placed")]
struct OrderPlaced {
    order: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Event)]
#[event(subject = "payments.taken")]
struct PaymentTaken {
    order: u32,
}

/// Is away for the first attempts.
struct Gateway {
    away: u32,
}

#[handler(retry = Retry::fixed(MINUTE).attempts(3))]
async fn charge(
    placed: OrderPlaced,
    ctx: Context,
    State(gateway): State<Gateway>,
) -> HandlerResult {
    if ctx.attempt() <= gateway.away {
        return Err("the gateway is away".into());
    }
    ctx.publish(&PaymentTaken { order: placed.order }).await?;
    Ok(())
}

async fn billing(away: u32) -> Result<TestBus, StartError> {
    let test = TestBus::new();
    let service = Service::new("billing", test.bus()).handlers(handlers![charge]);
    test.start(service.state(Gateway { away })).await?;
    Ok(test)
}

/// A handler is a function: it can be called.
async fn a_handler_by_itself() -> Checked {
    let test = TestContext::new(&OrderPlaced { order: 7 })?.attempt(2);
    let gateway = State(Arc::new(Gateway { away: 1 }));
    let charged = charge(OrderPlaced { order: 7 }, test.context(), gateway).await;
    assert!(charged.is_ok());
    assert_eq!(test.published::<PaymentTaken>(), [PaymentTaken { order: 7 }]);
    Ok(())
}

/// `settled`: all that can be done now is done. Then the clock is moved to the retry.
async fn a_short_outage_is_survived() -> Checked {
    let test = billing(1).await?;
    test.publish(&OrderPlaced { order: 7 }).settled().await?;
    assert_eq!((test.handled("charge"), test.retried("charge")), (0, 1));
    test.advance(MINUTE).await;
    assert_eq!((test.handled("charge"), test.retried("charge")), (1, 1));
    assert_eq!(test.published::<PaymentTaken>(), [PaymentTaken { order: 7 }]);
    Ok(())
}

/// `finished`: the clock is moved until each event is handled or a dead letter.
async fn a_long_outage_makes_a_dead_letter() -> Checked {
    let test = billing(9).await?;
    test.publish(&OrderPlaced { order: 7 }).finished().await?;
    let letters = test.dead_letters("charge");
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].failed.text, "the gateway is away");
    assert_eq!(test.failures("charge").len(), 3);
    Ok(())
}

/// A run may come twice; it has to publish the same events under the same ids.
async fn a_second_run_does_no_harm() -> Checked {
    billing(0).await?.assert_idempotent("charge", &OrderPlaced { order: 8 }).await;
    Ok(())
}

#[tokio::main]
async fn main() -> Checked {
    a_handler_by_itself().await?;
    println!("a handler by itself: called as the function that it is");
    a_short_outage_is_survived().await?;
    println!("a short outage: retried after a minute of the test's clock, then charged");
    a_long_outage_makes_a_dead_letter().await?;
    println!("a long outage: three attempts, then a dead letter");
    a_second_run_does_no_harm().await?;
    println!("a second run: the same events under the same ids");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::Checked;

    #[tokio::test]
    async fn a_handler_by_itself() -> Checked {
        super::a_handler_by_itself().await
    }

    #[tokio::test]
    async fn a_short_outage_is_survived() -> Checked {
        super::a_short_outage_is_survived().await
    }

    #[tokio::test]
    async fn a_long_outage_makes_a_dead_letter() -> Checked {
        super::a_long_outage_makes_a_dead_letter().await
    }

    #[tokio::test]
    async fn a_second_run_does_no_harm() -> Checked {
        super::a_second_run_does_no_harm().await
    }
}

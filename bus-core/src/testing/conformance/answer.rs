//! The answers that a case gives; each has to reach the broker.

use std::panic::Location;
use std::time::{Duration, SystemTime};

use super::member::fail;
use crate::delivery::Delivery;
use crate::settle::{Failed, Reason, SettleError, Settlement};

/// Says that the run of a delivery failed; equal runs make equal facts.
pub(super) fn failed(delivery: &Delivery) -> Failed {
    let attempt = delivery.history().next_attempt();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + u64::from(attempt));
    let mut failed = Failed::new("gateway_away", "the gateway is away", attempt, time);
    failed.first = delivery.history().first_failure.unwrap_or(time);
    (failed.handler, failed.service) = ("charge".into(), "billing".into());
    failed.version = "1.2.3".into();
    failed
}

#[track_caller]
pub(super) fn ack(delivery: Delivery) -> impl Future<Output = ()> {
    settle(delivery, Settlement::Ack)
}

#[track_caller]
pub(super) fn retry(delivery: Delivery, after: Duration) -> impl Future<Output = ()> {
    let failed = failed(&delivery);
    settle(delivery, Settlement::Retry { after, failed })
}

#[track_caller]
pub(super) fn give_up(delivery: Delivery) -> impl Future<Output = ()> {
    let failed = failed(&delivery);
    settle(delivery, Settlement::DeadLetter { reason: Reason::Rejected, failed })
}

#[track_caller]
pub(super) fn release(delivery: Delivery) -> impl Future<Output = ()> {
    settle(delivery, Settlement::Release)
}

#[track_caller]
fn settle(delivery: Delivery, settlement: Settlement) -> impl Future<Output = ()> {
    let (at, settled) = (Location::caller(), delivery.settle(settlement));
    async move { settled.await.unwrap_or_else(|error: SettleError| fail(at, &error)) }
}

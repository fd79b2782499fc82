//! Settlement → what JetStream is told. A plain success is acked unconfirmed; whatever stands
//! behind something that was stored is stored first and confirmed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bus_core::answer::Answer;
use bus_core::settle::{Failed, Reason, Settle, SettleError, Settlement};
use bytes::Bytes;
use tokio::time::Instant;

use crate::dead_letter;
use crate::lane::{Busy, Lane};
use crate::lease::Arrival;
use crate::runs::{self, Origin, Runs};

/// The longest delay that the server can count, with room to spare.
const LONGEST: Duration = Duration::from_secs(50 * 365 * 24 * 60 * 60);

/// Takes the answers of one member.
pub(crate) struct Answers(pub(crate) Arc<Lane>);

impl Settle for Answers {
    fn begin(&self, token: u64) -> Answer<Result<(), SettleError>> {
        let lane = &self.0;
        match lane.leases(|leases| leases.begin(token, Instant::now())) {
            Ok(None) => Answer::now(Ok(())),
            Ok(Some((origin, runs))) => {
                let lane = Arc::clone(lane);
                Answer::later(async move { note(&lane, token, &origin, runs).await })
            }
            Err(error) => Answer::now(Err(error)),
        }
    }

    fn settle(&self, token: u64, settlement: Settlement) -> Answer<Result<(), SettleError>> {
        let lane = &self.0;
        match settlement {
            Settlement::Ack => Answer::now(lane.leases(|leases| leases.ack(token))),
            Settlement::Release => match lane.leases(|leases| leases.release(token)) {
                Ok(None) => Answer::now(Ok(())),
                Ok(Some((origin, before))) => {
                    let claim = Claim::of(lane, token);
                    Answer::later(claim.release(origin, before))
                }
                Err(error) => Answer::now(Err(error)),
            },
            Settlement::Retry { after, failed } => match Claim::new(lane, token) {
                Ok((claim, arrival)) => Answer::later(claim.retry(arrival, after, failed)),
                Err(error) => Answer::now(Err(error)),
            },
            Settlement::DeadLetter { reason, failed } => match Claim::new(lane, token) {
                Ok((claim, arrival)) => Answer::later(claim.bury(arrival, reason, failed)),
                Err(error) => Answer::now(Err(error)),
            },
        }
    }

    fn abandon(&self, token: u64) {
        self.0.leases(|leases| leases.abandon(token));
    }
}

async fn note(lane: &Lane, token: u64, origin: &Origin, runs: Runs) -> Result<(), SettleError> {
    let noted = runs::note(&lane.shared, lane.name(), origin, runs).await;
    let sequence = noted.map_err(|error| unavailable(&error))?;
    lane.leases(|leases| leases.noted(token, sequence));
    Ok(())
}

/// An answer that takes its time. Dropped before its end, the event comes again after its lease.
pub(crate) struct Claim {
    lane: Arc<Lane>,
    token: u64,
    /// A flush waits for it.
    _busy: Busy,
}

impl Claim {
    pub(crate) fn new(lane: &Arc<Lane>, token: u64) -> Result<(Self, Arrival), SettleError> {
        let arrival = lane.leases(|leases| leases.claim(token))?;
        Ok((Self::of(lane, token), arrival))
    }

    fn of(lane: &Arc<Lane>, token: u64) -> Self {
        Self { lane: Arc::clone(lane), token, _busy: lane.busy() }
    }

    async fn release(self, origin: Origin, before: Runs) -> Result<(), SettleError> {
        note(&self.lane, self.token, &origin, before).await?;
        self.answer(Bytes::from_static(b"-NAK"), false).await
    }

    async fn retry(
        self,
        arrival: Arrival,
        after: Duration,
        failed: Failed,
    ) -> Result<(), SettleError> {
        let first = arrival.history.first_failure.unwrap_or(failed.first);
        let due = SystemTime::now().checked_add(after);
        let runs = Runs::new(failed.attempt, Some(first)).due(due);
        note(&self.lane, self.token, &arrival.origin, runs).await?;
        let nanos = after.min(LONGEST).as_nanos();
        // A delay of nothing the server takes for none, and that is meant here.
        self.answer(format!("-NAK {{\"delay\":{nanos}}}").into(), false).await
    }

    pub(crate) async fn bury(
        self,
        arrival: Arrival,
        reason: Reason,
        failed: Failed,
    ) -> Result<(), SettleError> {
        let lane = &self.lane;
        let stored = dead_letter::store(&lane.shared, lane.name(), &arrival, reason, failed).await;
        stored.map_err(|error| SettleError::NotStored { reason: error.to_string() })?;
        self.answer(format!("+TERM {reason}").into(), true).await
    }

    /// Tells the server, who confirms it. From here on the event is not ours: it may come again
    /// before the confirmation does.
    async fn answer(self, answer: Bytes, forget: bool) -> Result<(), SettleError> {
        let reply = self.lane.leases(|leases| leases.settle(self.token, forget))?;
        self.lane.confirm(reply, answer).await
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.lane.leases(|leases| leases.abandon(self.token));
    }
}

fn unavailable(error: &dyn std::fmt::Display) -> SettleError {
    SettleError::Unavailable { reason: error.to_string() }
}

//! Settlement → what JetStream is told. A plain success is acked unconfirmed; whatever stands
//! behind something that was stored is stored first and confirmed.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bus_core::answer::Answer;
use bus_core::sabotage::{Sabotage, planted};
use bus_core::settle::{Failed, Reason, Settle, SettleError, Settlement};
use bus_core::transport::TransportError;
use bytes::Bytes;
use tokio::time::Instant;

use crate::headers::stamp::Stamp;
use crate::lane::{ACK, Busy, Lane};
use crate::lease::{Arrival, Before};
use crate::runs::{self, Origin, Runs};
use crate::{copy, dead_letter};

/// The longest delay that the server can count, with room to spare.
const LONGEST: Duration = Duration::from_secs(50 * 365 * 24 * 60 * 60);

/// From this delay on a retry is a copy that waits apart, and keeps no place among the deliveries. Below
/// it a copy would be late: the server looks at schedules four times a second.
const COPIED: Duration = Duration::from_secs(1);

/// Takes the answers of one member.
pub(crate) struct Answers(pub(crate) Arc<Lane>);

impl Settle for Answers {
    fn begin(&self, token: u64) -> Answer<Result<(), SettleError>> {
        let lane = &self.0;
        match lane.leases(|leases| leases.begin(token, Instant::now())) {
            Ok(None) => Answer::now(Ok(())),
            Ok(Some(before)) => {
                let lane = Arc::clone(lane);
                Answer::later(async move { write_down(&lane, token, before).await })
            }
            Err(error) => Answer::now(Err(error)),
        }
    }

    fn settle(&self, token: u64, settlement: Settlement) -> Answer<Result<(), SettleError>> {
        let lane = &self.0;
        match settlement {
            Settlement::Ack => Answer::now(lane.leases(|leases| leases.ack(token))),
            Settlement::Release => {
                match lane.leases(|leases| leases.release(token, Instant::now())) {
                    Ok(None) => Answer::now(Ok(())),
                    Ok(Some((origin, before))) => {
                        let claim = Claim::of(lane, token);
                        Answer::later(claim.release(origin, before))
                    }
                    Err(error) => Answer::now(Err(error)),
                }
            }
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

async fn write_down(lane: &Lane, token: u64, before: Before) -> Result<(), SettleError> {
    let Before { origin, runs, letter } = before;
    if let Some(sequence) = letter {
        let gone = dead_letter::redriven(&lane.shared, lane.name(), &origin, sequence).await;
        gone.map_err(|error| unavailable(&error))?;
    }
    if let Some(runs) = runs {
        note(lane, token, &origin, runs).await?;
    }
    lane.leases(|leases| leases.begun(token, Instant::now()))
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
        let arrival = lane.leases(|leases| leases.claim(token, Instant::now()))?;
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
        if planted(Sabotage::BareNak) {
            return self.answer(Bytes::from_static(b"-NAK"), false).await;
        }
        let first = arrival.history.first_failure.unwrap_or(failed.first);
        let previous = failed.span.or(arrival.history.previous);
        let after = after.min(LONGEST);
        if after >= COPIED && self.lane.shared.has_schedules() {
            let mut stamp = Stamp::of(self.lane.name(), &arrival.original);
            (stamp.attempts, stamp.first_failure) = (failed.attempt, Some(first));
            stamp.previous = previous;
            let stored = copy::later(&self.lane.shared, &stamp, &arrival.original, after).await;
            match stored {
                Ok(()) => return self.answer(ACK, true).await,
                // With its further headers it may be more than the server takes; or the stream was
                // made when the server had no schedules.
                Err(TransportError::Full { .. } | TransportError::Unsupported { .. }) => {}
                Err(error) => return Err(unavailable(&error)),
            }
        }
        let due = SystemTime::now().checked_add(after);
        let runs = Runs::new(failed.attempt, Some(first)).due(due).previous(previous);
        note(&self.lane, self.token, &arrival.original.origin, runs).await?;
        // A delay of nothing the server takes for none, and that is meant here.
        let nanos = after.as_nanos();
        self.answer(format!("-NAK {{\"delay\":{nanos}}}").into(), false).await
    }

    /// Answers once the record is stored, however long that takes; at a stop it is handed back.
    pub(crate) async fn bury(
        self,
        arrival: Arrival,
        reason: Reason,
        failed: Failed,
    ) -> Result<(), SettleError> {
        if planted(Sabotage::AckBeforeLetter) {
            let _ = self.lane.confirm(arrival.reply.clone(), ACK).await;
        }
        match dead_letter::insist(&self.lane, &arrival.original, reason, failed).await {
            Ok(()) => self.answer(format!("+TERM {reason}").into(), true).await,
            Err(error) => {
                let before = Runs::of(arrival.history);
                let origin = arrival.original.origin.clone();
                // What is not handed back comes after its lease.
                let _ = self.release(origin, before).await;
                Err(SettleError::NotStored { reason: error.to_string() })
            }
        }
    }

    /// Tells the server, who confirms it. From here on the event is not ours: it may come again
    /// before the confirmation does.
    async fn answer(self, answer: Bytes, forget: bool) -> Result<(), SettleError> {
        let reply = self.lane.leases(|leases| leases.settle(self.token, forget, Instant::now()))?;
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

//! A message → an arrival, and what has to be seen to before it is yielded.

use std::sync::Arc;

use async_nats::Message;
use bus_core::delivery::History;
use bus_core::sabotage::{Sabotage, planted};
use bus_core::settle::Reason;
use tracing::{debug, warn};

use crate::dead_letter;
use crate::headers::stamp::Stamp;
use crate::headers::{Flat, Unreadable};
use crate::lane::Lane;
use crate::lease::{Arrival, Kind, Original};
use crate::runs::{self, Origin};
use crate::settle::Claim;

use self::told::Told;

mod told;

/// What arrived, if the message is of a stream. Its name is mostly the one that is asked, and then shared
/// with it.
pub(crate) fn read(
    kind: Kind,
    stream: &Arc<str>,
    asked: bool,
    message: Message,
) -> Option<Arrival> {
    let told = Told::read(message.reply.as_ref()?)?;
    let same = Some(stream).filter(|stream| ***stream == *told.stream).cloned();
    let stream = same.unwrap_or_else(|| told.stream.into());
    let Told { sequence, stored, deliveries, .. } = told;
    let origin = Origin { stream, sequence, stored, redrives: 0 };
    arrival(kind, asked, origin, deliveries, message)
}

fn arrival(
    kind: Kind,
    asked: bool,
    mut origin: Origin,
    deliveries: u64,
    message: Message,
) -> Option<Arrival> {
    let (again, mut letter, mut history) = (deliveries > 1, None, History::default());
    let (sequence, since) = (origin.sequence, origin.stored);
    let Message { reply, mut subject, headers, payload, .. } = message;
    if kind == Kind::Copies
        && let Some(stamp) = headers.as_ref().and_then(Stamp::read)
    {
        (origin, subject, letter) = (stamp.origin, stamp.subject.into(), stamp.letter);
        (history.attempts, history.first_failure) = (stamp.attempts, stamp.first_failure);
        history.previous = stamp.previous;
    }
    history.redrives = origin.redrives;
    if planted(Sabotage::AttemptsByDelivery) {
        history.attempts = u32::try_from(deliveries.saturating_sub(1)).unwrap_or_default();
    }
    let headers = Flat::of(headers.as_ref());
    let original = Arc::new(Original { origin, subject, headers, payload });
    let reply = reply?;
    Some(Arrival {
        kind,
        sequence,
        asked,
        reply,
        original,
        history,
        again,
        deliveries,
        since,
        letter,
    })
}

/// Looks up how often an event was run that came before.
pub(crate) async fn look_up(lane: &Lane, token: u64) {
    let Some(original) = lane.leases(|leases| leases.original(token)) else { return };
    match runs::look_up(&lane.shared, lane.name(), &original.origin).await {
        Ok(found) => lane.leases(|leases| leases.looked_up(token, found)),
        Err(error) => {
            debug!(group = %lane.name(), %error, "not delivered, it comes again");
            lane.leases(|leases| leases.abandon(token));
        }
    }
}

/// What can not become a delivery is kept as a dead letter.
pub(crate) async fn quarantine(lane: &Arc<Lane>, token: u64, error: &Unreadable) {
    let Ok((claim, arrival)) = Claim::new(lane, token) else { return };
    let (group, Origin { stream, sequence, .. }) = (lane.name(), &arrival.original.origin);
    warn!(%group, %stream, sequence, %error, "can not be read, is a dead letter");
    let failed = dead_letter::unread(group, "unreadable", &error.to_string());
    match claim.bury(arrival, Reason::Undecodable, failed).await {
        Ok(()) => lane.group.meters.unreadable(),
        Err(error) => warn!(%group, %error, "not settled, it comes again"),
    }
}

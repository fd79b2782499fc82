//! A message → an arrival, and what has to be seen to before it is yielded.

use std::sync::Arc;

use async_nats::Message;
use async_nats::jetstream::{self, Context};
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

/// What arrived, if the message is of a stream; gives back what it was read with.
pub(crate) fn read(
    kind: Kind,
    stream: &Arc<str>,
    asked: bool,
    message: Message,
    context: Context,
) -> (Option<Arrival>, Context) {
    let message = jetstream::Message { message, context };
    let known = known(&message, stream);
    let jetstream::Message { message, context } = message;
    (known.and_then(|known| arrival(kind, asked, known, message)), context)
}

/// What the server says of a message.
struct Known {
    origin: Origin,
    delivered: i64,
}

/// The name of the stream is mostly the one that is asked, and then shared with it.
fn known(message: &jetstream::Message, stream: &Arc<str>) -> Option<Known> {
    let info = message.info().ok()?;
    let same = Some(stream).filter(|stream| ***stream == *info.stream).cloned();
    let (stream, sequence) = (same.unwrap_or_else(|| info.stream.into()), info.stream_sequence);
    let origin = Origin { stream, sequence, stored: info.published.into(), redrives: 0 };
    Some(Known { origin, delivered: info.delivered })
}

fn arrival(kind: Kind, asked: bool, known: Known, message: Message) -> Option<Arrival> {
    let (Known { mut origin, delivered }, mut history) = (known, History::default());
    let (again, mut letter) = (delivered > 1, None);
    let (sequence, since) = (origin.sequence, origin.stored);
    let deliveries = u64::try_from(delivered).unwrap_or_default();
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
        history.attempts = u32::try_from(delivered - 1).unwrap_or_default();
    }
    let headers = Flat::of(headers);
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

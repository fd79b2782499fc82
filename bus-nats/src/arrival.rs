//! A message → a delivery; what can not become one is kept as a dead letter.

use std::sync::Arc;
use std::time::SystemTime;

use async_nats::jetstream::{self, Context};
use async_nats::{Message, Subject};
use bus_core::delivery::History;
use bus_core::settle::{Failed, Reason};
use tokio::time::Instant;
use tracing::{debug, warn};

use crate::headers::stamp::Stamp;
use crate::headers::{self, Stored, Unreadable};
use crate::lane::Lane;
use crate::lease::{Arrival, Kind, Next, Raw};
use crate::runs::{self, Origin};
use crate::settle::Claim;

/// Takes one message in; gives back what it was read with.
pub(crate) fn arrive(
    lane: &Arc<Lane>,
    kind: Kind,
    asked: bool,
    message: jetstream::Message,
) -> Context {
    let known = known(kind, &message);
    let jetstream::Message { message, context } = message;
    match known {
        Some(known) => known.deliver(lane, asked, message),
        None => debug!(group = %lane.name(), subject = %message.subject, "not of a stream"),
    }
    context
}

/// What the server says of a message.
struct Known {
    kind: Kind,
    reply: Subject,
    /// The original's, where this is a copy.
    subject: Subject,
    origin: Origin,
    stored: SystemTime,
    again: bool,
}

fn known(kind: Kind, message: &jetstream::Message) -> Option<Known> {
    let info = message.info().ok()?;
    let (reply, again) = (message.reply.clone()?, info.delivered > 1);
    let stamp = message.headers.as_ref().filter(|_| kind == Kind::Copies).and_then(Stamp::read);
    if let Some(Stamp { origin, stored, subject, .. }) = stamp {
        return Some(Known { kind, reply, subject: subject.into(), origin, stored, again });
    }
    let (stream, subject) = (Arc::from(info.stream), message.subject.clone());
    let origin = Origin { stream, sequence: info.stream_sequence, redrives: 0 };
    Some(Known { kind, reply, subject, origin, stored: info.published.into(), again })
}

impl Known {
    fn deliver(self, lane: &Arc<Lane>, asked: bool, message: Message) {
        let Self { kind, reply, subject, origin, stored, again } = self;
        let Message { headers, payload, .. } = message;
        let at = Stored { stream: &origin.stream, sequence: origin.sequence, time: stored };
        let read = headers::read(&subject, headers.as_ref(), payload.clone(), at);
        let (envelope, unreadable) = match read {
            Ok(envelope) => (envelope, None),
            Err(error) => (headers::unreadable(payload.clone(), at), Some(error)),
        };
        let mut history = History::default();
        history.redrives = origin.redrives;
        let (envelope, raw) = (Arc::new(envelope), Raw { subject, headers, payload, stored });
        // What can not be read is not yielded either.
        let wait = again || unreadable.is_some();
        let arrival = Arrival { kind, asked, reply, envelope, origin, history, again, raw };
        let Next::See(token) = lane.leases(|leases| leases.arrive(arrival, wait, Instant::now()))
        else {
            return;
        };
        let arrived = Arc::clone(lane);
        lane.go(async move {
            match unreadable {
                None => look_up(&arrived, token).await,
                Some(error) => quarantine(&arrived, token, &error).await,
            }
        });
    }
}

async fn look_up(lane: &Lane, token: u64) {
    let Some(origin) = lane.leases(|leases| leases.origin(token)) else { return };
    match runs::look_up(&lane.shared, lane.name(), &origin).await {
        Ok(found) => lane.leases(|leases| leases.looked_up(token, found)),
        Err(error) => {
            debug!(group = %lane.name(), %error, "not delivered, it comes again");
            lane.leases(|leases| leases.abandon(token));
        }
    }
}

async fn quarantine(lane: &Arc<Lane>, token: u64, error: &Unreadable) {
    let Ok((claim, arrival)) = Claim::new(lane, token) else { return };
    let (group, origin) = (lane.name(), &arrival.origin);
    warn!(%group, stream = %origin.stream, sequence = origin.sequence, %error, "can not be read, is a dead letter");
    let mut failed = Failed::new("unreadable", &error.to_string(), 0, SystemTime::now());
    failed.handler = group.handler().to_owned().into();
    failed.service = group.service().to_owned().into();
    if let Err(error) = claim.bury(arrival, Reason::Undecodable, failed).await {
        warn!(%group, %error, "not settled, it comes again");
    }
}

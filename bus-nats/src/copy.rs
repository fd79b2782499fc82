//! Copies for one group: of an event that waits for its next attempt, and of one that comes back from
//! the dead letters. They do not carry the `Nats-Msg-Id` of their event, which many of them share, but
//! one of their own: a copy may be run and gone when it is sent once more because its ack was lost.

use std::time::{Duration, SystemTime};

use async_nats::HeaderMap;
use async_nats::header::{NATS_SCHEDULE, NATS_SCHEDULE_TARGET};
use bus_core::envelope::TraceContext;
use bus_core::transport::TransportError;
use bytes::Bytes;

use crate::headers::MESSAGE_ID;
use crate::headers::stamp::Stamp;
use crate::headers::trace;
use crate::lease::Original;
use crate::topology::own;
use crate::transport::Shared;
use crate::{delay, publish};

/// Stores a copy that is delivered at once; where a `hop` sent it, as part of that trace.
pub(crate) async fn now(
    shared: &Shared,
    stamp: &Stamp,
    headers: &HeaderMap,
    hop: Option<&TraceContext>,
    payload: Bytes,
) -> Result<(), TransportError> {
    let (mut headers, token) = (stamp.on(Some(headers)), token(stamp));
    if let Some(hop) = hop {
        headers = trace::forward(&headers, hop);
    }
    let letter = stamp.letter.unwrap_or_default();
    headers.insert(MESSAGE_ID, format!("{token}.{letter}"));
    publish::once(shared, own::subject(own::COPIES, &token), headers, payload).await
}

/// Stores a copy that the server keeps until its time.
pub(crate) async fn later(
    shared: &Shared,
    stamp: &Stamp,
    original: &Original,
    after: Duration,
) -> Result<(), TransportError> {
    let mut headers = stamp.on(Some(&original.headers.map()));
    let token = token(stamp);
    headers.insert(MESSAGE_ID, token.as_str());
    headers.insert(NATS_SCHEDULE, delay::schedule(SystemTime::now() + after)?);
    headers.insert(NATS_SCHEDULE_TARGET, own::subject(own::COPIES, &token));
    publish::once(shared, own::later(&token), headers, original.payload.clone()).await
}

/// One for each attempt, so that it is stored once however often that is tried.
fn token(stamp: &Stamp) -> String {
    format!("{}.{}", stamp.origin.token(&stamp.group), stamp.attempts)
}

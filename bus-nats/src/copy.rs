//! Copies for one group: of an event that waits for its next attempt, and of one that comes back from
//! the dead letters. They carry no `Nats-Msg-Id`: the server would take them for the original.

use std::time::{Duration, SystemTime};

use async_nats::HeaderMap;
use async_nats::header::{NATS_SCHEDULE, NATS_SCHEDULE_TARGET};
use bus_core::transport::TransportError;
use bytes::Bytes;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::headers::stamp::{self, Stamp};
use crate::lease::Original;
use crate::publish;
use crate::topology::own;
use crate::transport::Shared;

/// Stores a copy that is delivered at once.
pub(crate) async fn now(
    shared: &Shared,
    stamp: &Stamp,
    headers: &HeaderMap,
    payload: Bytes,
) -> Result<(), TransportError> {
    let mut headers = stamp::original(Some(headers));
    stamp.write(&mut headers);
    publish::once(shared, own::subject(own::COPIES, &token(stamp)), headers, payload).await
}

/// Stores a copy that the server keeps until its time.
pub(crate) async fn later(
    shared: &Shared,
    stamp: &Stamp,
    original: &Original,
    after: Duration,
) -> Result<(), TransportError> {
    let mut headers = stamp::original(original.headers.as_ref());
    stamp.write(&mut headers);
    let due = OffsetDateTime::from(SystemTime::now() + after);
    let due = due.format(&Rfc3339).map_err(|error| {
        let reason = format!("{due} is no time that can be written: {error}");
        TransportError::Unsupported { reason }
    })?;
    let token = token(stamp);
    headers.insert(NATS_SCHEDULE, format!("@at {due}"));
    headers.insert(NATS_SCHEDULE_TARGET, own::subject(own::COPIES, &token));
    publish::once(shared, own::later(&token), headers, original.payload.clone()).await
}

/// One for each attempt, so that it is stored once however often that is tried.
fn token(stamp: &Stamp) -> String {
    format!("{}.{}", stamp.origin.token(&stamp.group), stamp.attempts)
}

//! Events that wait for their time: message schedules in the stream of their domain.

use std::fmt::Write;
use std::sync::Arc;
use std::time::SystemTime;

use async_nats::header::{NATS_MESSAGE_TTL, NATS_SCHEDULE, NATS_SCHEDULE_TARGET};
use bus_core::transport::TransportError;
use bus_core::{Envelope, EventId};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::capabilities::SCHEDULES;
use crate::refusals::permitted;
use crate::topology::own;
use crate::transport::Shared;
use crate::{publish as publishing, topology};

/// Stores an event that the server puts into its stream when it is due. Its id is known as long as it
/// waits, and inside the duplicate window, as that of any event; what comes of it carries the id in
/// the event's own headers only, for the server takes its own away.
pub(crate) async fn publish(
    shared: Arc<Shared>,
    envelope: Envelope,
    due: SystemTime,
) -> Result<(), TransportError> {
    check(&shared)?;
    let (domain, schedule) = (envelope.subject.domain(), schedule(due)?);
    shared.prepare(domain).await;
    let mut headers = shared.headers.write(&envelope);
    headers.insert(NATS_SCHEDULE, schedule);
    headers.insert(NATS_SCHEDULE_TARGET, envelope.subject.as_str());
    headers.insert(NATS_MESSAGE_TTL, "never");
    let subject = own::waiting(domain, &token(&envelope.id));
    let stored = publishing::once(&shared, subject, headers, envelope.payload.clone()).await;
    stored.map_err(|error| match error {
        TransportError::Unsupported { reason } => unsupported(&shared, domain, &reason),
        TransportError::NoStream { .. } if !shared.may_look() => {
            unsupported(&shared, domain, "nothing takes what waits")
        }
        TransportError::NoStream { .. } => {
            TransportError::NoStream { subject: envelope.subject.to_string() }
        }
        error => error,
    })
}

/// Removes what waits; the server answers how much that was.
pub(crate) async fn cancel(
    shared: Arc<Shared>,
    domain: String,
    id: EventId,
) -> Result<bool, TransportError> {
    check(&shared)?;
    let subject = own::waiting(&domain, &token(&id));
    permitted(&shared.signals, purge(&shared, &domain, subject)).await?
}

async fn purge(shared: &Shared, domain: &str, subject: String) -> Result<bool, TransportError> {
    let unavailable = |error: &dyn std::fmt::Display| TransportError::Unavailable {
        reason: format!("taking an event back failed: {error}"),
    };
    let name = if shared.may_look() {
        topology::find(&shared.context, &subject).await?
    } else {
        Some(topology::name(domain))
    };
    // Where nothing takes it, nothing waits.
    let Some(name) = name else { return Ok(false) };
    let stream = shared.context.get_stream_no_info(name).await;
    let stream = stream.map_err(|error| unavailable(&error))?;
    let purged = stream.purge().filter(subject).await.map_err(|error| unavailable(&error))?;
    Ok(purged.purged > 0)
}

/// A place for what waits, which nothing took so far.
pub(crate) async fn provide(
    shared: &Shared,
    domain: &str,
    subject: &str,
) -> Result<Option<()>, TransportError> {
    let Some(stream) = shared.stream(domain).await? else { return Ok(None) };
    match topology::find(&shared.context, subject).await? {
        Some(_) => Ok(Some(())),
        None => {
            let reason = format!("the stream `{}` does not take it", stream.name);
            Err(TransportError::Unsupported { reason })
        }
    }
}

fn check(shared: &Shared) -> Result<(), TransportError> {
    if shared.has_schedules() {
        return Ok(());
    }
    let version = shared.version();
    let reason = format!(
        "nats-server {version} can not keep an event until its time: {SCHEDULES} or later is needed"
    );
    Err(TransportError::Unsupported { reason })
}

/// What a stream needs that is not ours to change.
fn unsupported(shared: &Shared, domain: &str, reason: &str) -> TransportError {
    let (subject, version) = (own::waiting(domain, ">"), shared.version());
    let reason = format!(
        "no event of `{domain}.>` can wait for its time: {reason}; its stream needs the subject \
         `{subject}`, `allow_msg_schedules` and `allow_msg_ttl`, on nats-server {SCHEDULES} or later \
         (this is {version})"
    );
    TransportError::Unsupported { reason }
}

/// The time at which the server is to bring what it keeps.
pub(crate) fn schedule(due: SystemTime) -> Result<String, TransportError> {
    // What was due before 1970 is due now, as everything that is over.
    let since = due.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    let time = OffsetDateTime::from_unix_timestamp(seconds).ok();
    let time = time.and_then(|time| time.replace_nanosecond(since.subsec_nanos()).ok());
    match time.and_then(|time| time.format(&Rfc3339).ok()) {
        Some(time) => Ok(format!("@at {time}")),
        None => {
            let reason = format!("{seconds} seconds after 1970 is no time that can be written");
            Err(TransportError::Unsupported { reason })
        }
    }
}

/// One token of a subject for each id, and another one for every other id.
fn token(id: &EventId) -> String {
    let mut token = String::new();
    for byte in id.to_string().bytes() {
        if byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_' {
            token.push(char::from(byte));
        } else {
            // Writing to a text never fails.
            let _ = write!(token, "%{byte:02X}");
        }
    }
    token
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bus_core::Subject;

    use super::*;

    #[test]
    fn an_id_is_one_token_and_no_other_ids() {
        let id = |text| token(&EventId::parse(text).unwrap());
        assert_eq!(id("order.7 *>"), "order%2E7%20%2A%3E");
        assert_eq!(id("order%2E7"), "order%252E7");
        let uuid = EventId::now();
        assert_eq!(token(&uuid), uuid.to_string());
    }

    #[test]
    fn where_events_wait_is_no_events_subject() {
        let waiting = own::waiting("orders", "7");
        assert_eq!(
            (waiting.as_str(), own::waits_in(&waiting)),
            ("BUS.at.orders.7", Some("orders"))
        );
        assert!(Subject::parse(waiting).is_err());
        assert_eq!(own::waits_in("BUS.attic.orders.7"), None);
    }

    #[test]
    fn a_time_is_written_with_all_its_digits_or_refused() {
        let at = |millis| schedule(SystemTime::UNIX_EPOCH + Duration::from_millis(millis));
        assert_eq!(at(1_767_225_600_123).unwrap(), "@at 2026-01-01T00:00:00.123Z");
        let before = SystemTime::UNIX_EPOCH - Duration::from_secs(1);
        assert_eq!(schedule(before).unwrap(), "@at 1970-01-01T00:00:00Z");
        for millis in [253_402_300_800_000, u64::MAX] {
            assert!(matches!(at(millis), Err(TransportError::Unsupported { .. })), "{millis}");
        }
    }
}

//! Events that gave up: stored once for each group, origin and redrive, listed, and sent back.

use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_nats::HeaderMap;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{AckPolicy, PullConsumer, pull};
use async_nats::jetstream::stream::{ConsumerErrorKind, LastRawMessageErrorKind};
use bus_core::Subject;
use bus_core::operator::{DeadLetter, DeadLetterId, OperatorError};
use bus_core::settle::{Failed, Reason};
use bus_core::transport::{GroupName, TransportError};
use futures_util::StreamExt;

use crate::headers::stamp::{self, Cause, Stamp};
use crate::lease::Original;
use crate::topology::{consumer, own};
use crate::transport::Shared;
use crate::{copy, headers, publish};

/// How many records are read at once.
const PAGE: usize = 500;

/// How long the server keeps what reads a list, where we are gone before its end.
const READER: Duration = Duration::from_secs(30);

/// Stores the record; done when it is safe. What was stored before is not stored again.
pub(crate) async fn store(
    shared: &Shared,
    group: &GroupName,
    original: &Original,
    reason: Reason,
    failed: Failed,
) -> Result<(), TransportError> {
    let headers = Stamp::of(group, original).on(original.headers.as_ref());
    stamped(shared, group, original, headers, Cause { reason, failed }).await
}

/// The record of a message whose headers only the server can tell, as they came and in base64.
pub(crate) async fn store_raw(
    shared: &Shared,
    group: &GroupName,
    original: &Original,
    raw: &str,
    failed: Failed,
) -> Result<(), TransportError> {
    let mut headers = Stamp::of(group, original).on(None);
    if !raw.is_empty() {
        headers.insert("bus-raw-headers", raw.to_owned());
    }
    let cause = Cause { reason: Reason::Undecodable, failed };
    stamped(shared, group, original, headers, cause).await
}

async fn stamped(
    shared: &Shared,
    group: &GroupName,
    original: &Original,
    mut headers: HeaderMap,
    mut cause: Cause,
) -> Result<(), TransportError> {
    cause.write(&mut headers);
    let payload = original.payload.clone();
    let room = shared.max_payload().saturating_sub(payload.len() + publish::ONCE_BYTES);
    while stamp::size(&headers) > room && !cause.failed.text.is_empty() {
        // The event is kept whole, and the error's text gives way.
        cause.failed.text = half(&cause.failed.text).to_owned();
        cause.write(&mut headers);
    }
    let subject = own::subject(own::LETTERS, &original.origin.token(group));
    publish::once(shared, subject, headers, payload).await
}

/// Why a group gives up what no handler was given.
pub(crate) fn unread(group: &GroupName, class: &'static str, reason: &str) -> Failed {
    let mut failed = Failed::new(class, reason, 0, SystemTime::now());
    failed.handler = group.handler().to_owned().into();
    failed.service = group.service().to_owned().into();
    failed
}

fn half(text: &str) -> &str {
    let end = (0..=text.len() / 2).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// The records of a group or of all, oldest first.
pub(crate) async fn list(
    shared: &Shared,
    group: Option<&GroupName>,
    limit: usize,
) -> Result<Vec<DeadLetter>, OperatorError> {
    let Some(reader) = reader(shared, group).await? else { return Ok(Vec::new()) };
    let waiting = usize::try_from(reader.cached_info().num_pending).unwrap_or(usize::MAX);
    let (mut left, mut letters) = (waiting.min(limit), Vec::new());
    while left > 0 {
        let page = reader.fetch().max_messages(left.min(PAGE)).messages().await;
        let (mut page, before) = (page.map_err(unavailable)?, left);
        while let Some(message) = page.next().await {
            letters.extend(read(message.map_err(unavailable)?.message));
            left = left.saturating_sub(1);
        }
        if left == before {
            // Some were removed while we read.
            break;
        }
    }
    let name = &reader.cached_info().name;
    // The server removes it as well, after a while.
    let _ = shared.context.delete_consumer_from_stream(name, own::LETTERS).await;
    Ok(letters)
}

/// What reads the records from the first on; `None` where there is no stream of them.
async fn reader(
    shared: &Shared,
    group: Option<&GroupName>,
) -> Result<Option<PullConsumer>, OperatorError> {
    let whose = group.map_or_else(|| ">".to_owned(), |group| format!("{group}.>"));
    let config = pull::Config {
        filter_subject: own::subject(own::LETTERS, &whose),
        ack_policy: AckPolicy::None,
        memory_storage: true,
        num_replicas: 1,
        inactive_threshold: READER,
        ..pull::Config::default()
    };
    match shared.context.create_consumer_on_stream(config, own::LETTERS).await {
        Ok(reader) => Ok(Some(reader)),
        Err(error) => match error.kind() {
            ConsumerErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                Ok(None)
            }
            _ => Err(unavailable(error)),
        },
    }
}

/// A record; `None` if it is not one of ours.
fn read(message: async_nats::Message) -> Option<DeadLetter> {
    let async_nats::Message { headers, payload, .. } = message;
    let headers = headers?;
    let (stamp, cause) = (Stamp::read(&headers)?, Cause::read(&headers)?);
    let Stamp { group, subject, origin, .. } = stamp;
    let at = origin.at();
    let envelope = headers::read(&subject, Some(&headers), payload.clone(), at)
        .unwrap_or_else(|_| headers::unreadable(payload, at));
    let id = DeadLetterId::new(origin.token(&group));
    let Cause { reason, failed } = cause;
    let mut letter = DeadLetter::new(id, group, Arc::new(envelope), reason, failed);
    letter.redrives = origin.redrives;
    Some(letter)
}

/// Sends a record back to its group: the copy is stored first, and the record removed after.
pub(crate) async fn redrive(shared: &Shared, id: &DeadLetterId) -> Result<(), OperatorError> {
    let none = || OperatorError::NoDeadLetter { id: id.clone() };
    let stream = shared.context.get_stream_no_info(own::LETTERS).await.map_err(unavailable)?;
    // Not a pattern, and nothing that the server does not take.
    let subject = Subject::parse(format!("x.{id}")).map_err(|_| none())?;
    let subject = own::subject(own::LETTERS, subject.as_str().trim_start_matches("x."));
    let record = match stream.get_last_raw_message_by_subject(&subject).await {
        Ok(record) => record,
        Err(error) => match error.kind() {
            LastRawMessageErrorKind::NoMessageFound => return Err(none()),
            LastRawMessageErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                return Err(none());
            }
            _ => return Err(unavailable(error)),
        },
    };
    let mut stamp = Stamp::read(&record.headers).ok_or_else(none)?;
    if shared.may_look() {
        // A copy that nobody reads would be in no list.
        let reader = consumer::info(&shared.context, own::COPIES, &stamp.group).await;
        let no_group = || OperatorError::NoGroup { group: stamp.group.clone() };
        reader.map_err(unavailable)?.ok_or_else(no_group)?;
    }
    stamp.origin.redrives += 1;
    (stamp.attempts, stamp.first_failure) = (0, None);
    let redriven = copy::now(shared, &stamp, &record.headers, record.payload).await;
    redriven.map_err(unavailable)?;
    stream.delete_message(record.sequence).await.map(drop).map_err(unavailable)
}

fn unavailable(error: impl Display) -> OperatorError {
    OperatorError::Unavailable { reason: error.to_string() }
}

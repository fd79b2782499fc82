//! Records, read in the order in which they were stored.

use std::sync::Arc;
use std::time::Duration;

use async_nats::HeaderMap;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, PullConsumer, pull};
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{ConsumerErrorKind, LastRawMessageErrorKind, Stream};
use bus_core::Subject;
use bus_core::operator::{DeadLetter, DeadLetterId, Letters, OperatorError, Page};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::time::timeout;

use super::unavailable;
use crate::headers;
use crate::headers::stamp::{Cause, Stamp};
use crate::topology::own;
use crate::transport::Shared;

/// How long the server keeps what reads a page, where we are gone before its end.
const READER: Duration = Duration::from_secs(30);

/// A server that is silent for longer has forgotten what it was asked: the connection was lost.
const SILENCE: Duration = Duration::from_secs(5);

/// Some records; none where there is no stream of them.
pub(crate) async fn page(shared: &Shared, page: &Page) -> Result<Letters, OperatorError> {
    let nothing = Ok(Letters::default());
    let Some(stream) = stream(shared).await? else { return nothing };
    let newest = stream.cached_info().state.last_sequence;
    if page.limit == 0 || page.after >= newest {
        return Ok(Letters::new(Vec::new(), None, newest));
    }
    let Some(reader) = reader(shared, page).await? else { return nothing };
    let waiting = usize::try_from(reader.cached_info().num_pending).unwrap_or(usize::MAX);
    let (wanted, mut letters, mut last) = (waiting.min(page.limit), Vec::new(), page.after);
    let mut left = wanted;
    while left > 0 {
        let batch = reader.fetch().max_messages(left.min(Page::LIMIT)).messages().await;
        let (mut batch, before) = (batch.map_err(unavailable)?, left);
        while let Some(message) = timeout(SILENCE, batch.next()).await.map_err(unavailable)? {
            let message = message.map_err(unavailable)?;
            last = message.info().map_err(unavailable)?.stream_sequence;
            let async_nats::Message { headers, payload, .. } = message.message;
            letters.extend(headers.and_then(|headers| read(last, &headers, payload)));
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
    Ok(Letters::new(letters, (waiting > wanted).then_some(last), newest))
}

/// The stream of them, as it is now.
async fn stream(shared: &Shared) -> Result<Option<Stream>, OperatorError> {
    match shared.context.get_stream(own::LETTERS).await {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                Ok(None)
            }
            _ => Err(unavailable(error)),
        },
    }
}

/// What reads a page; `None` where there is no stream.
async fn reader(shared: &Shared, page: &Page) -> Result<Option<PullConsumer>, OperatorError> {
    let whose = page.group.as_ref().map_or_else(|| ">".to_owned(), |group| format!("{group}.>"));
    let deliver_policy = match page.after {
        0 => DeliverPolicy::All,
        after => DeliverPolicy::ByStartSequence { start_sequence: after + 1 },
    };
    let config = pull::Config {
        filter_subject: own::subject(own::LETTERS, &whose),
        deliver_policy,
        headers_only: !page.payloads,
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

/// A record as it stands in its stream.
pub(super) struct Record {
    pub(super) sequence: u64,
    pub(super) headers: HeaderMap,
    pub(super) payload: Bytes,
}

/// One record; an error if there is none, or only the mark that it was redriven.
pub(super) async fn find(shared: &Shared, id: &DeadLetterId) -> Result<Record, OperatorError> {
    let none = || OperatorError::NoDeadLetter { id: id.clone() };
    let stream = shared.context.get_stream_no_info(own::LETTERS).await.map_err(unavailable)?;
    // Not a pattern, and nothing that the server does not take.
    let subject = Subject::parse(format!("x.{id}")).map_err(|_| none())?;
    let subject = own::subject(own::LETTERS, subject.as_str().trim_start_matches("x."));
    match stream.get_last_raw_message_by_subject(&subject).await {
        Ok(found) => {
            let (sequence, headers, payload) = (found.sequence, found.headers, found.payload);
            Cause::read(&headers).ok_or_else(none)?;
            Ok(Record { sequence, headers, payload })
        }
        Err(error) => match error.kind() {
            LastRawMessageErrorKind::NoMessageFound => Err(none()),
            LastRawMessageErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                Err(none())
            }
            _ => Err(unavailable(error)),
        },
    }
}

/// One record as it is shown.
pub(crate) async fn letter(
    shared: &Shared,
    id: &DeadLetterId,
) -> Result<DeadLetter, OperatorError> {
    let Record { sequence, headers, payload } = find(shared, id).await?;
    let none = || OperatorError::NoDeadLetter { id: id.clone() };
    read(sequence, &headers, payload).ok_or_else(none)
}

/// `None` if it is not one of ours.
fn read(position: u64, headers: &HeaderMap, payload: Bytes) -> Option<DeadLetter> {
    let (stamp, cause) = (Stamp::read(headers)?, Cause::read(headers)?);
    let Stamp { group, subject, origin, .. } = stamp;
    let at = origin.at();
    let envelope = headers::read(&subject, headers, payload.clone(), at)
        .unwrap_or_else(|_| headers::unreadable(payload, at));
    let id = DeadLetterId::new(origin.token(&group));
    let Cause { reason, failed } = cause;
    let mut letter = DeadLetter::new(id, group, Arc::new(envelope), reason, failed);
    (letter.redrives, letter.position) = (origin.redrives, position);
    Some(letter)
}

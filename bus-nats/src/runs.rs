//! How often an event was run, for those that came more than once: the first delivery of an event
//! costs nothing, one that comes again is looked up, and noted before it runs.

use std::sync::Arc;
use std::time::SystemTime;

use async_nats::HeaderMap;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use bus_core::transport::{GroupName, TransportError};
use bytes::Bytes;
use tokio::time::sleep;

use crate::headers;
use crate::publish::{Headers, Message, Stored};
use crate::topology::own;
use crate::transport::Shared;

use self::noted::nanos;

pub(crate) use self::noted::Runs;

mod noted;

/// Which event it is, and how often it came back from the dead letters since. Sequences alone do
/// not say it: a stream that is made anew, or restored from a copy, gives them to other events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) stream: Arc<str>,
    pub(crate) sequence: u64,
    /// When the stream took it.
    pub(crate) stored: SystemTime,
    pub(crate) redrives: u32,
}

impl Origin {
    /// What is known of the message, for what its publisher did not say.
    pub(crate) fn at(&self) -> headers::Stored<'_> {
        let Self { stream, sequence, stored, .. } = self;
        headers::Stored { stream, sequence: *sequence, time: *stored }
    }

    /// What stands behind the kind in a subject of the bus's own: one for each group, origin and
    /// redrive.
    pub(crate) fn token(&self, group: &GroupName) -> String {
        let Self { stream, sequence, stored, redrives } = self;
        // What every platform's clock can hold.
        let micros = nanos(*stored) / 1000;
        format!("{group}.{stream}.{sequence}-{micros:x}.{redrives}")
    }
}

/// Notes it; done when it is safe. Says under which sequence it stands.
pub(crate) async fn note(
    shared: &Shared,
    group: &GroupName,
    origin: &Origin,
    runs: Runs,
) -> Result<u64, TransportError> {
    let payload = serde_json::to_vec(&runs).unwrap_or_default();
    let subject = own::subject(own::RUNS, &origin.token(group));
    let headers = Headers::These(HeaderMap::new());
    let message = Message { subject, headers, payload: Bytes::from(payload) };
    match message.store(shared).await? {
        Stored::At(sequence) => Ok(sequence),
        Stored::Before => Ok(0),
    }
}

/// What is noted, and under which sequence; asked of the leader, who knows the newest. Where the
/// event came too early, done when it is due: it is held and renewed meanwhile.
pub(crate) async fn look_up(
    shared: &Shared,
    group: &GroupName,
    origin: &Origin,
) -> Result<Option<(Runs, u64)>, TransportError> {
    let unavailable = |reason: String| TransportError::Unavailable { reason };
    let subject = own::subject(own::RUNS, &origin.token(group));
    let stream = shared.context.get_stream_no_info(own::RUNS).await;
    let stream = stream.map_err(|error| unavailable(error.to_string()))?;
    match stream.get_last_raw_message_by_subject(&subject).await {
        Ok(message) => {
            let runs: Option<Runs> = serde_json::from_slice(&message.payload).ok();
            let early = runs.map(|runs| runs.early(SystemTime::now())).unwrap_or_default();
            sleep(early).await;
            Ok(runs.map(|runs| (runs, message.sequence)))
        }
        Err(error) => match error.kind() {
            LastRawMessageErrorKind::NoMessageFound => Ok(None),
            // Whoever notes the next run makes it again, or says that it is missing.
            LastRawMessageErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                Ok(None)
            }
            _ => Err(unavailable(format!("looking up the runs of an event failed: {error}"))),
        },
    }
}

/// Nothing has to be known any more: the event is done. Should this get lost, age removes it.
pub(crate) async fn forget(shared: &Shared, sequence: u64) {
    let Ok(stream) = shared.context.get_stream_no_info(own::RUNS).await else { return };
    let _ = stream.delete_message(sequence).await;
}

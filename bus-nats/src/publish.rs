//! Envelope → JetStream publish; and which error means what.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{HeaderMap, Subject};
use bus_core::sabotage::{Sabotage, planted};
use bus_core::transport::TransportError;
use bus_core::{Envelope, EventId};
use bytes::Bytes;
use tokio::time::{Instant, sleep};

use crate::acks::Fate;
use crate::connection::jitter;
use crate::headers::{MESSAGE_ID, Writer};
use crate::topology;
use crate::transport::Shared;

use self::verdict::{Verdict, judge};

mod verdict;

/// How long all tries of one publish may take: less than the bus waits, so that what is known of
/// the failure reaches it, also where the stream had to be made first.
const DEADLINE: Duration = Duration::from_secs(8);

/// The first pause between two tries; doubles up to [`LAST_PAUSE`], each with full jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// Where a message stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stored {
    /// Under this sequence.
    At(u64),
    /// It stood there before; only with [`ONLY_ONCE`].
    Before,
}

/// Set to 0 it lets a message be stored only where its subject has none: stored once, without any
/// window of time.
const ONLY_ONCE: &str = "Nats-Expected-Last-Subject-Sequence";

/// What that header takes on the wire.
pub(crate) const ONCE_BYTES: usize = ONLY_ONCE.len() + ": 0\r\n".len();

/// Stores an event once, however often it has to be sent.
pub(crate) async fn publish(shared: Arc<Shared>, envelope: Envelope) -> Result<(), TransportError> {
    shared.prepare(envelope.subject.domain()).await;
    let (subject, payload) = (envelope.subject.to_string(), envelope.payload.clone());
    let message = Message { subject, headers: Headers::Of(&envelope), payload };
    message.store(&shared).await.map(|_| ())
}

/// Stores a message where its subject has none; what stood there before is the same.
pub(crate) async fn once(
    shared: &Shared,
    subject: String,
    mut headers: HeaderMap,
    payload: Bytes,
) -> Result<(), TransportError> {
    match planted(Sabotage::StoredAgain) {
        false => headers.insert(ONLY_ONCE, "0"),
        true => headers.insert(MESSAGE_ID, EventId::now().to_string()),
    }
    Message { subject, headers: Headers::These(headers), payload }.store(shared).await.map(drop)
}

/// Stores a message over the one that stands at a sequence, if that is still the last of its subject.
pub(crate) async fn over(
    shared: &Shared,
    subject: String,
    sequence: u64,
    mut headers: HeaderMap,
) -> Result<(), TransportError> {
    headers.insert(ONLY_ONCE, sequence.to_string());
    let headers = Headers::These(headers);
    Message { subject, headers, payload: Bytes::new() }.store(shared).await.map(drop)
}

/// What is to be stored.
pub(crate) struct Message<'a> {
    pub(crate) subject: String,
    pub(crate) headers: Headers<'a>,
    pub(crate) payload: Bytes,
}

/// Written for each try: there is mostly one, and a copy costs as much.
pub(crate) enum Headers<'a> {
    Of(&'a Envelope),
    These(HeaderMap),
}

impl Headers<'_> {
    fn write(&self, writer: &Writer) -> HeaderMap {
        match self {
            Self::Of(envelope) => writer.write(envelope),
            Self::These(headers) => headers.clone(),
        }
    }
}

impl Message<'_> {
    /// Sends it until it is stored, or the deadline is over.
    pub(crate) async fn store(&self, shared: &Shared) -> Result<Stored, TransportError> {
        let (deadline, mut pause) = (Instant::now() + DEADLINE, FIRST_PAUSE);
        let mut unknown = None;
        loop {
            let last = match judge(self.send(shared).await) {
                Ok(sequence) => {
                    shared.signals.health.answered();
                    return Ok(Stored::At(sequence));
                }
                Err(Verdict::Before) => return Ok(Stored::Before),
                Err(Verdict::Unknown(_)) if planted(Sabotage::UnknownIsStored) => {
                    return Ok(Stored::Before);
                }
                Err(Verdict::Unknown(reason)) => TransportError::Unknown { reason },
                Err(Verdict::Again(error)) => error,
                // Boxed, as all that is rare: it would make every publish as large.
                Err(Verdict::Nobody) => Box::pin(self.nobody(shared)).await?,
                Err(Verdict::Final(error)) => return Err(unknown.unwrap_or(error)),
            };
            if matches!(last, TransportError::Unknown { .. }) {
                // From here on nobody can say that it is not stored.
                unknown = Some(last.clone());
                if shared.is_connected() {
                    shared.signals.health.unanswered();
                }
            }
            let wait = jitter(pause);
            if Instant::now() + wait >= deadline {
                return Err(unknown.unwrap_or(last));
            }
            sleep(wait).await;
            pause = (pause * 2).min(LAST_PAUSE);
        }
    }

    async fn send(&self, shared: &Shared) -> Fate {
        let (subject, payload) = (Subject::from(self.subject.as_str()), self.payload.clone());
        let mut headers = self.headers.write(&shared.headers);
        if planted(Sabotage::NewIdOnRetry) && matches!(self.headers, Headers::Of(_)) {
            headers.insert(MESSAGE_ID, EventId::now().to_string());
        }
        shared.acks.send(shared.client(), subject, headers, payload).await
    }

    /// Nobody took it. Where the servers agree that no stream is to take it, that is final, or a
    /// stream is made; else its leader will be there in a moment.
    async fn nobody(&self, shared: &Shared) -> Result<TransportError, TransportError> {
        let missing = TransportError::NoStream { subject: self.subject.clone() };
        if !shared.may_look() {
            return Ok(missing);
        }
        match topology::find(&shared.hasty, &self.subject).await {
            Ok(Some(name)) => {
                let reason = format!("the stream `{name}` has no leader");
                Ok(TransportError::Unavailable { reason })
            }
            // Not even that can be asked now.
            Err(error) => Ok(error),
            Ok(None) => match shared.provide(&self.subject).await {
                Ok(Some(_)) => Ok(missing),
                Ok(None) => Err(missing),
                Err(error @ TransportError::Unavailable { .. }) => Ok(error),
                Err(error) => Err(error),
            },
        }
    }
}

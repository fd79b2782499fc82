//! Envelope → JetStream publish; and which error means what.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{HeaderMap, Subject};
use bus_core::Envelope;
use bus_core::transport::TransportError;
use bytes::Bytes;
use tokio::time::{Instant, sleep};

use crate::acks::Fate;
use crate::connection::jitter;
use crate::headers::Writer;
use crate::topology;
use crate::transport::Shared;

/// How long all tries of one publish may take: less than the bus waits, so that what is known of
/// the failure reaches it, also where the stream had to be made first.
const DEADLINE: Duration = Duration::from_secs(8);

/// The first pause between two tries; doubles up to [`LAST_PAUSE`], each with full jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LAST_PAUSE: Duration = Duration::from_secs(1);

/// What an error says of the message.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    /// It may be stored: send it again under the same id.
    Unknown(String),
    /// It is not stored now, and may be in a moment.
    Again(TransportError),
    /// Nothing took it: there is no stream, or its leader is being elected.
    Nobody,
    /// Another message stands where this one was to be the first.
    Before,
    /// It is not stored, and will not be.
    Final(TransportError),
}

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
    headers.insert(ONLY_ONCE, "0");
    Message { subject, headers: Headers::These(headers), payload }.store(shared).await.map(drop)
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
                Ok(sequence) => return Ok(Stored::At(sequence)),
                Err(Verdict::Before) => return Ok(Stored::Before),
                Err(Verdict::Unknown(reason)) => TransportError::Unknown { reason },
                Err(Verdict::Again(error)) => error,
                // Boxed, as all that is rare: it would make every publish as large.
                Err(Verdict::Nobody) => Box::pin(self.nobody(shared)).await?,
                Err(Verdict::Final(error)) => return Err(unknown.unwrap_or(error)),
            };
            if matches!(last, TransportError::Unknown { .. }) {
                // From here on nobody can say that it is not stored.
                unknown = Some(last.clone());
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
        let headers = self.headers.write(&shared.headers);
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

/// The table of what a publish can come back with.
fn judge(fate: Fate) -> Result<u64, Verdict> {
    Err(match fate {
        Fate::Stored(sequence) => return Ok(sequence),
        Fate::Error { code, text } => by_code(code, text),
        Fate::Nobody => Verdict::Nobody,
        Fate::TooLarge(reason) => Verdict::Final(TransportError::Full { reason }),
        Fate::Refused(reason) => Verdict::Final(TransportError::Denied { reason }),
        // It may be stored; to send it again would bring no answer either.
        Fate::Deaf(reason) => Verdict::Final(TransportError::Unknown { reason }),
        Fate::Full => {
            let reason = "too many publishes wait for their acks".to_owned();
            Verdict::Again(TransportError::Full { reason })
        }
        Fate::Unknown(reason) => Verdict::Unknown(reason),
    })
}

/// Codes of the JetStream API, as its `errors.json` numbers them.
fn by_code(code: u64, reason: String) -> Verdict {
    match code {
        10071 => Verdict::Before,
        // Unavailable, too many requests, and the same id being stored already. Also another message
        // on the subject, whose fate is open.
        10008 | 10158 | 10164 | 10167 | 10176 | 10210 | 10211 => {
            Verdict::Again(TransportError::Unavailable { reason })
        }
        // The stream's limits with `discard: new`, its largest message, and the limits of the account,
        // of the server, and of its store.
        10002 | 10023 | 10028 | 10047 | 10054 | 10077 => {
            Verdict::Final(TransportError::Full { reason })
        }
        _ => Verdict::Final(TransportError::Unsupported { reason }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_means_one_thing() {
        let verdict = |code| by_code(code, "x".to_owned());
        for code in [10008, 10158, 10167] {
            assert!(
                matches!(verdict(code), Verdict::Again(TransportError::Unavailable { .. })),
                "{code}"
            );
        }
        for code in [10002, 10023, 10028, 10047, 10054, 10077] {
            assert!(matches!(verdict(code), Verdict::Final(TransportError::Full { .. })), "{code}");
        }
        // Headers that this server does not know, and everything that is new.
        for code in [10166, 10188, 99999] {
            assert!(
                matches!(verdict(code), Verdict::Final(TransportError::Unsupported { .. })),
                "{code}"
            );
        }
        assert_eq!(verdict(10071), Verdict::Before);
    }

    #[test]
    fn every_fate_means_one_thing() {
        let text = || "x".to_owned();
        assert_eq!(judge(Fate::Stored(7)), Ok(7));
        let verdict = |fate| judge(fate).unwrap_err();
        assert_eq!(verdict(Fate::Nobody), Verdict::Nobody);
        assert_eq!(verdict(Fate::Unknown(text())), Verdict::Unknown(text()));
        let reason = text;
        let full = TransportError::Full { reason: reason() };
        assert_eq!(verdict(Fate::TooLarge(text())), Verdict::Final(full));
        let denied = TransportError::Denied { reason: reason() };
        assert_eq!(verdict(Fate::Refused(text())), Verdict::Final(denied));
        let deaf = TransportError::Unknown { reason: reason() };
        assert_eq!(verdict(Fate::Deaf(text())), Verdict::Final(deaf));
        let again = verdict(Fate::Full);
        assert!(matches!(again, Verdict::Again(TransportError::Full { .. })), "{again:?}");
        assert_eq!(verdict(Fate::Error { code: 10071, text: text() }), Verdict::Before);
    }
}

//! Why an event was not published, or may not have been.

use std::time::Duration;

use crate::codec::CodecError;
use crate::envelope::{EventId, InvalidHeader};
use crate::subject::InvalidSubject;
use crate::transport::TransportError;

/// Why an event was not published. All but [`Unknown`](Self::Unknown) are definite: nothing was
/// stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PublishError {
    /// The event does not encode.
    #[error(transparent)]
    Encode(#[from] CodecError),
    /// A value does not fit into the subject.
    #[error(transparent)]
    Subject(#[from] InvalidSubject),
    /// A header can not travel.
    #[error(transparent)]
    Header(#[from] InvalidHeader),
    /// Payload and headers are larger than the limit.
    #[error(
        "payload and headers have {bytes} bytes, {limit} are allowed; raise `PublishLimits::payload` or store it elsewhere and send a reference"
    )]
    TooLarge {
        /// Bytes of the payload and the publisher's headers.
        bytes: usize,
        /// [`PublishLimits::payload`](super::PublishLimits::payload).
        limit: usize,
    },
    /// The key is longer than [`MAX_KEY`](super::MAX_KEY).
    #[error("the key has {bytes} bytes, {} are allowed", super::MAX_KEY)]
    KeyTooLong {
        /// Bytes of the key.
        bytes: usize,
    },
    /// It is the last of so many events, each published by the handler of the one before: they go in
    /// a circle.
    #[error(
        "{hops} events followed one another, {limit} are allowed; if they do not go in a circle raise `PublishLimits::hops`"
    )]
    Circle {
        /// [`Envelope::hops`](crate::Envelope::hops).
        hops: u32,
        /// [`PublishLimits::hops`](super::PublishLimits::hops).
        limit: u32,
    },
    /// So much was under way that this publish was not begun within the deadline.
    #[error("too much was under way for {waited:?}; nothing was sent")]
    Busy {
        /// [`PublishLimits::deadline`](super::PublishLimits::deadline).
        waited: Duration,
    },
    /// The transport refused it.
    #[error(transparent)]
    Refused(TransportError),
    /// No answer came: it may be stored or not. Publishing it again under the same id is safe
    /// inside the duplicate window.
    #[error(
        "no answer came, the event {id} may be stored or not ({reason}); publish it again with `.id(..)`"
    )]
    Unknown {
        /// The id to use again.
        id: EventId,
        /// What happened instead of an answer.
        reason: String,
    },
    /// Middleware refused it.
    #[error("middleware refused the event: {reason}")]
    Middleware {
        /// In the middleware's words.
        reason: String,
    },
}

impl PublishError {
    /// The class of the error, for metrics and traces: few and stable.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Encode(_) => "encode",
            Self::Subject(_) => "subject",
            Self::Header(_) => "header",
            Self::TooLarge { .. } => "too_large",
            Self::KeyTooLong { .. } => "key_too_long",
            Self::Circle { .. } => "circle",
            Self::Busy { .. } => "busy",
            Self::Refused(error) => error.class(),
            Self::Unknown { .. } => "unknown",
            Self::Middleware { .. } => "middleware",
        }
    }

    /// What a tool is shown: without the words of middleware, which nobody has redacted.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::Middleware { .. } => "middleware refused the event".to_owned(),
            other => other.to_string(),
        }
    }

    /// Whether the same event can never be published, however often it is tried.
    pub fn is_permanent(&self) -> bool {
        matches!(
            self,
            Self::Encode(_)
                | Self::Subject(_)
                | Self::Header(_)
                | Self::TooLarge { .. }
                | Self::KeyTooLong { .. }
                | Self::Circle { .. }
        )
    }
}

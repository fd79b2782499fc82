//! The two durable consumers of a group: one of its events, one of the copies that are for it
//! alone. Made, joined, or refused with the difference.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream::consumer::pull::Config;
use async_nats::jetstream::consumer::{AckPolicy, DeliverPolicy, Info, PullConsumer};
use async_nats::jetstream::stream::{ConsumerCreateStrictErrorKind, ConsumerErrorKind};
use async_nats::jetstream::{Context, ErrorCode};
use bus_core::transport::{Group, GroupName, Start, TransportError};
use time::OffsetDateTime;
use tracing::{info, warn};

use super::floor::Resume;
use super::{MARK, mark, own, unavailable};
use crate::config::Provision;

mod difference;

/// The stream of a group's events, kept beside its copies' consumer.
pub(crate) const EVENTS: &str = "bus-events";

/// A group's copies, and nobody else's.
pub(crate) fn copies_filter(group: &GroupName) -> String {
    own::subject(own::COPIES, &format!("{group}.>"))
}

/// Why there is no consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    Consumer,
    Stream,
}

/// A group's consumer as it stands on the server; `None` if there is none.
pub(crate) async fn info(
    context: &Context,
    stream: &str,
    group: &GroupName,
) -> Result<Option<Info>, TransportError> {
    Ok(look(context, stream, group).await?.ok())
}

/// The same, with what is missing.
pub(crate) async fn look(
    context: &Context,
    stream: &str,
    group: &GroupName,
) -> Result<Result<Info, Missing>, TransportError> {
    let found = context.get_consumer_from_stream::<Config, _, _>(group.as_str(), stream).await;
    match found {
        Ok(consumer) => Ok(Ok(consumer.cached_info().clone())),
        Err(error) => match error.kind() {
            ConsumerErrorKind::JetStream(error) => match error.error_code() {
                ErrorCode::CONSUMER_NOT_FOUND => Ok(Err(Missing::Consumer)),
                ErrorCode::STREAM_NOT_FOUND => Ok(Err(Missing::Stream)),
                _ => Err(unavailable("reading the consumer", &error)),
            },
            ConsumerErrorKind::InvalidConsumerType => {
                let reason =
                    format!("the consumer `{group}` of the stream `{stream}` is no pull consumer");
                Err(TransportError::Unsupported { reason })
            }
            _ => Err(unavailable("reading the consumer", &error)),
        },
    }
}

/// What a consumer has to be.
pub(crate) struct Wanted {
    stream: String,
    group: GroupName,
    config: Config,
}

impl Wanted {
    /// Of a group's events.
    pub(crate) fn events(stream: &str, group: &Group, max_ack_pending: i64) -> Self {
        let filter = group.filter.to_string();
        let config = config(group, filter, max_ack_pending, HashMap::from([mark()]));
        let deliver_policy = match group.start {
            Start::Beginning => DeliverPolicy::All,
            Start::Now => DeliverPolicy::New,
            Start::At(time) => {
                DeliverPolicy::ByStartTime { start_time: OffsetDateTime::from(time) }
            }
        };
        let config = Config { deliver_policy, ..config };
        Self { stream: stream.to_owned(), group: group.name.clone(), config }
    }

    /// Of the copies for a group.
    pub(crate) fn copies(events: &str, group: &Group, max_ack_pending: i64) -> Self {
        let metadata = HashMap::from([mark(), (EVENTS.to_owned(), events.to_owned())]);
        let config = config(group, copies_filter(&group.name), max_ack_pending, metadata);
        Self { stream: own::COPIES.to_owned(), group: group.name.clone(), config }
    }

    /// The same, where the group goes on instead of where a new one begins.
    pub(crate) fn resume(mut self, resume: Resume) -> Result<Self, TransportError> {
        let Self { stream, group, config } = &mut self;
        match resume {
            Resume::New => {}
            Resume::After(done) => {
                warn!(%group, stream, done, "the consumer was deleted, and goes on from there");
                let start_sequence = done + 1;
                config.deliver_policy = DeliverPolicy::ByStartSequence { start_sequence };
            }
            Resume::Anew => {
                warn!(%group, stream, "the stream was made anew, and is read from its beginning");
                config.deliver_policy = DeliverPolicy::All;
            }
            Resume::Unknown { done, last } => {
                let reason = format!(
                    "the consumer `{group}` was deleted when it was done up to {done}, and the \
                     stream `{stream}` ends at {last}: make the consumer by hand, where it is to go on"
                );
                return Err(TransportError::Unavailable { reason });
            }
        }
        Ok(self)
    }

    /// Finds or makes it. What is found has to be as it is wanted, or is refused in words; only
    /// what we made ourselves is changed.
    pub(crate) async fn join(
        &self,
        context: &Context,
        found: Option<Info>,
        provision: Provision,
    ) -> Result<Info, TransportError> {
        let found = match found {
            Some(found) => found,
            None if provision == Provision::Create => self.make(context).await?,
            None => {
                let Self { stream, group: name, .. } = self;
                let reason = format!(
                    "the stream `{stream}` has no consumer `{name}`, and nothing may be made"
                );
                return Err(TransportError::Unsupported { reason });
            }
        };
        self.compare(context, found, provision).await
    }

    async fn make(&self, context: &Context) -> Result<Info, TransportError> {
        let Self { stream, group: name, config } = self;
        let made = context.create_consumer_strict_on_stream(config.clone(), stream).await;
        let error = match made {
            Ok(consumer) => {
                info!(consumer = %name, stream, "made");
                return Ok(PullConsumer::cached_info(&consumer).clone());
            }
            Err(error) => error,
        };
        match error.kind() {
            // Another process was faster; what it made is compared next.
            ConsumerCreateStrictErrorKind::AlreadyExists => {
                let gone = format!("the consumer `{name}` is made and deleted at the same time");
                let found = info(context, stream, name).await?;
                found.ok_or(TransportError::Unavailable { reason: gone })
            }
            ConsumerCreateStrictErrorKind::JetStream(error) => {
                let reason = format!(
                    "the server does not make the consumer `{name}` of `{stream}`: {error}"
                );
                Err(TransportError::Unsupported { reason })
            }
            _ => Err(unavailable("making the consumer", &error)),
        }
    }

    async fn compare(
        &self,
        context: &Context,
        found: Info,
        provision: Provision,
    ) -> Result<Info, TransportError> {
        let (fixed, soft) = (self.fixed(&found), self.soft(&found));
        let ours = found.config.metadata.contains_key(MARK);
        if fixed.is_empty() && soft.is_empty() {
            return Ok(found);
        }
        if !fixed.is_empty() || provision == Provision::Verify || !ours {
            let Self { stream, group: name, .. } = self;
            let differences = [fixed, soft].concat().join("; ");
            let reason = format!(
                "the consumer `{name}` of the stream `{stream}` is not as it is wanted: {differences}"
            );
            return Err(TransportError::Unsupported { reason });
        }
        info!(consumer = %self.group, differences = soft.join("; "), "is changed, for we made it");
        let deliver_policy = found.config.deliver_policy;
        let changed = Config { deliver_policy, ..self.config.clone() };
        let updated = context.update_consumer_on_stream(changed, &self.stream).await;
        let updated = updated.map_err(|error| unavailable("changing the consumer", &error))?;
        Ok(PullConsumer::cached_info(&updated).clone())
    }
}

fn config(
    group: &Group,
    filter_subject: String,
    max_ack_pending: i64,
    metadata: HashMap<String, String>,
) -> Config {
    Config {
        durable_name: Some(group.name.to_string()),
        filter_subject,
        metadata,
        max_ack_pending,
        ack_policy: AckPolicy::Explicit,
        // Shorter ones the server would take for its default.
        ack_wait: group.lease.max(Duration::from_millis(1)),
        // The bus counts runs; a server that counts deliveries strands events.
        max_deliver: -1,
        ..Config::default()
    }
}

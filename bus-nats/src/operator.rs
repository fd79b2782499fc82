//! What operators need: how far groups are behind, dead letters, redrive.

use std::time::{Duration, SystemTime};

use async_nats::jetstream::consumer::Info;
use async_nats::jetstream::stream::LastRawMessageErrorKind;
use async_trait::async_trait;
use bus_core::envelope::TraceContext;
use bus_core::operator::{DeadLetter, DeadLetterId, Lag, Letters, Operator, OperatorError, Page};
use bus_core::transport::{GroupName, Plan, TransportError};
use futures_util::TryStreamExt;
use tokio::try_join;

use crate::dead_letter;
use crate::headers::stamp::Stamp;
use crate::refusals::permitted;
use crate::topology::{consumer, own};
use crate::transport::{NatsTransport, Shared};

#[async_trait]
impl Operator for NatsTransport {
    async fn lag(&self, group: &GroupName) -> Result<Lag, OperatorError> {
        self.ask(lag(self.shared(), group)).await
    }

    async fn behind(&self, group: &GroupName) -> Result<u64, OperatorError> {
        self.ask(async { Ok(counts(self.shared(), group).await?.lag.behind()) }).await
    }

    async fn page(&self, page: &Page) -> Result<Letters, OperatorError> {
        self.ask(dead_letter::page(self.shared(), page)).await
    }

    async fn dead_letter(&self, id: &DeadLetterId) -> Result<DeadLetter, OperatorError> {
        self.ask(dead_letter::letter(self.shared(), id)).await
    }

    async fn redrive(
        &self,
        id: &DeadLetterId,
        hop: Option<&TraceContext>,
    ) -> Result<(), OperatorError> {
        self.ask(dead_letter::redrive(self.shared(), id, hop)).await
    }

    async fn purge(&self, id: &DeadLetterId) -> Result<(), OperatorError> {
        self.ask(dead_letter::purge(self.shared(), id)).await
    }
}

impl NatsTransport {
    async fn ask<T>(
        &self,
        calls: impl Future<Output = Result<T, OperatorError>>,
    ) -> Result<T, OperatorError> {
        permitted(&self.shared().signals, calls)
            .await
            .unwrap_or_else(|denied| Err(OperatorError::Unavailable { reason: denied.to_string() }))
    }
}

async fn lag(shared: &Shared, group: &GroupName) -> Result<Lag, OperatorError> {
    let Counts { mut lag, events, copies } = counts(shared, group).await?;
    for info in [&events, &copies] {
        lag.oldest = lag.oldest.max(oldest(shared, info).await?);
    }
    if lag.delayed > 0 {
        lag.oldest = lag.oldest.max(first(shared, own::COPIES, &later(group), 1).await?);
    }
    Ok(lag)
}

/// What the server has counted already: all of the lag but the oldest event's age.
struct Counts {
    lag: Lag,
    events: Info,
    copies: Info,
}

async fn counts(shared: &Shared, group: &GroupName) -> Result<Counts, OperatorError> {
    let none = || OperatorError::NoGroup { group: group.clone() };
    let info = async |stream: &str| {
        consumer::info(&shared.context, stream, group).await.map_err(unavailable)?.ok_or_else(none)
    };
    let copies = info(own::COPIES).await?;
    let stream = copies.config.metadata.get(consumer::EVENTS).ok_or_else(none)?;
    let later = later(group);
    let (events, delayed) = try_join!(info(stream), delayed(shared, &later))?;
    let mut lag = Lag::default();
    lag.delayed = delayed;
    for info in [&events, &copies] {
        lag.waiting += info.num_pending;
        lag.in_flight += info.num_ack_pending as u64;
        lag.redelivered += info.num_redelivered as u64;
    }
    Ok(Counts { lag, events, copies })
}

/// Where the copies of a group wait for their time.
fn later(group: &GroupName) -> String {
    own::later(&format!("{group}.>"))
}

/// How many copies wait for their time. The server lists them to count them.
async fn delayed(shared: &Shared, filter: &str) -> Result<u64, OperatorError> {
    let stream = shared.context.get_stream(own::COPIES).await.map_err(unavailable)?;
    if stream.cached_info().state.messages == 0 {
        return Ok(0);
    }
    let mut subjects = stream.info_with_subjects(filter).await.map_err(unavailable)?;
    let mut count = 0;
    while let Some((_, messages)) = subjects.try_next().await.map_err(unavailable)? {
        count += messages as u64;
    }
    Ok(count)
}

/// The groups of a service, and how much is undone of each. Every group has a consumer of copies,
/// wherever its events are.
pub(crate) async fn groups(
    shared: &Shared,
    plan: &Plan,
) -> Result<Vec<(GroupName, u64)>, TransportError> {
    let failed = |error: &dyn std::fmt::Display| {
        let reason = format!("listing the groups failed: {error}");
        TransportError::Unavailable { reason }
    };
    let stream = shared.context.get_stream(own::COPIES).await.map_err(|error| failed(&error))?;
    let (mut consumers, mut groups) = (stream.consumers(), Vec::new());
    while let Some(copies) = consumers.try_next().await.map_err(|error| failed(&error))? {
        let Some((service, handler)) = copies.name.split_once('_') else { continue };
        let Ok(group) = GroupName::new(service, handler) else { continue };
        if group.service() != plan.service {
            continue;
        }
        let events = match copies.config.metadata.get(consumer::EVENTS) {
            Some(stream) => consumer::info(&shared.context, stream, &group).await?,
            None => None,
        };
        let behind = |info: &Info| info.num_pending + info.num_ack_pending as u64;
        let waiting = behind(&copies) + events.as_ref().map_or(0, behind);
        groups.push((group, waiting));
    }
    Ok(groups)
}

/// The age of the oldest message of a consumer that is not done: the first one that is its
/// business behind all that is.
async fn oldest(shared: &Shared, info: &Info) -> Result<Option<Duration>, OperatorError> {
    if info.num_pending == 0 && info.num_ack_pending == 0 {
        return Ok(None);
    }
    let filter = match info.config.filter_subjects.first() {
        Some(first) => first.as_str(),
        None => &info.config.filter_subject,
    };
    first(shared, &info.stream_name, filter, info.ack_floor.stream_sequence + 1).await
}

/// The age of the event of the first message of a subject, from a sequence on.
async fn first(
    shared: &Shared,
    stream: &str,
    filter: &str,
    sequence: u64,
) -> Result<Option<Duration>, OperatorError> {
    let stream = shared.context.get_stream_no_info(stream).await.map_err(unavailable)?;
    let next = stream.raw_message_builder().sequence(sequence).next_by_subject(filter);
    let message = match next.send().await {
        Ok(message) => message,
        Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => return Ok(None),
        Err(error) => return Err(unavailable(error)),
    };
    let stored = match Stamp::read(&message.headers) {
        Some(stamp) if filter.starts_with(own::PREFIX) => stamp.origin.stored,
        _ => SystemTime::from(message.time),
    };
    Ok(Some(SystemTime::now().duration_since(stored).unwrap_or_default()))
}

fn unavailable(error: impl std::fmt::Display) -> OperatorError {
    OperatorError::Unavailable { reason: error.to_string() }
}

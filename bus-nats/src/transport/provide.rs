//! What has to be there for an event or a group: found, made, or refused.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::time::Duration;

use async_nats::jetstream::Context;
use bus_core::transport::{Group, Plan, Survey, TransportError};
use time::OffsetDateTime;
use tokio::time::timeout;

use super::Shared;
use crate::config::{NatsConfig, Provision};
use crate::topology::consumer::{self, Missing, Wanted};
use crate::topology::floor::Extent;
use crate::topology::{Stream, own};
use crate::{delay, operator, topology};

/// How long a publish waits for its stream to be made.
const PREPARE: Duration = Duration::from_secs(1);

/// The stream, and what is known of it and of the consumer.
pub(super) type Joined = (Stream, Option<(Extent, OffsetDateTime)>);

impl Shared {
    /// The stream of a domain, made or compared as the configuration says.
    pub(crate) async fn stream(&self, domain: &str) -> Result<Option<Stream>, TransportError> {
        self.stream_by(&self.context, domain).await
    }

    async fn stream_by(
        &self,
        context: &Context,
        domain: &str,
    ) -> Result<Option<Stream>, TransportError> {
        let NatsConfig { provision, streams, .. } = &self.config;
        let schedules = self.has_schedules();
        topology::stream(context, domain, *provision, streams, schedules).await
    }

    /// Makes the stream that is to take a subject, where that is ours to do and can be done now.
    pub(crate) async fn prepare(&self, domain: &str) {
        let ours = self.config.provision == Provision::Create;
        if ours && !self.domains.knows(domain) && self.is_connected() {
            let make = || async { self.stream(domain).await.map(drop) };
            // What takes longer is left to the publish, which has a deadline. Boxed, because it is
            // rare and would make every publish as large.
            let _ = Box::pin(timeout(PREPARE, self.domains.know(domain, make))).await;
        }
    }

    /// The stream that takes a subject, which nothing took so far.
    pub(crate) async fn provide(&self, subject: &str) -> Result<Option<()>, TransportError> {
        if let Some(domain) = own::waits_in(subject) {
            return delay::provide(self, domain, subject).await;
        }
        if own::is(subject) {
            return self.own_streams(&self.context).await.map(Some);
        }
        let domain = subject.split('.').next().unwrap_or(subject);
        Ok(self.stream(domain).await?.map(drop))
    }

    async fn own_streams(&self, context: &Context) -> Result<(), TransportError> {
        let NatsConfig { provision, streams, .. } = &self.config;
        own::streams(context, *provision, streams, self.has_schedules()).await
    }

    /// Joins both consumers of a group; says which stream, and since when there is the one of its
    /// events, where that may be asked. One that joins `again` will do so until it is done.
    pub(super) async fn join(&self, group: &Group, again: bool) -> Result<Joined, TransportError> {
        let context = if again { &self.hasty } else { &self.context };
        let stream = self.stream_by(context, group.filter.domain()).await?;
        let none = || TransportError::NoStream { subject: group.filter.to_string() };
        let stream = stream.ok_or_else(none)?;
        let NatsConfig { provision, streams, .. } = &self.config;
        let Some(extent) = stream.extent else { return Ok((stream, None)) };
        self.own.get_or_try_init(|| self.own_streams(context)).await?;
        let copies = Wanted::copies(&stream.name, group, streams.max_ack_pending);
        let found = consumer::look(context, own::COPIES, &group.name).await?;
        if matches!(found, Err(Missing::Stream)) {
            self.own_streams(context).await?;
        }
        copies.join(context, found.ok(), *provision).await?;
        let mut events = Wanted::events(&stream.name, group, streams.max_ack_pending);
        let found = consumer::info(context, &stream.name, &group.name).await?;
        if found.is_none() {
            events = events.resume(self.floors.resume(&group.name, extent))?;
        }
        let info = events.join(context, found, *provision).await?;
        self.floors.saw(&group.name, extent, &info);
        Ok((stream, Some((extent, info.created))))
    }

    pub(super) async fn survey(&self, plan: &Plan) -> Result<Survey, TransportError> {
        let mut survey = Survey::default();
        if !self.may_look() {
            return Ok(survey);
        }
        let mut covered = BTreeMap::new();
        for filter in &plan.filters {
            // Once for all of a domain.
            let covered = match covered.entry(filter.domain()) {
                Entry::Occupied(known) => *known.get(),
                Entry::Vacant(new) => *new.insert(self.stream(filter.domain()).await?.is_some()),
            };
            if !covered {
                survey.uncovered.push(filter.clone());
            }
        }
        self.own_streams(&self.context).await?;
        // Those who join need not ask again; it may have been set before.
        let _ = self.own.set(());
        survey.groups = operator::groups(self, plan).await?;
        Ok(survey)
    }
}

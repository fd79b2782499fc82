//! Joining a group, and what stands on the server for a service.

use bus_core::transport::{Group, Plan, Survey, TransportError};

use super::Shared;
use crate::config::NatsConfig;
use crate::operator;
use crate::topology::consumer::{self, Wanted};
use crate::topology::{Stream, own};

impl Shared {
    /// Joins both consumers of a group.
    pub(super) async fn join(&self, group: &Group) -> Result<Stream, TransportError> {
        let stream = self.stream(group.filter.domain()).await?;
        let none = || TransportError::NoStream { subject: group.filter.to_string() };
        let stream = stream.ok_or_else(none)?;
        let NatsConfig { provision, streams, .. } = &self.config;
        let Some(extent) = stream.extent else { return Ok(stream) };
        self.own_streams().await?;
        let copies = Wanted::copies(&stream.name, group, streams.max_ack_pending);
        let found = consumer::info(&self.context, own::COPIES, &group.name).await?;
        copies.join(&self.context, found, *provision).await?;
        let mut events = Wanted::events(&stream.name, group, streams.max_ack_pending);
        let found = consumer::info(&self.context, &stream.name, &group.name).await?;
        if found.is_none() {
            events = events.resume(self.floors.resume(&group.name, extent))?;
        }
        let info = events.join(&self.context, found, *provision).await?;
        self.floors.saw(&group.name, extent, &info);
        Ok(stream)
    }

    pub(super) async fn survey(&self, plan: &Plan) -> Result<Survey, TransportError> {
        let mut survey = Survey::default();
        if !self.may_look() {
            return Ok(survey);
        }
        for filter in &plan.filters {
            if self.stream(filter.domain()).await?.is_none() {
                survey.uncovered.push(filter.clone());
            }
        }
        self.own_streams().await?;
        survey.groups = operator::groups(self, plan).await?;
        Ok(survey)
    }
}

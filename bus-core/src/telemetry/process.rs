//! How a handler's runs begin to be told.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{Link, Span, SpanKind, TraceContextExt, Tracer};
use opentelemetry::{Context, KeyValue};
use tokio::time::Instant;

use super::context::{link, under, with_baggage};
use super::names::{attribute as a, kind, link as l, operation};
use super::naming::name;
use super::publish::destination;
use super::{Attempt, Carried, Live};
use crate::delivery::Delivery;
use crate::envelope::{Envelope, TraceContext};
use crate::transport::GroupName;

/// How one handler's runs are told: what is the same for all is made once.
pub(crate) struct Seen {
    pub(super) live: Arc<Live>,
    pub(super) template: &'static str,
    name: &'static str,
    max_attempts: u32,
    /// Of every span and number about processing.
    pub(super) common: Vec<KeyValue>,
    /// Of every number of the group.
    pub(super) group: [KeyValue; 2],
    handler: KeyValue,
}

impl Seen {
    pub(crate) fn new(
        live: &Arc<Live>,
        group: &GroupName,
        template: &'static str,
        max_attempts: u32,
    ) -> Self {
        let who = Arc::<str>::from(group.as_str());
        let group_template = [KeyValue::new(a::GROUP, who), KeyValue::new(a::TEMPLATE, template)];
        let mut common = live.common.clone();
        common.push(KeyValue::new(a::OPERATION, operation::PROCESS));
        common.push(KeyValue::new(a::OPERATION_TYPE, kind::PROCESS));
        common.extend(group_template.clone());
        Self {
            live: Arc::clone(live),
            template,
            name: name(operation::PROCESS, template),
            max_attempts,
            common,
            handler: KeyValue::new(a::HANDLER, Arc::<str>::from(group.handler())),
            group: group_template,
        }
    }

    /// A delivery is about to run.
    pub(crate) fn attempt(&self, delivery: &Delivery, now: impl Fn() -> SystemTime) -> Attempt<'_> {
        let (now, begun) = (self.live.is_heard().then(now), Instant::now());
        let wait = now.and_then(|now| Wait::of(delivery, now));
        if let (Some(metrics), Some(wait)) = (&self.live.metrics, &wait) {
            let again = delivery.history().attempts > 0;
            let [group, template] = self.group.clone();
            let redelivered = KeyValue::new(a::REDELIVERED, again);
            metrics.waited(wait.duration(), &[group, template, redelivered]);
        }
        let mut cx = self.context(delivery, now, wait.as_ref());
        let listed = self.live.on && !self.live.settings.baggage.is_empty();
        if let (true, Some(baggage)) = (listed, &delivery.envelope().trace.baggage) {
            let here = cx.take().unwrap_or_default();
            cx = Some(with_baggage(here, baggage, &self.live.settings));
        }
        Attempt { seen: self, cx, begun, ran: false, over: false }
    }

    fn context(
        &self,
        delivery: &Delivery,
        now: Option<SystemTime>,
        wait: Option<&Wait>,
    ) -> Carried {
        let (envelope, settings) = (&**delivery.envelope(), &self.live.settings);
        let hop = envelope.trace.hop.as_ref().filter(|_| self.live.on);
        let Some(tracer) = &self.live.tracer else { return hop.map(under) };
        // Whoever redrives without spans leaves the hop as it was.
        let (hop_span, origin) = (span_of(&envelope.trace.hop), span_of(&envelope.trace.origin));
        let stale = delivery.history().redrives > 0 && hop_span == origin;
        let age = now.and_then(|now| now.duration_since(envelope.time).ok());
        let old = age.is_some_and(|age| age > settings.new_trace_after);
        let apart = settings.links_only || envelope.trace.fresh || stale || old;
        let parent = hop.filter(|_| !apart).map_or_else(Context::new, under);
        let mut builder = tracer.span_builder(self.name);
        builder.span_kind = Some(SpanKind::Consumer);
        builder.links = Some(links(delivery));
        builder.attributes = Some(self.of_span(delivery, wait));
        let span = tracer.build_with_context(builder, &parent);
        // An SDK that was shut down makes spans that are nothing; then what came goes on.
        if !span.span_context().is_valid() {
            return hop.map(under);
        }
        Some(parent.with_span(span))
    }

    fn of_span(&self, delivery: &Delivery, wait: Option<&Wait>) -> Vec<KeyValue> {
        let (envelope, history) = (&**delivery.envelope(), delivery.history());
        // As many as an attempt has that ends well: beyond 17 glibc's allocator takes its slow way.
        let place = delivery.place().map_or(0, |place| 2 + usize::from(place.log.is_some()));
        let few = usize::from(wait.is_some()) + usize::from(history.redrives > 0);
        let mut attributes = Vec::with_capacity(self.common.len() + 4 + OF_EVENT + place + few + 1);
        attributes.extend_from_slice(&self.common);
        attributes.extend([
            self.handler.clone(),
            destination(envelope, self.template),
            KeyValue::new(a::ATTEMPT, i64::from(history.next_attempt())),
            KeyValue::new(a::MAX_ATTEMPTS, i64::from(self.max_attempts)),
        ]);
        of_event(envelope, &mut attributes);
        if history.redrives > 0 {
            attributes.push(KeyValue::new(a::REDRIVES, i64::from(history.redrives)));
        }
        if let Some(wait) = wait {
            let wait = wait.duration().unwrap_or_default();
            attributes.push(KeyValue::new(a::WAIT, wait.as_secs_f64()));
        }
        if let Some(place) = delivery.place() {
            let system = &self.live.system;
            let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
            if let Some(log) = &place.log {
                attributes.push(KeyValue::new(system.log, Arc::clone(log)));
            }
            attributes.push(KeyValue::new(system.sequence, number(place.sequence)));
            attributes.push(KeyValue::new(system.deliveries, number(place.deliveries)));
        }
        attributes
    }
}

/// Attributes of an event.
pub(super) const OF_EVENT: usize = 4;

/// What an event is, of spans about it.
pub(super) fn of_event(envelope: &Envelope, attributes: &mut Vec<KeyValue>) {
    let id = envelope.id.text();
    let story = if envelope.correlation == envelope.id {
        Arc::clone(&id)
    } else {
        envelope.correlation.text()
    };
    attributes.extend([
        KeyValue::new(a::MESSAGE_ID, id),
        KeyValue::new(a::CONVERSATION_ID, story),
        KeyValue::new(a::EVENT_SOURCE, Arc::clone(&envelope.source)),
        KeyValue::new(a::EVENT_TYPE, envelope.type_name.clone()),
    ]);
}

/// How long an event waited, where its broker says since when.
enum Wait {
    For(Duration),
    /// Clocks differ.
    Skewed,
}

impl Wait {
    fn of(delivery: &Delivery, now: SystemTime) -> Option<Self> {
        let since = delivery.place()?.since?;
        Some(now.duration_since(since).map_or(Self::Skewed, Self::For))
    }

    fn duration(&self) -> Option<Duration> {
        match self {
            Self::For(wait) => Some(*wait),
            Self::Skewed => None,
        }
    }
}

fn links(delivery: &Delivery) -> Vec<Link> {
    let (trace, previous) = (&delivery.envelope().trace, delivery.history().previous);
    let apart = span_of(&trace.hop) != span_of(&trace.origin);
    let origin = trace.origin.as_ref().filter(|_| apart);
    let of = |to: &TraceContext, meaning| link(to.parent, to.state.as_deref(), meaning);
    let to = [
        trace.hop.as_ref().map(|hop| of(hop, l::CREATION)),
        previous.map(|previous| link(previous, None, l::PREVIOUS)),
        origin.map(|origin| of(origin, l::ORIGIN)),
    ];
    let mut links = Vec::with_capacity(to.iter().flatten().count());
    links.extend(to.into_iter().flatten());
    links
}

/// What tells one span from another: who writes both headers need not write the same state in both.
fn span_of(context: &Option<TraceContext>) -> Option<(u128, u64)> {
    context.as_ref().map(|context| (context.parent.trace_id(), context.parent.span_id()))
}

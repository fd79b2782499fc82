use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
    trace::v1::ExportTraceServiceRequest,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::{logs::v1::LogRecord, metrics::v1::Metric, trace::v1::Span};
use prost::{DecodeError, Message};

use super::tree::{Attributes, Id, Node, draw};

/// What arrived at a [`Collector`](super::Collector), each with the attributes of its resource.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Received {
    /// In the order in which they came.
    pub spans: Vec<(Attributes, Span)>,
    /// Each as often as it was exported.
    pub metrics: Vec<(Attributes, Metric)>,
    /// In the order in which they came.
    pub logs: Vec<(Attributes, LogRecord)>,
    /// Of each request, in lower case.
    pub headers: Vec<String>,
}

impl Received {
    pub(super) fn spans(&mut self, body: &[u8]) -> Result<(), DecodeError> {
        for group in ExportTraceServiceRequest::decode(body)?.resource_spans {
            let named = of_resource(group.resource);
            let spans = group.scope_spans.into_iter().flat_map(|scope| scope.spans);
            self.spans.extend(spans.map(|span| (named.clone(), span)));
        }
        Ok(())
    }

    pub(super) fn metrics(&mut self, body: &[u8]) -> Result<(), DecodeError> {
        for group in ExportMetricsServiceRequest::decode(body)?.resource_metrics {
            let named = of_resource(group.resource);
            let metrics = group.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
            self.metrics.extend(metrics.map(|metric| (named.clone(), metric)));
        }
        Ok(())
    }

    pub(super) fn logs(&mut self, body: &[u8]) -> Result<(), DecodeError> {
        for group in ExportLogsServiceRequest::decode(body)?.resource_logs {
            let named = of_resource(group.resource);
            let logs = group.scope_logs.into_iter().flat_map(|scope| scope.log_records);
            self.logs.extend(logs.map(|log| (named.clone(), log)));
        }
        Ok(())
    }

    /// The first span of this name.
    pub fn span(&self, name: &str) -> Option<&(Attributes, Span)> {
        self.spans.iter().find(|(_, span)| span.name == name)
    }

    /// The names of all spans.
    pub fn span_names(&self) -> Vec<&str> {
        self.spans.iter().map(|(_, span)| span.name.as_str()).collect()
    }

    /// The first log whose text holds this.
    pub fn log(&self, part: &str) -> Option<&(Attributes, LogRecord)> {
        self.logs.iter().find(|(_, log)| log.body.as_ref().is_some_and(|b| text(b).contains(part)))
    }

    /// The trace with a span of this name that has this attribute.
    pub fn trace(&self, name: &str, key: &str, value: &str) -> Option<&[u8]> {
        let named = self.spans.iter().map(|(_, span)| span).filter(|span| span.name == name);
        let mut found = named.filter(|span| {
            attributes(&span.attributes).get(key).is_some_and(|found| found == value)
        });
        found.next().map(|span| &*span.trace_id)
    }

    /// All traces.
    pub fn traces(&self) -> BTreeSet<&[u8]> {
        self.spans.iter().map(|(_, span)| &*span.trace_id).collect()
    }

    /// The other traces from which a link leads to this one.
    pub fn linked_to(&self, trace_id: &[u8]) -> BTreeSet<&[u8]> {
        let others = self.spans.iter().filter(|(_, span)| span.trace_id != trace_id);
        let linked = others.filter(|(_, s)| s.links.iter().any(|link| link.trace_id == trace_id));
        linked.map(|(_, span)| &*span.trace_id).collect()
    }

    /// One trace as indented text, like [`Capture::tree`](super::Capture::tree).
    pub fn tree(&self, trace_id: &[u8]) -> String {
        draw(self.spans.iter().map(node).collect(), Some(trace_id))
    }
}

fn node((resource, span): &(Attributes, Span)) -> Node {
    let links = span.links.iter().map(|link| {
        let id = Id { trace: link.trace_id.clone(), span: link.span_id.clone() };
        (id, attributes(&link.attributes))
    });
    let status = span.status.as_ref().map_or(StatusCode::Unset, |status| status.code());
    Node {
        id: Id { trace: span.trace_id.clone(), span: span.span_id.clone() },
        parent: span.parent_span_id.clone(),
        service: resource.get("service.name").cloned().unwrap_or_default(),
        name: span.name.clone(),
        kind: kind(span.kind()).to_owned(),
        start: SystemTime::UNIX_EPOCH + Duration::from_nanos(span.start_time_unix_nano),
        attributes: attributes(&span.attributes),
        status: match status {
            StatusCode::Unset => "",
            StatusCode::Ok => " ok",
            StatusCode::Error => " error",
        },
        links: links.collect(),
    }
}

fn kind(kind: SpanKind) -> &'static str {
    kind.as_str_name().trim_start_matches("SPAN_KIND_")
}

fn of_resource(resource: Option<Resource>) -> Attributes {
    attributes(&resource.unwrap_or_default().attributes)
}

fn attributes(pairs: &[KeyValue]) -> Attributes {
    let text = |pair: &KeyValue| pair.value.as_ref().map(text).unwrap_or_default();
    pairs.iter().map(|pair| (pair.key.clone(), text(pair))).collect()
}

fn text(value: &AnyValue) -> String {
    match &value.value {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::BoolValue(value)) => value.to_string(),
        Some(Value::IntValue(value)) => value.to_string(),
        Some(Value::DoubleValue(value)) => value.to_string(),
        other => format!("{other:?}"),
    }
}

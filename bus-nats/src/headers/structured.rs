//! Structured mode: the whole event, attributes and all, is the payload, in JSON.

use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bus_core::envelope::TraceContext;
use bus_core::{Envelope, EventId, Subject};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::attributes::Attributes;
use super::{Stored, Unreadable, time, trace};

/// Whether the content type says so.
pub(super) fn is(content_type: &str) -> bool {
    let prefix = "application/cloudevents";
    content_type.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

#[derive(Deserialize)]
struct Structured {
    id: String,
    #[serde(rename = "type")]
    type_name: String,
    source: String,
    time: Option<String>,
    datacontenttype: Option<String>,
    dataversion: Option<String>,
    partitionkey: Option<String>,
    correlationid: Option<String>,
    causationid: Option<String>,
    hops: Option<u32>,
    traceparent: Option<Box<RawValue>>,
    tracestate: Option<Box<RawValue>>,
    data: Option<Box<RawValue>>,
    data_base64: Option<String>,
}

pub(super) fn read(
    subject: Subject,
    headers: Attributes<'_>,
    payload: &[u8],
    stored: Stored<'_>,
) -> Result<Envelope, Unreadable> {
    let unreadable = |reason: String| Unreadable::Structured { reason };
    let event: Structured =
        serde_json::from_slice(payload).map_err(|error| unreadable(error.to_string()))?;
    let id = EventId::parse(&event.id).map_err(|error| unreadable(error.to_string()))?;
    let data = match (event.data, event.data_base64) {
        (Some(json), _) => Bytes::from(String::from(Box::<str>::from(json))),
        (None, Some(text)) => {
            STANDARD.decode(text).map_err(|error| unreadable(error.to_string()))?.into()
        }
        (None, None) => Bytes::new(),
    };
    let mut envelope = Envelope::new(id, event.type_name, subject, data);
    envelope.version = event.dataversion.and_then(|text| text.parse().ok()).unwrap_or(1);
    envelope.source = Arc::from(event.source);
    envelope.time = event.time.as_deref().and_then(time).unwrap_or(stored.time);
    envelope.key = event.partitionkey;
    let other = |text: Option<String>| text.and_then(|text| EventId::parse(&text).ok());
    envelope.correlation = other(event.correlationid).unwrap_or_else(|| envelope.id.clone());
    envelope.causation = other(event.causationid);
    envelope.hops = event.hops.unwrap_or_default();
    let text = |json: Option<Box<RawValue>>| serde_json::from_str::<String>(json?.get()).ok();
    let (parent, state) = (text(event.traceparent), text(event.tracestate));
    let origin = TraceContext::read(parent.as_deref(), state.as_deref());
    envelope.trace = trace::read(&headers, origin);
    if let Some(content_type) = event.datacontenttype {
        envelope.content_type = content_type.into();
    }
    headers.publishers_own(&mut envelope);
    Ok(envelope)
}

//! Whether all that a member of a group will ask is permitted, found out before its first event:
//! one who may not ack would run every event again and again, and look healthy.

use std::time::Duration;

use async_nats::header::NATS_EXPECTED_STREAM;
use async_nats::{HeaderMap, Request};
use bus_core::transport::{GroupName, TransportError};
use tokio::try_join;

use crate::refusals::refused_or_deaf;
use crate::topology::own;
use crate::transport::Shared;

/// Does not decode, which is an answer.
const NO_REQUEST: &str = "{";

/// No event has this sequence.
const NO_EVENT: i64 = i64::MAX;

/// No stream has this name.
const NO_STREAM: &str = "-";

/// Both consumers have to answer; what else there is to be is made when it is needed. Nothing that
/// is said here changes anything. Each answer may take so long, or as long as any.
pub(crate) async fn knock(
    shared: &Shared,
    stream: &str,
    group: &GroupName,
    within: Option<Duration>,
) -> Result<(), TransportError> {
    let ask = |subject: String, text| ask(shared, subject, text, within);
    let consumer = async |stream: &str| {
        let next = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{group}");
        let ack = format!("$JS.ACK.{stream}.{group}.1.{NO_EVENT}.{NO_EVENT}.0.0");
        let answers = try_join!(ask(next, NO_REQUEST), ask(ack, "+WPI"))?;
        if answers == (true, true) {
            return Ok(());
        }
        let reason = format!(
            "the consumer `{group}` of the stream `{stream}` does not answer: it is missing, or has no leader"
        );
        Err(TransportError::Unavailable { reason })
    };
    let store = |stream| ask(own::subject(stream, &format!("{group}.none")), "");
    let call = |verb| ask(format!("$JS.API.STREAM.MSG.{verb}.{}", own::RUNS), NO_REQUEST);
    try_join!(
        consumer(stream),
        consumer(own::COPIES),
        store(own::RUNS),
        store(own::LETTERS),
        ask(own::later(&format!("{group}.none")), ""),
        call("GET"),
        call("DELETE"),
    )?;
    Ok(())
}

/// Whether somebody answers, if we may ask.
async fn ask(
    shared: &Shared,
    subject: String,
    text: &'static str,
    within: Option<Duration>,
) -> Result<bool, TransportError> {
    let mut refusals = shared.signals.refusals.subscribe();
    let mut nowhere = HeaderMap::new();
    nowhere.insert(NATS_EXPECTED_STREAM, NO_STREAM);
    let request = Request::new().headers(nowhere).payload(text.into());
    let request = if within.is_some() { request.timeout(within) } else { request };
    let request = shared.client().send_request(subject.clone(), request);
    tokio::select! {
        answer = request => Ok(answer.is_ok()),
        reason = refused_or_deaf(&mut refusals, &subject) => {
            Err(TransportError::Denied { reason })
        }
    }
}

//! Whether all that a member of a group will ask is permitted, found out before its first event:
//! one who may not ack would run every event again and again, and look healthy.

use async_nats::HeaderMap;
use async_nats::header::NATS_EXPECTED_STREAM;
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
/// is said here changes anything.
pub(crate) async fn knock(
    shared: &Shared,
    stream: &str,
    group: &GroupName,
) -> Result<(), TransportError> {
    let consumer = async |stream: &str| {
        let next = format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{group}");
        let ack = format!("$JS.ACK.{stream}.{group}.1.{NO_EVENT}.{NO_EVENT}.0.0");
        let answers = try_join!(ask(shared, next, NO_REQUEST), ask(shared, ack, "+WPI"))?;
        if answers == (true, true) {
            return Ok(());
        }
        let reason = format!(
            "the consumer `{group}` of the stream `{stream}` does not answer: it is missing, or has no leader"
        );
        Err(TransportError::Unavailable { reason })
    };
    let store = |stream| ask(shared, own::subject(stream, &format!("{group}.none")), "");
    let call = |verb| ask(shared, format!("$JS.API.STREAM.MSG.{verb}.{}", own::RUNS), NO_REQUEST);
    try_join!(
        consumer(stream),
        consumer(own::COPIES),
        store(own::RUNS),
        store(own::LETTERS),
        ask(shared, own::later(&format!("{group}.none")), ""),
        call("GET"),
        call("DELETE"),
    )?;
    Ok(())
}

/// Whether somebody answers, if we may ask.
async fn ask(shared: &Shared, subject: String, text: &'static str) -> Result<bool, TransportError> {
    let mut refusals = shared.signals.refusals.subscribe();
    let mut nowhere = HeaderMap::new();
    nowhere.insert(NATS_EXPECTED_STREAM, NO_STREAM);
    let request = shared.client().request_with_headers(subject.clone(), nowhere, text.into());
    tokio::select! {
        answer = request => Ok(answer.is_ok()),
        reason = refused_or_deaf(&mut refusals, &subject) => {
            Err(TransportError::Denied { reason })
        }
    }
}

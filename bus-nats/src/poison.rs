//! Messages that the client can not read. It drops its connection over each of them, and everything
//! that was on its way; after a lease it would do so again, for ever. So after an unexplained
//! reconnect they are looked for by the server's API, which tells them in a form that can be read, and
//! are kept as dead letters.

use std::str::FromStr;
use std::sync::Arc;
use std::time::SystemTime;

use async_nats::header::HeaderName;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bus_core::sabotage::{Sabotage, planted};
use bus_core::transport::TransportError;
use bytes::Bytes;
use serde::Deserialize;
use tracing::{error, info};

use crate::dead_letter;
use crate::headers::Flat;
use crate::lane::Lane;
use crate::lease::Original;
use crate::runs::Origin;
use crate::topology::consumer;

/// The most deliveries of a group that are looked at; one that pulls less than this at a time is
/// looked at whole.
const MOST: usize = 20_000;

/// What the server stores, as its API tells it.
#[derive(Deserialize)]
struct Answer {
    message: Option<Stored>,
}

#[derive(Deserialize)]
struct Stored {
    subject: String,
    seq: u64,
    #[serde(default)]
    hdrs: String,
    #[serde(default)]
    data: String,
    time: String,
}

/// Looks at all deliveries of a group that are not settled: how many can not be read.
pub(crate) async fn look(lane: &Lane, stream: &str) -> Result<usize, TransportError> {
    if planted(Sabotage::NoPoisonSearch) {
        return Ok(0);
    }
    let shared = &lane.shared;
    let Some(info) = consumer::info(&shared.context, stream, lane.name()).await? else {
        return Ok(0);
    };
    let (mut next, end) = (info.ack_floor.stream_sequence + 1, info.delivered.stream_sequence);
    let filter = lane.group.filter.as_str();
    let mut found = 0;
    for _ in 0..MOST {
        if info.num_ack_pending == 0 || next > end {
            break;
        }
        let Some(stored) = get(lane, stream, next, filter).await? else { break };
        next = stored.seq + 1;
        if stored.seq <= end
            && let Err(reason) = stored.check()
        {
            keep(lane, stream, &stored, reason).await?;
            found += 1;
        }
    }
    Ok(found)
}

/// The first message of a subject from a sequence on.
async fn get(
    lane: &Lane,
    stream: &str,
    sequence: u64,
    filter: &str,
) -> Result<Option<Stored>, TransportError> {
    let unavailable = |reason: String| TransportError::Unavailable { reason };
    let ask = serde_json::json!({ "seq": sequence, "next_by_subj": filter });
    let subject = format!("$JS.API.STREAM.MSG.GET.{stream}");
    let answer = lane.shared.client().request(subject, ask.to_string().into()).await;
    let answer = answer.map_err(|error| unavailable(error.to_string()))?;
    let answer: Answer =
        serde_json::from_slice(&answer.payload).map_err(|error| unavailable(error.to_string()))?;
    Ok(answer.message)
}

/// Kept once, and then taken from the group: the answer goes where that of the delivery would have
/// gone, which we never saw. The server looks at its sequence alone.
async fn keep(
    lane: &Lane,
    stream: &str,
    stored: &Stored,
    reason: &'static str,
) -> Result<(), TransportError> {
    let (group, sequence) = (lane.name(), stored.seq);
    let time = crate::headers::time(&stored.time).unwrap_or(SystemTime::UNIX_EPOCH);
    let origin = Origin { stream: Arc::from(stream), sequence, stored: time, redrives: 0 };
    let payload = Bytes::from(STANDARD.decode(&stored.data).unwrap_or_default());
    let subject = stored.subject.as_str().into();
    let original = Original { origin, subject, headers: Flat::default(), payload };
    let failed = dead_letter::unread(group, "wire", reason);
    let kept = dead_letter::store_raw(&lane.shared, group, &original, &stored.hdrs, failed).await;
    kept.map_err(|error| TransportError::Unavailable { reason: error.to_string() })?;
    let reply = format!("$JS.ACK.{stream}.{group}.1.{sequence}.{sequence}.0.0");
    let ended = lane.confirm(reply.into(), Bytes::from_static(b"+TERM wire")).await;
    ended.map_err(|error| TransportError::Unavailable { reason: error.to_string() })?;
    lane.group.meters.unreadable();
    error!(%group, stream, sequence, reason, "a message that can not be read is a dead letter");
    Ok(())
}

impl Stored {
    /// Whether the client reads it, by the rules of its own parser.
    fn check(&self) -> Result<(), &'static str> {
        // The server's JSON has the replacement character for what is no UTF-8. A subject that really
        // holds one would be kept as well, which loses nothing.
        if self.subject.contains(char::REPLACEMENT_CHARACTER) {
            return Err("its subject is not UTF-8");
        }
        match STANDARD.decode(&self.hdrs) {
            Ok(headers) if headers.is_empty() => Ok(()),
            Ok(headers) => check_headers(&headers),
            Err(_) => Ok(()),
        }
    }
}

fn check_headers(headers: &[u8]) -> Result<(), &'static str> {
    let text = std::str::from_utf8(headers).map_err(|_| "its headers are not UTF-8")?;
    let mut lines = text.lines();
    let version = lines.next().and_then(|line| line.strip_prefix("NATS/1.0"));
    if !version.is_some_and(|rest| rest.trim().is_empty()) {
        return Err("its headers have another version than NATS/1.0, or a status");
    }
    for line in lines.filter(|line| !line.is_empty() && !line.starts_with(char::is_whitespace)) {
        let (name, value) = line.split_once(':').ok_or("a header has no colon")?;
        HeaderName::from_str(name).map_err(|_| "the name of a header is none")?;
        if value.contains('\r') {
            return Err("a header has a carriage return inside");
        }
    }
    Ok(())
}

/// After a reconnect that nothing explains.
pub(crate) async fn look_after_reconnect(lane: &Lane, stream: &str) {
    match look(lane, stream).await {
        Ok(0) => {}
        Ok(found) => info!(group = %lane.name(), found, "messages that can not be read are gone"),
        Err(error) => {
            tracing::debug!(group = %lane.name(), %error, "not looked for what can not be read");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_reads_is_told_from_what_it_does_not() {
        for headers in
            ["NATS/1.0\r\n\r\n", "NATS/1.0\r\na: b\r\n c\r\nd:\r\n\r\n", "NATS/1.0\r\nä: ü\r\n\r\n"]
        {
            let expected = headers.contains('ä');
            assert_eq!(check_headers(headers.as_bytes()).is_err(), expected, "{headers}");
        }
        for headers in [
            &b"NATS/1.0\r\na: \xff\r\n\r\n"[..],
            b"NATS/1.0\r\nno colon\r\n\r\n",
            b"NATS/1.0\r\na: b\rc\r\n\r\n",
            b"NATS/1.0 503\r\n\r\n",
            b"NATS/2.0\r\na: b\r\n\r\n",
        ] {
            assert!(check_headers(headers).is_err(), "{}", String::from_utf8_lossy(headers));
        }
    }
}

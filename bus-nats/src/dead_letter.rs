//! Events that gave up: stored once for each group, origin and redrive; listed, and sent back.

use std::fmt::Display;
use std::time::SystemTime;

use async_nats::HeaderMap;
use async_nats::header::{HeaderValue, NATS_MESSAGE_TTL};
use bus_core::operator::OperatorError;
use bus_core::sabotage::{Sabotage, planted};
use bus_core::settle::{Failed, Reason};
use bus_core::transport::{GroupName, TransportError};

use crate::headers::stamp::{self, Cause, Stamp};
use crate::lease::Original;
use crate::publish;
use crate::runs::Origin;
use crate::topology::own;
use crate::transport::Shared;

mod insist;
mod list;
mod redrive;

pub(crate) use self::insist::{Stuck, insist};
pub(crate) use self::list::{letter, page};
pub(crate) use self::redrive::{purge, redrive};

/// How long a mark lives where a record was: longer than a publish is tried.
const MARK: &str = "10s";

/// The most bytes of headers that a stream takes, whatever a message may have.
const MOST_HEADERS: usize = u16::MAX as usize;

/// Why a record is not stored.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotStored {
    #[error(
        "it would have {size} bytes, {headers} of them headers, and the server takes {most}, {MOST_HEADERS} of them headers"
    )]
    TooLarge { size: usize, headers: usize, most: usize },
    #[error(transparent)]
    Refused(#[from] TransportError),
    #[error("others could not be stored either")]
    Others,
}

/// Stores the record; done when it is safe. What was stored before is not stored again.
pub(crate) async fn store(
    shared: &Shared,
    group: &GroupName,
    original: &Original,
    reason: Reason,
    failed: Failed,
) -> Result<(), NotStored> {
    let headers = Stamp::of(group, original).on(Some(&original.headers.map()));
    stamped(shared, group, original, headers, Cause { reason, failed }).await
}

/// The record of a message whose headers only the server can tell, as they came and in base64.
pub(crate) async fn store_raw(
    shared: &Shared,
    group: &GroupName,
    original: &Original,
    raw: &str,
    failed: Failed,
) -> Result<(), NotStored> {
    let mut headers = Stamp::of(group, original).on(None);
    if !raw.is_empty() {
        headers.insert(stamp::RAW, raw.to_owned());
    }
    let cause = Cause { reason: Reason::Undecodable, failed };
    stamped(shared, group, original, headers, cause).await
}

async fn stamped(
    shared: &Shared,
    group: &GroupName,
    original: &Original,
    mut headers: HeaderMap,
    mut cause: Cause,
) -> Result<(), NotStored> {
    cause.write(&mut headers);
    let (payload, most) = (original.payload.clone(), shared.max_payload());
    let fixed = payload.len() + publish::ONCE_BYTES;
    let room = most.saturating_sub(fixed).min(MOST_HEADERS - publish::ONCE_BYTES);
    while stamp::size(&headers) > room
        && let Some(raw) = headers.get(stamp::RAW).filter(|raw| !raw.as_str().is_empty())
    {
        // What nobody can read gives way: over what is not kept the client drops its connection.
        let raw = cut(raw.as_str()).to_owned();
        headers.insert(stamp::RAW, raw);
    }
    while stamp::size(&headers) > room && !cause.failed.text.is_empty() {
        // The event is kept whole, and the error's text gives way.
        cause.failed.text = half(&cause.failed.text).to_owned();
        cause.write(&mut headers);
    }
    let size = stamp::size(&headers);
    if size > room {
        let headers = size + publish::ONCE_BYTES;
        return Err(NotStored::TooLarge { size: payload.len() + headers, headers, most });
    }
    let subject = own::subject(own::LETTERS, &original.origin.token(group));
    Ok(publish::once(shared, subject, headers, payload).await?)
}

/// Why a group gives up what no handler was given.
pub(crate) fn unread(group: &GroupName, class: &'static str, reason: &str) -> Failed {
    let mut failed = Failed::new(class, reason, 0, SystemTime::now());
    failed.handler = group.handler().to_owned().into();
    failed.service = group.service().to_owned().into();
    failed
}

fn half(text: &str) -> &str {
    let end = (0..=text.len() / 2).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// The first half of what is in base64.
fn cut(text: &str) -> &str {
    text.get(..text.len() / 8 * 4).unwrap_or_default()
}

/// The record that an event was redriven from gives way to a mark that lives for a moment: it is not
/// stored again by somebody who has not heard of it. Where it did before, this is nothing.
pub(crate) async fn redriven(
    shared: &Shared,
    group: &GroupName,
    redriven: &Origin,
    sequence: u64,
) -> Result<(), TransportError> {
    if planted(Sabotage::NoMark) {
        return Ok(());
    }
    let redrives = redriven.redrives.saturating_sub(1);
    let origin = Origin { redrives, ..redriven.clone() };
    let mark = async |headers| {
        let subject = own::subject(own::LETTERS, &origin.token(group));
        publish::over(shared, subject, sequence, headers).await
    };
    match mark(HeaderMap::from_iter([(NATS_MESSAGE_TTL, HeaderValue::from(MARK))])).await {
        // A stream that was made by hand may know no TTLs: there it lives as long as a record.
        Err(TransportError::Unsupported { .. }) => mark(HeaderMap::new()).await,
        marked => marked,
    }
}

fn unavailable(error: impl Display) -> OperatorError {
    OperatorError::Unavailable { reason: error.to_string() }
}

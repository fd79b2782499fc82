//! What a copy and a dead letter carry beside the event: where it came from, and why it is here.
//! Everything else of the original stays as it was, but for what is the broker's.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use async_nats::HeaderMap;
use async_nats::header::HeaderValue;
use bus_core::envelope::TraceParent;
use bus_core::settle::{Failed, Reason};
use bus_core::transport::GroupName;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::escape::{escape, unescape};
use super::write::put;
use super::{OWN_ID, trace};
use crate::lease::Original;
use crate::runs::Origin;

const GROUP: &str = "bus-group";
const SUBJECT: &str = "bus-subject";
const ORIGIN: &str = "bus-origin";
const REDRIVES: &str = "bus-redrives";
const STORED: &str = "bus-stored";
const LETTER: &str = "bus-letter";
/// Headers that the client can not read, in base64; they stay with the event.
pub(crate) const RAW: &str = "bus-raw-headers";
const REASON: &str = "bus-reason";
const CLASS: &str = "bus-class";
const ERROR: &str = "bus-error";
const ATTEMPTS: &str = "bus-attempts";
const FIRST: &str = "bus-first-failure";
const LAST: &str = "bus-last-failure";
const HANDLER: &str = "bus-handler";
const SERVICE: &str = "bus-service";
const VERSION: &str = "bus-version";
/// The span of the run that failed last.
const PREVIOUS: &str = "bus-prev-attempt";

/// What was known of an original, and is not in its copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) group: GroupName,
    /// The event's id, which may have stood in a header of the broker's.
    pub(crate) id: String,
    pub(crate) subject: String,
    pub(crate) origin: Origin,
    /// Runs that ended, and when the first of them failed.
    pub(crate) attempts: u32,
    pub(crate) first_failure: Option<SystemTime>,
    /// The span of the run that failed last.
    pub(crate) previous: Option<TraceParent>,
    /// Where the record stands that this was redriven from, and is still to be removed.
    pub(crate) letter: Option<u64>,
}

/// Why an event gave up.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cause {
    pub(crate) reason: Reason,
    pub(crate) failed: Failed,
}

/// The original's headers, but for the broker's and the bus's own: of these only what its publisher
/// wrote, and what could not be read.
fn original(headers: Option<&HeaderMap>) -> HeaderMap {
    let mut kept = HeaderMap::new();
    for (name, values) in headers.into_iter().flat_map(HeaderMap::iter) {
        let text: &str = name.as_ref();
        let starts = |prefix: &str| {
            text.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        let stays = text == RAW || text.eq_ignore_ascii_case(trace::MODE);
        if stays || (!starts("nats-") && !starts("bus-")) {
            values.iter().for_each(|value| kept.append(name.clone(), value.clone()));
        }
    }
    kept
}

/// The bytes that headers take on the wire, with their first and their last line.
pub(crate) fn size(headers: &HeaderMap) -> usize {
    let values = headers.iter().flat_map(|(name, values)| {
        let name: &str = name.as_ref();
        values.iter().map(|value| name.len() + value.as_str().len() + 4)
    });
    values.sum::<usize>() + 12
}

impl Stamp {
    /// Of an event that a group was given, without any run.
    pub(crate) fn of(group: &GroupName, original: &Original) -> Self {
        Self {
            group: group.clone(),
            id: original.id().to_string(),
            subject: original.subject.to_string(),
            origin: original.origin.clone(),
            attempts: 0,
            first_failure: None,
            previous: None,
            letter: None,
        }
    }

    /// The headers of an original with this beside them.
    pub(crate) fn on(&self, headers: Option<&HeaderMap>) -> HeaderMap {
        let mut headers = original(headers);
        self.write(&mut headers);
        headers
    }

    fn write(&self, headers: &mut HeaderMap) {
        let Origin { stream, sequence, stored, redrives } = &self.origin;
        put(headers, GROUP, self.group.as_str());
        put(headers, OWN_ID, &escape(&self.id));
        put(headers, SUBJECT, &escape(&self.subject));
        put(headers, ORIGIN, &format!("{stream}:{sequence}"));
        put(headers, REDRIVES, &redrives.to_string());
        put(headers, STORED, &written(*stored));
        put(headers, ATTEMPTS, &self.attempts.to_string());
        if let Some(first) = self.first_failure {
            put(headers, FIRST, &written(first));
        }
        write_previous(headers, self.previous);
        if let Some(letter) = self.letter {
            put(headers, LETTER, &letter.to_string());
        }
    }

    /// `None` if it is not there, or not whole.
    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let text = |name| headers.get_last(name).map(HeaderValue::as_str);
        let (stream, sequence) = text(ORIGIN)?.rsplit_once(':')?;
        let origin = Origin {
            stream: Arc::from(stream),
            sequence: sequence.parse().ok()?,
            stored: super::time(text(STORED)?)?,
            redrives: text(REDRIVES)?.parse().ok()?,
        };
        let (service, handler) = text(GROUP)?.split_once('_')?;
        Some(Self {
            group: GroupName::new(service, handler).ok()?,
            id: unescape(text(OWN_ID)?)?.into_owned(),
            subject: unescape(text(SUBJECT)?)?.into_owned(),
            origin,
            attempts: text(ATTEMPTS)?.parse().ok()?,
            first_failure: text(FIRST).and_then(super::time),
            previous: text(PREVIOUS).and_then(TraceParent::parse),
            letter: text(LETTER).and_then(|letter| letter.parse().ok()),
        })
    }
}

impl Cause {
    pub(crate) fn write(&self, headers: &mut HeaderMap) {
        let Failed { class, text: error, attempt, first, last, .. } = &self.failed;
        put(headers, REASON, self.reason.as_str());
        put(headers, CLASS, &escape(class));
        put(headers, ERROR, &escape(error));
        put(headers, ATTEMPTS, &attempt.to_string());
        put(headers, FIRST, &written(*first));
        put(headers, LAST, &written(*last));
        put(headers, HANDLER, &escape(&self.failed.handler));
        put(headers, SERVICE, &escape(&self.failed.service));
        put(headers, VERSION, &escape(&self.failed.version));
        write_previous(headers, self.failed.span);
    }

    pub(crate) fn read(headers: &HeaderMap) -> Option<Self> {
        let text = |name| headers.get_last(name).map(HeaderValue::as_str);
        let all = [Reason::Rejected, Reason::Exhausted, Reason::Undecodable, Reason::UnknownType];
        let reason = text(REASON)?;
        // An empty header may get lost on the way.
        let owned = |name| {
            let text = unescape(text(name).unwrap_or_default())?;
            Some(Cow::Owned(text.into_owned()))
        };
        let attempt = text(ATTEMPTS)?.parse().ok()?;
        let last = super::time(text(LAST)?)?;
        let mut failed = Failed::new(owned(CLASS)?, &owned(ERROR)?, attempt, last);
        failed.first = super::time(text(FIRST)?)?;
        (failed.handler, failed.service) = (owned(HANDLER)?, owned(SERVICE)?);
        failed.version = owned(VERSION)?;
        failed.span = text(PREVIOUS).and_then(TraceParent::parse);
        Some(Self { reason: all.into_iter().find(|known| known.as_str() == reason)?, failed })
    }
}

fn write_previous(headers: &mut HeaderMap, previous: Option<TraceParent>) {
    if let Some(span) = previous {
        put(headers, PREVIOUS, &span.to_string());
    }
}

/// With all its digits, so that it is the same when it is read.
fn written(time: SystemTime) -> String {
    OffsetDateTime::from(time).format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_be_read_stays_with_an_event_that_is_redriven() {
        let headers = HeaderMap::from_iter([
            ("bus-reason".parse().unwrap(), HeaderValue::from("decode")),
            (RAW.parse().unwrap(), HeaderValue::from("TkFUUw==")),
        ]);
        let kept = original(Some(&headers));
        assert_eq!((kept.len(), kept.get(RAW).map(HeaderValue::as_str)), (1, Some("TkFUUw==")));
    }
}

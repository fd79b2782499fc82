//! An envelope arrives as it was sent.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;

use super::answer::ack;
use super::bench::Bench;
use crate::envelope::{Envelope, EventId, Headers, MAX_HEADERS};
use crate::subject::{Filter, Template};

/// Every attribute of an envelope survives.
pub async fn an_envelope_arrives_as_it_was_sent(bench: Bench) {
    let mut sent = bench.event("whole");
    sent.type_name = Cow::Borrowed("order.placed");
    sent.version = 7;
    sent.source = Arc::from("billing");
    sent.key = Some("order-4711".to_owned());
    sent.correlation = EventId::now();
    (sent.causation, sent.hops) = (Some(EventId::now()), 7);
    sent.headers = headers(&[("tenant", "acme"), ("Priority", "high")]);
    sent.content_type = Cow::Borrowed("application/cbor");
    arrives(&bench, sent).await;
}

/// What was not set is not there afterwards.
pub async fn what_is_absent_stays_absent(bench: Bench) {
    let received = arrives(&bench, bench.event("bare")).await;
    assert_eq!((&received.key, &received.causation), (&None, &None));
    assert!(received.headers.is_empty(), "{:?}", received.headers);
}

/// An id that is no UUID survives, and so do those of its story.
pub async fn a_foreign_id_survives(bench: Bench) {
    for text in ["order/4711", "a:b c;d", "0199F3A2-0000-7000-8000-00000000000A", "größe-√"] {
        let Ok(id) = EventId::parse(text) else { continue };
        let mut sent = bench.event(text);
        (sent.id, sent.correlation, sent.causation) = (id.clone(), id.clone(), Some(id));
        arrives(&bench, sent).await;
    }
}

/// The time survives to the millisecond, long ago and far ahead as well.
pub async fn a_time_survives_to_the_millisecond(bench: Bench) {
    for millis in [0, 1, 999, 1_000_000_000_001, 1_767_225_599_999, 32_503_680_000_000] {
        let mut sent = bench.event("in time");
        sent.time = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
        arrives(&bench, sent).await;
    }
}

/// Headers keep their names and their values, an empty one and a long one too.
pub async fn headers_survive(bench: Bench) {
    let mut sent = bench.event("headed");
    let long = "x".repeat(4_000);
    sent.headers = headers(&[
        ("tenant", "acme"),
        ("X-Request-Id", "0:1, 2;\"3\"=%41 \\"),
        ("empty", ""),
        ("long", &long),
        ("id", "not the event's"),
        ("status", "404"),
    ]);
    arrives(&bench, sent).await;
}

/// The most headers that an envelope can carry arrive.
pub async fn as_many_headers_as_there_may_be_survive(bench: Bench) {
    let mut sent = bench.event("heavy");
    for number in 0..MAX_HEADERS {
        assert_eq!(sent.headers.insert(format!("header-{number}"), number.to_string()), Ok(()));
    }
    arrives(&bench, sent).await;
}

/// Text that is not ASCII survives in every attribute that may hold it.
pub async fn text_of_any_script_survives(bench: Bench) {
    let text = "Größe 100 % — 注文 🚚 a+b=c&d";
    let mut sent = bench.event(text);
    sent.type_name = Cow::Borrowed(text);
    sent.source = Arc::from(text);
    sent.key = Some(text.to_owned());
    sent.headers = headers(&[("note", text)]);
    arrives(&bench, sent).await;
}

/// A subject with encoded values arrives letter by letter, and a filter finds it.
pub async fn a_subject_with_an_encoded_field_survives(bench: Bench) {
    const PLACED: Template = Template::literal("region.{region}.placed");
    for value in ["eu.west *>%", "Zürich", ""] {
        let Ok(encoded) = PLACED.fill(&[&value]) else { continue };
        let subject = bench.subject(encoded.as_str());
        let mut group = bench.group(&format!("charge-{}", value.len()));
        group.filter = Filter::from(&subject);
        let mut member = bench.subscribe(group).await;
        let sent = bench.event_on(subject, "far");
        bench.send(sent.clone()).await;
        let delivery = member.runs("far").await;
        assert_same(delivery.envelope(), &sent);
        ack(delivery).await;
    }
}

/// A payload may hold any byte.
pub async fn any_byte_survives(bench: Bench) {
    let mut sent = bench.event("bytes");
    sent.payload = Bytes::from((0..=255).chain((0..=255).rev()).collect::<Vec<u8>>());
    arrives(&bench, sent).await;
}

/// A payload may be empty.
pub async fn an_empty_payload_survives(bench: Bench) {
    arrives(&bench, bench.event("")).await;
}

/// A payload of 200 KiB arrives.
pub async fn a_large_payload_survives(bench: Bench) {
    let mut sent = bench.event("large");
    let bytes = (0..200 * 1024_u32).map(|at| at.wrapping_mul(2_654_435_761).to_be_bytes()[0]);
    sent.payload = bytes.collect::<Vec<u8>>().into();
    arrives(&bench, sent).await;
}

async fn arrives(bench: &Bench, sent: Envelope) -> Arc<Envelope> {
    let mut member = bench.join("charge").await;
    bench.send(sent.clone()).await;
    let delivery = member.next().await;
    let received = Arc::clone(delivery.envelope());
    assert_same(&received, &sent);
    assert_eq!(delivery.history().next_attempt(), 1);
    ack(delivery).await;
    member.stop();
    member.flush().await;
    received
}

/// Equal but for the order of the headers, which no wire has to keep.
fn assert_same(received: &Envelope, sent: &Envelope) {
    let sorted = |envelope: &Envelope| {
        let mut sorted: Vec<_> = envelope
            .headers
            .iter()
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        sorted.sort();
        sorted
    };
    assert_eq!(sorted(received), sorted(sent));
    let bare = |envelope: &Envelope| Envelope { headers: Headers::new(), ..envelope.clone() };
    assert_eq!(bare(received), bare(sent));
}

fn headers(pairs: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in pairs {
        assert_eq!(headers.insert(*name, *value), Ok(()));
    }
    headers
}

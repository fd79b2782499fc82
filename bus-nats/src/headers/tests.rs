//! Both directions, the specification's own examples, and what foreign publishers send.

use std::time::{Duration, SystemTime};

use async_nats::HeaderMap;
use bus_core::{Envelope, EventId, Headers, Subject};
use bytes::Bytes;
use proptest::prelude::*;

use super::escape::{escape, unescape};
use super::{Flat, Stored, Unreadable, Writer, read};

mod trace;

const STORED: Stored<'_> = Stored { stream: "ORDERS", sequence: 7, time: SystemTime::UNIX_EPOCH };

fn map(headers: &[(&str, &str)]) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        map.append(*name, *value);
    }
    map
}

fn arrived(headers: &[(&str, &str)], payload: &'static str) -> Result<Envelope, Unreadable> {
    let (map, payload) = (map(headers), Bytes::from(payload));
    let flat = read("orders.placed", &Flat::of(Some(&map)), payload.clone(), STORED);
    assert_eq!(flat, read("orders.placed", &map, payload, STORED), "in one piece or not");
    flat
}

/// 2018-04-05T17:31:00Z
fn spec_time() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_522_949_460)
}

#[test]
fn the_specifications_example_of_escaping_holds_both_ways() {
    let (plain, escaped) = ("Euro € 😀", "Euro%20%E2%82%AC%20%F0%9F%98%80");
    assert_eq!(escape(plain), escaped);
    assert_eq!(unescape(escaped).as_deref(), Some(plain));
    assert_eq!(unescape(&escaped.to_lowercase()).as_deref(), Some("euro € 😀"));
    // Over-long, and so no UTF-8.
    assert_eq!(unescape("%C0%A0"), None);
    assert_eq!(unescape(r#""a \"quoted\" text""#).as_deref(), Some(r#"a "quoted" text"#));
    assert_eq!(unescape("100% of %zz %4").as_deref(), Some("100% of %zz %4"));
}

#[test]
fn the_bindings_example_in_binary_mode_is_read() {
    let headers = [
        ("ce-specversion", "1.0"),
        ("ce-type", "com.example.someevent"),
        ("ce-time", "2018-04-05T03:56:24Z"),
        ("ce-id", "1234-1234-1234"),
        ("ce-source", "/mycontext/subcontext"),
        ("ce-datacontenttype", "application/json"),
    ];
    let envelope = arrived(&headers, "{}").unwrap();
    assert_eq!(
        (envelope.id.to_string().as_str(), &*envelope.type_name),
        ("1234-1234-1234", "com.example.someevent")
    );
    assert_eq!(
        (&*envelope.source, &*envelope.content_type),
        ("/mycontext/subcontext", "application/json")
    );
    assert_eq!(envelope.time, SystemTime::UNIX_EPOCH + Duration::from_secs(1_522_900_584));
    assert_eq!((&envelope.correlation, &envelope.causation), (&envelope.id, &None));
    assert!(envelope.headers.is_empty());
}

#[test]
fn the_specifications_json_examples_in_structured_mode_are_read() {
    let structured =
        [("Content-Type", "application/cloudevents+json; charset=utf-8"), ("x-own", "1")];
    let xml = r#"{"specversion":"1.0","type":"com.github.pull_request.opened",
        "source":"https://github.com/cloudevents/spec/pull","subject":"123","id":"A234-1234-1234",
        "time":"2018-04-05T17:31:00Z","comexampleextension1":"value","comexampleothervalue":5,
        "datacontenttype":"text/xml","data":"<much wow=\"xml\"/>"}"#;
    let envelope = arrived(&structured, xml).unwrap();
    assert_eq!((envelope.id.to_string().as_str(), envelope.time), ("A234-1234-1234", spec_time()));
    assert_eq!(
        (&*envelope.type_name, &*envelope.content_type),
        ("com.github.pull_request.opened", "text/xml")
    );
    assert_eq!(&*envelope.payload, br#""<much wow=\"xml\"/>""#);
    assert_eq!(envelope.headers.iter().collect::<Vec<_>>(), [("x-own", "1")]);

    let json = r#"{"specversion":"1.0","type":"com.example.someevent","source":"/mycontext","id":"C234-1234-1234",
        "datacontenttype":"application/json","data":{"appinfoA":"abc","appinfoB":123,"appinfoC":true}}"#;
    let envelope = arrived(&structured, json).unwrap();
    assert_eq!(&*envelope.payload, br#"{"appinfoA":"abc","appinfoB":123,"appinfoC":true}"#);

    let binary =
        r#"{"specversion":"1.0","type":"t","source":"/s","id":"B1","data_base64":"AAECAw=="}"#;
    assert_eq!(&*arrived(&structured, binary).unwrap().payload, [0, 1, 2, 3]);
    let error = arrived(&structured, "{}").unwrap_err();
    assert!(matches!(error, Unreadable::Structured { .. }), "{error}");
}

#[test]
fn a_message_without_headers_is_nobodys_event_and_keeps_its_bytes() {
    let envelope =
        read("orders.placed", &HeaderMap::new(), Bytes::from_static(b"\xff"), STORED).unwrap();
    assert_eq!((envelope.id.to_string().as_str(), &*envelope.type_name), ("ORDERS:7:0", ""));
    assert_eq!((envelope.time, &*envelope.payload), (STORED.time, &b"\xff"[..]));
    let envelope = arrived(&[("Nats-Msg-Id", "theirs"), ("Tenant", "acme")], "{}").unwrap();
    assert_eq!(
        (envelope.id.to_string().as_str(), envelope.headers.get("tenant")),
        ("theirs", Some("acme"))
    );
}

#[test]
fn names_are_read_in_any_case_and_the_last_of_several_counts() {
    let headers =
        [("CE-ID", "a"), ("CE-ID", "b"), ("Ce-Type", "orders.placed"), ("X", "1"), ("X", "2")];
    let envelope = arrived(&headers, "{}").unwrap();
    assert_eq!((envelope.id.to_string().as_str(), &*envelope.type_name), ("b", "orders.placed"));
    assert_eq!(envelope.headers.iter().collect::<Vec<_>>(), [("X", "2")]);
}

#[test]
fn what_is_broken_is_an_error_or_left_out_and_never_a_panic() {
    let error = arrived(&[("ce-type", "%C0%A0")], "{}").unwrap_err();
    assert_eq!(error, Unreadable::Escape { name: "ce-type" });
    let error = read("orders", &HeaderMap::new(), Bytes::new(), STORED).unwrap_err();
    assert!(matches!(error, Unreadable::Subject(_)), "{error}");
    let odd = [
        ("ce-time", "yesterday"),
        ("ce-dataversion", "x"),
        ("ce-correlationid", ""),
        ("ce-id", "i"),
    ];
    let envelope = arrived(&odd, "{}").unwrap();
    assert_eq!(
        (envelope.time, envelope.version, envelope.correlation),
        (STORED.time, 1, envelope.id)
    );
}

#[test]
fn what_is_ours_is_not_the_publishers_own() {
    let mut envelope = Envelope::new(EventId::now(), "t", Subject::literal("a.b"), "{}");
    envelope.headers.insert("tenant", "acme").unwrap();
    let headers = Writer::default().write(&envelope);
    assert_eq!(headers.get("Nats-Msg-Id").unwrap().as_str(), envelope.id.to_string());
    let read = read("a.b", &headers, Bytes::new(), STORED).unwrap();
    assert_eq!(read.headers, envelope.headers);
}

fn text() -> impl Strategy<Value = String> {
    "\\PC{1,40}|[ \"%\\\\a-z]{1,20}"
}

fn envelopes() -> impl Strategy<Value = Envelope> {
    let names = (text(), text(), text(), proptest::option::of(any::<String>()));
    let ids = (text(), proptest::option::of(text()));
    let own = proptest::collection::btree_map("x-[a-z]{1,8}", "[!-~]{0,20}", 0..6);
    (names, ids, own, any::<u32>(), 0..250_000_000_000_u64, any::<Vec<u8>>(), trace::traces())
        .prop_map(
            |(
                (id, type_name, source, key),
                (correlation, causation),
                own,
                version,
                millis,
                payload,
                traces,
            )| {
                let id = EventId::parse(&id).unwrap();
                let mut envelope =
                    Envelope::new(id, type_name, Subject::literal("orders.placed"), payload);
                (envelope.version, envelope.hops) = (version, version.rotate_left(7));
                envelope.source = source.into();
                envelope.time = SystemTime::UNIX_EPOCH + Duration::from_millis(millis);
                envelope.key = key;
                envelope.correlation = EventId::parse(&correlation).unwrap();
                envelope.causation = causation.map(|text| EventId::parse(&text).unwrap());
                envelope.trace = traces;
                envelope.headers = Headers::new();
                for (name, value) in own {
                    envelope.headers.insert(name, value).unwrap();
                }
                envelope
            },
        )
}

proptest! {
    #[test]
    fn what_is_written_is_read(envelope in envelopes()) {
        let headers = Writer::default().write(&envelope);
        for (_, values) in headers.iter() {
            prop_assert_eq!(values.len(), 1);
            prop_assert!(values[0].as_str().bytes().all(|byte| byte.is_ascii_graphic() || byte == b' '));
        }
        let read = read("orders.placed", &headers, envelope.payload.clone(), STORED).unwrap();
        prop_assert_eq!(read, envelope);
    }

    #[test]
    fn no_headers_make_it_panic(names in proptest::collection::vec("[!-9;-~]{1,12}", 0..8), value in "[ -~]{0,40}") {
        let mut headers = HeaderMap::new();
        for name in names {
            headers.append(name.as_str(), value.as_str());
        }
        let _ = read("orders.placed", &headers, Bytes::new(), STORED);
    }
}

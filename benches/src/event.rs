//! What everybody publishes and handles.

use std::time::SystemTime;

use bus_core::prelude::*;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

/// Orders are numbered from here on, so that each has as many digits.
pub const FIRST: u64 = 100_000;

/// 200 bytes as JSON.
#[derive(Clone, Debug, Serialize, Deserialize, Event)]
#[event(subject = "bench.placed")]
pub struct Placed {
    /// Its number.
    pub order: u64,
    customer: String,
    address: String,
    total_cents: i64,
}

/// Where [`Placed`] travels.
pub const SUBJECT: &str = "bench.placed";

/// The stream that has it.
pub const STREAM: &str = "BENCH";

impl Placed {
    /// The one of this number, counted from 0.
    pub fn new(number: u64) -> Self {
        let (customer, address) = ("c".repeat(58), "a".repeat(80));
        Self { order: FIRST + number, customer, address, total_cents: 4711 }
    }

    /// As many, numbered from 0.
    pub fn many(events: u64) -> Vec<Self> {
        (0..events).map(Self::new).collect()
    }
}

/// The headers of one event, as the bus writes them: whoever wants events that other languages can
/// read has to write as much by hand.
pub fn headers(source: &'static str) -> [(&'static str, String); 11] {
    let id = Uuid::now_v7().to_string();
    let now = OffsetDateTime::from(SystemTime::now());
    [
        ("Nats-Msg-Id", id.clone()),
        ("ce-specversion", "1.0".to_owned()),
        ("ce-id", id.clone()),
        ("ce-source", source.to_owned()),
        ("ce-type", Placed::TYPE.to_owned()),
        ("ce-subject", SUBJECT.to_owned()),
        ("ce-dataversion", "1".to_owned()),
        ("ce-correlationid", id),
        ("ce-time", now.format(&Rfc3339).unwrap_or_default()),
        ("content-type", "application/json".to_owned()),
        ("ce-datacontenttype", "application/json".to_owned()),
    ]
}

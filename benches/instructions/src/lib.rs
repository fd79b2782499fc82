//! What is counted: `benches/hot_path.rs`.

use bus_core::prelude::*;
use serde::{Deserialize, Serialize};

/// 200 bytes as JSON.
#[derive(Clone, Debug, Serialize, Deserialize, Event)]
#[event(subject = "bench.placed")]
pub struct Placed {
    order: u64,
    customer: String,
    address: String,
    total_cents: i64,
}

impl Placed {
    /// As many, numbered from 100,000.
    pub fn many(events: u64) -> Vec<Self> {
        let (customer, address) = ("c".repeat(58), "a".repeat(80));
        let placed = |number| {
            let (customer, address) = (customer.clone(), address.clone());
            Self { order: 100_000 + number, customer, address, total_cents: 4711 }
        };
        (0..events).map(placed).collect()
    }
}

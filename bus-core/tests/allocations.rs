//! What the engine allocates for one event, beyond what the codec does.

#![expect(clippy::print_stdout, reason = "the figure belongs into the log")]

use bus_core::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "ticks.ticked")]
struct Tick {
    n: u64,
}

/// The design allows five in the in-memory path.
const ALLOWED: u64 = 5;

const EVENTS: u64 = 10_000;

#[test]
fn an_event_costs_five_allocations_beyond_the_codecs() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    // Once before, for the buffer that each thread keeps.
    Json::encode(&Tick { n: 1 }).unwrap();
    let codec = allocation_counter::measure(|| {
        let bytes = Json::encode(&Tick { n: 1 }).unwrap();
        assert_eq!(Json::decode::<Tick>(&bytes).unwrap().n, 1);
    });
    let (bus, (done, mut handled)) = (Bus::in_memory(), mpsc::channel(64));
    let tick = move |tick: Tick, _: Context| {
        let done = done.clone();
        async move { done.send(tick.n).await.unwrap_or_default() }
    };
    let service = Service::new("ticks", bus.clone()).on("tick", tick);
    let running = runtime.block_on(service.start()).unwrap();
    let mut run = |events: u64| {
        runtime.block_on(async {
            for n in 0..events {
                bus.publish(&Tick { n }).await.unwrap();
                assert_eq!(handled.recv().await, Some(n));
            }
        });
    };
    // Queues and tables grow to their size first.
    run(70_000);
    let all = allocation_counter::measure(|| run(EVENTS));
    let each = all.count_total as f64 / EVENTS as f64 - codec.count_total as f64;
    println!("{each:.2} allocations an event beyond the codec's {}", codec.count_total);
    assert!(each <= ALLOWED as f64 + 0.2, "{each:.2} allocations an event, {ALLOWED} are allowed");
    drop(running);
}

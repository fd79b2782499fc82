//! Counts what one event allocates on its way through the in-memory transport, and what of that is
//! the codec's.

#![expect(clippy::print_stdout, reason = "its report")]

use anyhow::Result;
use benches::event::Placed;
use bus_core::prelude::*;
use tokio::sync::mpsc;

const EVENTS: u64 = 10_000;

fn main() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let placed = Placed::new(0);
    let bytes = Json::encode(&placed)?;
    let codec = allocation_counter::measure(|| {
        let decoded = Json::encode(&placed).map(|_| Json::decode::<Placed>(&bytes));
        std::hint::black_box(decoded.is_ok());
    });
    let (bus, (done, mut handled)) = (Bus::in_memory(), mpsc::channel(64));
    let handler = move |placed: Placed, _: Context| {
        let done = done.clone();
        async move { done.send(placed.order).await.unwrap_or_default() }
    };
    let service = Service::new("allocations", bus.clone()).on("count", handler);
    let _running = runtime.block_on(service.start())?;
    let mut run = |events: u64| {
        runtime.block_on(async {
            for _ in 0..events {
                bus.publish(&placed).await?;
                handled.recv().await;
            }
            anyhow::Ok(())
        })
    };
    // Queues and tables grow to their size first.
    run(70_000)?;
    let mut outcome = Ok(());
    let all = allocation_counter::measure(|| outcome = run(EVENTS));
    outcome?;
    let all = all.count_total as f64 / EVENTS as f64;
    println!("{{\"codec\":{},\"all\":{all:.2}}}", codec.count_total);
    Ok(())
}

//! What a circuit breaker logs. Alone in its process: whether a line is wanted is known to all threads.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bus_core::memory::{Memory, MemoryConfig};
use bus_core::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::Instant;

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "orders.placed")]
struct Placed {
    n: u32,
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn it_is_logged_when_it_opens_and_when_it_is_closed_again() {
    let log = Log::default();
    let into = log.clone();
    let subscriber = tracing_subscriber::fmt().with_ansi(false).without_time();
    let subscriber = subscriber.with_writer(move || into.clone()).finish();
    tracing::subscriber::set_global_default(subscriber).unwrap();
    let (memory, mended) = (Memory::seeded(MemoryConfig::default(), 1), Instant::now() + MINUTE);
    let (done, mut handled) = mpsc::unbounded_channel();
    let charge = move |order: Placed, _: Context| {
        let charged = match Instant::now() < mended {
            true => Err(HandlerError::retry("the gateway is away")),
            false => done.send(order.n).map_err(HandlerError::retry),
        };
        async { charged }
    };
    let service = Service::new("billing", memory.bus()).on("charge", charge);
    let running = service.start().await.unwrap();
    for n in 0..100 {
        memory.bus().publish(&Placed { n }).await.unwrap();
    }
    for _ in 0..100 {
        handled.recv().await.unwrap();
    }
    // The last answers are still told.
    tokio::time::sleep(Duration::from_secs(1)).await;
    running.stop().await;
    let text = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    let lines: Vec<_> = text.lines().filter(|line| line.contains("circuit breaker")).collect();
    let [opens, closed] = lines[..] else { panic!("{lines:#?}") };
    let said = "its circuit breaker opens group=\"billing_charge\" failed=20 of=20 \
                last=\"_OTHER: the gateway is away\" pause=1s";
    assert!(opens.contains("WARN") && opens.ends_with(said), "{opens}");
    let said = "its circuit breaker is closed again group=\"billing_charge\" after=6";
    assert!(closed.contains("INFO") && closed.contains(said), "{closed}");
}

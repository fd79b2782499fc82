//! Who may connect, and what is seen on the way: against real servers.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use bus_core::prelude::*;
use bus_nats::dev_server::DevServer;
use bus_nats::{Auth, ConnectError, NatsConfig, NatsTransport, Secret};
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, sleep, timeout};

mod auth;
mod cluster;
mod nkeys;
mod permissions;
mod tls;

const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "orders.placed")]
struct Placed {}

fn config(server: &DevServer) -> NatsConfig {
    let deadline = Duration::from_secs(3);
    NatsConfig { servers: vec![server.url()], deadline, ..NatsConfig::default() }
}

async fn publishes(config: NatsConfig) {
    let bus = Bus::new(NatsTransport::connect(config).await.unwrap());
    bus.publish(&Placed {}).await.unwrap();
}

/// Why there is no connection; whatever it says, no secret is in it.
async fn refusal(config: NatsConfig) -> ConnectError {
    let error = NatsTransport::connect(config).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cr3t"), "{error:?}");
    error
}

/// What it gives, as soon as it gives something.
async fn eventually<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}");
        sleep(Duration::from_millis(20)).await;
    }
}

//! Faults that are made on purpose, on real servers and in real processes: what is stored is
//! handled or a dead letter, and nobody waits longer than promised. The ids are those of the
//! catalogue of faults. `--nocapture` shows what was measured.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::expect_used, reason = "a test fails by panicking")]
#![expect(clippy::panic, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the figures belong into the log")]

use std::time::Duration;

use bus_core::operator::DeadLetter;
use bus_core::prelude::*;
use bus_core::transport::Transport;
use bus_nats::dev_server::DevServer;
use bus_nats::{NatsConfig, NatsTransport};
use tokio::task::block_in_place;

mod credit;
mod crew;
mod ledger;
mod load;
mod process;

mod a_limits;
mod a_publish;
mod a_refused;
mod consumer;
mod e_auth;
mod e_cluster;
mod e_link;
mod e_quorum;
mod e_resources;
mod e_tls;
mod e_upgrade;
mod process_killed;
mod reconnect;
mod retry;
mod server_frozen;
mod server_killed;
mod slow;
mod stop;

/// Far more than anything takes, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(40);

const MILLISECOND: Duration = Duration::from_millis(1);

async fn connect(url: &str) -> NatsTransport {
    let config = NatsConfig { servers: vec![url.to_owned()], ..NatsConfig::default() };
    NatsTransport::connect(config).await.unwrap()
}

/// A server, and a bus on it.
async fn server() -> (DevServer, NatsTransport, Bus) {
    let server = block_in_place(DevServer::start).unwrap();
    let transport = connect(&server.url()).await;
    (server, transport.clone(), Bus::new(transport))
}

fn kill(server: &mut DevServer) {
    block_in_place(|| server.kill()).unwrap();
}

fn restart(server: &mut DevServer) {
    block_in_place(|| server.restart()).unwrap();
}

async fn dead_letters(transport: &NatsTransport) -> Vec<DeadLetter> {
    transport.operator().unwrap().dead_letters(None, 10_000).await.unwrap()
}

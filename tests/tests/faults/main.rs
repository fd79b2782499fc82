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
use bus_core::transport::{GroupName, Transport};
use bus_nats::dev_server::DevServer;
use bus_nats::{NatsConfig, NatsTransport};
use serde_json::Value;
use tests::chaos::injected::Injected;
use tests::jobs::{Does, Job};
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

mod crew;
mod ledger;
mod load;
mod process;
mod raw;

mod a_limits;
mod a_publish;
mod a_refused;
mod acks;
mod attempts;
mod breaker;
mod changed;
mod consumer;
mod credit;
mod dead_letters;
mod e_auth;
mod e_cluster;
mod e_link;
mod e_quorum;
mod e_resources;
mod e_tls;
mod e_upgrade;
mod echoes;
mod hang;
mod late;
mod memory;
mod neighbours;
mod order;
mod orphans;
mod panics;
mod payload;
mod process_killed;
mod reconnect;
mod redrive;
mod retry;
mod rolling;
mod secrets;
mod server_frozen;
mod server_killed;
mod slow;
mod start;
mod stop;
mod stops;
mod storm;
mod unstorable;
mod versions;
mod wire;
mod zombie;

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

/// Says at the end of a test what it did to others.
fn injects(test: &str, faults: &[(&str, usize)]) {
    let injected = Injected::begin(test);
    for (fault, count) in faults {
        injected.add(fault, *count);
    }
}

/// Publishes jobs from 0 on, all at once.
async fn publish(bus: &Bus, count: u32, does: impl Fn(u32) -> Does) -> Vec<u32> {
    let jobs: Vec<_> = (0..count).map(|number| Job { number, does: does(number) }).collect();
    assert!(bus.publish_all(&jobs).await.iter().all(Result::is_ok));
    (0..count).collect()
}

/// Asks the server's own API.
async fn api(transport: &NatsTransport, subject: &str, body: &str) -> Value {
    let subject = format!("$JS.API.{subject}");
    let answer = transport.client().request(subject, body.to_owned().into()).await.unwrap();
    let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
    assert_eq!(answer.get("error"), None);
    answer
}

/// What the server knows of the group `work`.
async fn consumer(transport: &NatsTransport) -> Value {
    api(transport, "CONSUMER.INFO.JOBS.jobs_work", "").await
}

/// Nothing is left to the group `work`.
async fn is_settled(transport: &NatsTransport) {
    let (group, begun) = (GroupName::new("jobs", "work").unwrap(), Instant::now());
    // A server that has much to do may be late with its answer.
    while !matches!(transport.operator().unwrap().lag(&group).await, Ok(lag) if lag.behind() == 0) {
        assert!(begun.elapsed() < PATIENCE, "{:?}", consumer(transport).await);
        sleep(20 * MILLISECOND).await;
    }
}

/// Waits until there are so many, and says them.
async fn letters(transport: &NatsTransport, count: usize) -> Vec<DeadLetter> {
    let begun = Instant::now();
    loop {
        // A server that has much to do may be late with its answer.
        let letters = transport.operator().unwrap().dead_letters(None, 10_000).await;
        let letters = letters.unwrap_or_default();
        if letters.len() >= count {
            assert_eq!(letters.len(), count, "{letters:?}");
            return letters;
        }
        assert!(begun.elapsed() < PATIENCE, "{} of {count}: {letters:?}", letters.len());
        sleep(50 * MILLISECOND).await;
    }
}

/// Which job was given up.
fn number(letter: &DeadLetter) -> u32 {
    serde_json::from_slice::<Job>(&letter.envelope.payload).unwrap().number
}

async fn dead_letters(transport: &NatsTransport) -> Vec<DeadLetter> {
    transport.operator().unwrap().dead_letters(None, 10_000).await.unwrap()
}

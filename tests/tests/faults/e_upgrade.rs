//! Family E of the catalogue: servers that are replaced while everybody works.

use std::time::Duration;

use bus_core::prelude::*;
use bus_nats::dev_server::DevServer;
use tests::chaos::cluster::{Cluster, NODES};
use tests::chaos::injected::Injected;
use tests::jobs::{Does, Jobs};
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use crate::crew::Crew;
use crate::load::Load;
use crate::{MILLISECOND, PATIENCE, connect};

const VERSIONS: [&str; 3] = ["2.12.8", "2.15.1", "2.12.8"];

/// How long nothing may be done in an upgrade.
const GAP: Duration = Duration::from_secs(10);

fn jobs() -> Jobs {
    Jobs { lease: SECOND * 3, concurrency: 4, retry: Retry::DEFAULT }
}

async fn nothing_is_lost(crew: Crew, load: Load) {
    let published = load.end().await;
    println!("{} stored, {} not known", published.stored.len(), published.failed.len());
    crew.ledger.has_done(&published.numbers(), PATIENCE).await;
    crew.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_e6_a_server_that_is_upgraded_and_back_loses_nothing() {
    let injected = Injected::begin("fault_e6");
    let mut server = block_in_place(|| DevServer::start_version(VERSIONS[0])).unwrap();
    let config = connect_config(&server);
    let crew = Crew::start([config.clone(), config], &jobs()).await;
    let bus = Bus::new(connect(&server.url()).await);
    let load = Load::start(&bus, 10 * MILLISECOND, |_| Does::Sleep(5));
    for version in &VERSIONS[1..] {
        crew.all_work(Instant::now(), PATIENCE).await;
        // As an upgrade does: it is told to end, and is not killed.
        server.signal("TERM").unwrap();
        while server.is_running() {
            sleep(10 * MILLISECOND).await;
        }
        block_in_place(|| server.restart_version(version)).unwrap();
        let up = Instant::now();
        injected.note(&format!("server replaced by {version}"));
        let gap = crew.all_work(up, GAP).await;
        println!("{version}: all work after {gap:?}");
    }
    nothing_is_lost(crew, load).await;
}

fn connect_config(server: &DevServer) -> bus_nats::NatsConfig {
    bus_nats::NatsConfig { servers: vec![server.url()], ..bus_nats::NatsConfig::default() }
}

/// One node after the other: up to the newest version and down again.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "heavy: two minutes"]
async fn fault_e6_a_cluster_that_is_upgraded_node_by_node_loses_nothing() {
    let injected = Injected::begin("fault_e6_cluster");
    let mut cluster = Cluster::start_version(VERSIONS[0]).await.unwrap();
    let crew = Crew::start((0..NODES).map(|_| cluster.config()), &jobs()).await;
    let bus = Bus::new(bus_nats::NatsTransport::connect(cluster.config()).await.unwrap());
    let load = Load::start(&bus, 10 * MILLISECOND, |_| Does::Sleep(5));
    for version in &VERSIONS[1..] {
        for node in 0..NODES {
            cluster.is_current().await.unwrap();
            let begun = Instant::now();
            cluster.leave(node).await.unwrap();
            cluster.restart_version(node, version).await.unwrap();
            injected.note(&format!("node replaced by {version}"));
            let gap = crew.all_work(Instant::now(), GAP).await;
            println!(
                "node {node} is {version} after {:?}, all work {gap:?} later",
                begun.elapsed()
            );
        }
    }
    nothing_is_lost(crew, load).await;
    cluster.is_current().await.unwrap();
}

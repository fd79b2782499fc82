//! Three servers that keep every event three times.

use std::net::TcpListener;

use anyhow::{Context as _, Result};
use bus_nats::dev_server::DevServer;
use bus_nats::{NatsConfig, Streams};

use super::{consume, publish};
use crate::figure::Figure;
use crate::ground::Ground;
use crate::rounds::Effort;
use tokio::time::{Duration, Instant, sleep};

const NODES: usize = 3;

/// How long it may take to choose the first leader.
const START: Duration = Duration::from_secs(60);

pub(crate) async fn measure(effort: Effort) -> Result<Vec<Figure>> {
    let servers = start()?;
    let urls = servers.iter().map(DevServer::url).collect();
    let streams = Streams { replicas: NODES, ..Streams::default() };
    let config = NatsConfig { servers: urls, streams, ..NatsConfig::default() };
    let ground = ground(config).await?;
    let publish = publish::beside_raw(&ground, "cluster_publish_all", 0.9, effort).await?;
    let consume = consume::beside_raw(&ground, "cluster_consume", effort).await?;
    Ok(vec![publish, consume])
}

/// Servers that dial each other.
fn start() -> Result<Vec<DevServer>> {
    // Held until all are known, so that no port is given twice.
    let held: Vec<_> =
        (0..NODES).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    let ports: Vec<_> =
        held.iter().map(|held| Ok(held.local_addr()?.port())).collect::<Result<_>>()?;
    drop(held);
    let routes: Vec<_> = ports.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
    let server = |(node, port): (usize, &u16)| {
        let listen = format!("127.0.0.1:{port}");
        let cluster = format!("name: bench, listen: {listen:?}, routes: {routes:?}");
        DevServer::start_with(&format!("server_name: node-{node}\ncluster {{ {cluster} }}\n"))
    };
    ports.iter().enumerate().map(server).collect::<Result<_, _>>().context("a cluster")
}

/// As soon as there is a leader.
async fn ground(config: NatsConfig) -> Result<Ground> {
    let begun = Instant::now();
    loop {
        match Ground::on(config.clone(), None).await {
            Err(_) if begun.elapsed() < START => sleep(Duration::from_millis(200)).await,
            done => return done,
        }
    }
}

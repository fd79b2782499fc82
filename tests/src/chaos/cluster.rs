//! Three servers on this machine that keep every stream three times. All that they say to each
//! other, and all that clients say to them, goes through proxies.

use std::io;
use std::time::Duration;

use bus_nats::{NatsConfig, NatsTransport, Streams};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use self::node::Node;
use super::proxy::{Proxy, Way};

mod node;

/// How many servers there are.
pub const NODES: usize = 3;

/// How long replicas may take to catch up after a fault.
const CATCH_UP: Duration = Duration::from_secs(300);

/// How long a cluster may take to choose its first leader.
const START: Duration = Duration::from_secs(60);

const LOOK: Duration = Duration::from_millis(50);

/// A cluster that ends with its owner.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    /// By which the one dials the other.
    routes: Vec<(usize, usize, Proxy)>,
}

impl Cluster {
    /// Starts it, and waits until it can make streams.
    pub async fn start() -> io::Result<Self> {
        Self::launch(None).await
    }

    /// The same of this version.
    pub async fn start_version(version: &str) -> io::Result<Self> {
        Self::launch(Some(version)).await
    }

    async fn launch(version: Option<&str>) -> io::Result<Self> {
        let mut routes = Vec::new();
        for (from, to) in (0..NODES).flat_map(|from| (0..NODES).map(move |to| (from, to))) {
            if from != to {
                // Nobody is there yet.
                routes.push((from, to, Proxy::blind(0).await?));
            }
        }
        let mut cluster = Self { nodes: Vec::new(), routes };
        for number in 0..NODES {
            let dials = cluster.routes.iter().filter(|(from, ..)| *from == number);
            let dials: Vec<_> = dials.map(|(.., proxy)| proxy.url()).collect();
            cluster.nodes.push(Node::start(number, &dials, version).await?);
            cluster.dialled(number).await?;
        }
        let begun = Instant::now();
        while cluster.ask("STREAM.NAMES").await.is_err() {
            if begun.elapsed() > START {
                return Err(io::Error::other("the cluster chooses no leader"));
            }
            sleep(LOOK).await;
        }
        Ok(cluster)
    }

    /// Others dial it on its port of today.
    async fn dialled(&self, number: usize) -> io::Result<()> {
        let port = self.nodes[number].route_port().await?;
        self.routes.iter().filter(|(_, to, _)| *to == number).for_each(|(.., proxy)| {
            proxy.retarget(port);
        });
        Ok(())
    }

    /// What a client of the whole cluster is configured with: three copies of all.
    pub fn config(&self) -> NatsConfig {
        let servers = self.nodes.iter().map(|node| node.client.url()).collect();
        let streams = Streams { replicas: NODES, ..Streams::default() };
        NatsConfig { servers, streams, ..NatsConfig::default() }
    }

    /// The same for a client that does not know one of them.
    pub fn config_without(&self, node: usize) -> NatsConfig {
        let others = self.nodes.iter().enumerate().filter(|(number, _)| *number != node);
        let servers = others.map(|(_, other)| other.client.url()).collect();
        NatsConfig { servers, ..self.config() }
    }

    /// By which clients come to a node.
    pub fn client(&self, node: usize) -> &Proxy {
        &self.nodes[node].client
    }

    /// To which node a client is connected.
    pub fn node_of(&self, transport: &NatsTransport) -> Option<usize> {
        node::number(&transport.client().server_info().server_name)
    }

    /// `kill -9`.
    pub fn kill(&mut self, node: usize) -> io::Result<()> {
        self.nodes[node].kill()
    }

    /// Starts it on its store, after it was killed.
    pub async fn restart(&mut self, node: usize) -> io::Result<()> {
        self.nodes[node].restart(None)?;
        self.dialled(node).await
    }

    /// Tells it to end, and waits until it has.
    pub async fn leave(&mut self, node: usize) -> io::Result<()> {
        self.nodes[node].leave().await
    }

    /// Starts it on its store as this version, after it ended.
    pub async fn restart_version(&mut self, node: usize, version: &str) -> io::Result<()> {
        self.nodes[node].restart(Some(version))?;
        self.dialled(node).await
    }

    /// Its process stands still.
    pub fn freeze(&mut self, node: usize) -> io::Result<()> {
        self.nodes[node].signal("STOP")
    }

    /// Its process goes on.
    pub fn thaw(&mut self, node: usize) -> io::Result<()> {
        self.nodes[node].signal("CONT")
    }

    /// Cuts a node off from the others and from its clients; nobody is told.
    pub fn partition(&self, node: usize) {
        self.links(node).for_each(|(.., proxy)| proxy.freeze());
        self.client(node).freeze();
    }

    /// Nothing that a node says reaches the others; it hears all of them, and so do its clients.
    pub fn mute(&self, node: usize) {
        for (from, _, proxy) in self.links(node) {
            proxy.freeze_way(if *from == node { Way::ToServer } else { Way::ToClient });
        }
    }

    /// The end of [`partition`](Self::partition) and [`mute`](Self::mute).
    pub fn heal(&self, node: usize) {
        self.links(node).for_each(|(.., proxy)| proxy.thaw());
        self.client(node).thaw();
    }

    fn links(&self, node: usize) -> impl Iterator<Item = &(usize, usize, Proxy)> {
        self.routes.iter().filter(move |(from, to, _)| *from == node || *to == node)
    }

    /// Asks the nodes that can answer, one after the other.
    async fn ask(&self, verb: &str) -> io::Result<Value> {
        self.demand(verb, "").await
    }

    async fn demand(&self, verb: &str, request: &str) -> io::Result<Value> {
        let mut last = Err(io::Error::other("no node runs"));
        for node in self.nodes.iter().filter(|node| node.runs()) {
            last = node.ask(verb, request).await;
            if last.is_ok() {
                break;
            }
        }
        last
    }

    /// The node that leads all of it, as far as the nodes' logs say.
    pub fn meta_leader(&self) -> Option<usize> {
        self.nodes.iter().filter(|node| node.runs()).find_map(Node::meta_leader)
    }

    /// Gives the lead of a stream to a node.
    pub async fn lead(&self, stream: &str, node: usize) -> io::Result<()> {
        let begun = Instant::now();
        while self.stream_leader(stream).await.ok() != Some(node) {
            let wish = format!("{{\"placement\":{{\"preferred\":\"node-{node}\"}}}}");
            // It may have none at the moment, and is asked again.
            let _ = self.demand(&format!("STREAM.LEADER.STEPDOWN.{stream}"), &wish).await;
            if begun.elapsed() > START {
                return Err(io::Error::other("it does not lead"));
            }
            sleep(LOOK).await;
        }
        Ok(())
    }

    /// The node that leads a stream.
    pub async fn stream_leader(&self, stream: &str) -> io::Result<usize> {
        leader(&self.ask(&format!("STREAM.INFO.{stream}")).await?)
    }

    /// The node that leads a consumer.
    pub async fn consumer_leader(&self, stream: &str, consumer: &str) -> io::Result<usize> {
        leader(&self.ask(&format!("CONSUMER.INFO.{stream}.{consumer}")).await?)
    }

    /// Waits until every replica of every stream and consumer has all that there is.
    pub async fn is_current(&self) -> io::Result<()> {
        let begun = Instant::now();
        loop {
            match self.behind().await {
                Ok(None) => return Ok(()),
                Ok(Some(who)) if begun.elapsed() > CATCH_UP => {
                    return Err(io::Error::other(format!("not current: {who}")));
                }
                Err(error) if begun.elapsed() > CATCH_UP => return Err(error),
                _ => sleep(LOOK).await,
            }
        }
    }

    /// Somebody who is behind.
    async fn behind(&self) -> io::Result<Option<String>> {
        let streams = self.ask("STREAM.LIST").await?;
        for stream in streams["streams"].as_array().into_iter().flatten() {
            let name = stream["config"]["name"].as_str().unwrap_or_default();
            let consumers = self.ask(&format!("CONSUMER.LIST.{name}")).await?;
            let consumers = consumers["consumers"].as_array().cloned().unwrap_or_default();
            let mut all = [stream].into_iter().chain(&consumers);
            if let Some(late) = all.find(|group| !is_whole(group)) {
                return Ok(Some(format!("{name}: {}", late["cluster"])));
            }
        }
        Ok(None)
    }
}

fn leader(info: &Value) -> io::Result<usize> {
    let name = info["cluster"]["leader"].as_str().unwrap_or_default();
    node::number(name).ok_or_else(|| io::Error::other("it has no leader"))
}

/// It has a leader, and all others have what that one has.
fn is_whole(info: &Value) -> bool {
    let replicas = info["cluster"]["replicas"].as_array();
    let current = |replica: &Value| replica["current"] == true && replica["offline"] != true;
    leader(info).is_ok() && replicas.is_some_and(|replicas| replicas.iter().all(current))
}

//! A proxy between a NATS client and its server that sees frames, and does to them what it is told.
//! Its port is the same for its life, so that clients come back through it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use self::pump::{Pump, carry};
use super::frame::Splitter;
use super::injected::Random;

pub use self::link::Way;
pub use self::rule::{Action, Rule, When};

mod link;
mod pump;
mod rule;
#[cfg(test)]
mod tests;

/// Carries connections to one server until it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    _task: JoinSet<()>,
}

#[derive(Debug)]
struct Shared {
    /// The server's port on this machine.
    target: watch::Sender<u16>,
    link: link::Link,
    rules: rule::Rules,
    /// Counts how often all connections were cut.
    cuts: watch::Sender<u64>,
    /// Counts the connections that were made.
    connections: watch::Sender<usize>,
    /// Whether frames are looked at.
    looks: bool,
}

impl Proxy {
    /// Before the server on this port of 127.0.0.1.
    pub async fn start(server: u16) -> io::Result<Self> {
        Self::new(server, true).await
    }

    /// The same for bytes of any protocol: TLS, or what servers say to each other.
    pub async fn blind(server: u16) -> io::Result<Self> {
        Self::new(server, false).await
    }

    async fn new(server: u16, looks: bool) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, mut task) = (listener.local_addr()?, JoinSet::new());
        let shared = Arc::new(Shared {
            target: watch::Sender::new(server),
            link: link::Link::default(),
            rules: rule::Rules::default(),
            cuts: watch::Sender::new(0),
            connections: watch::Sender::new(0),
            looks,
        });
        task.spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { address, shared, _task: task })
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// New connections go to this port.
    pub fn retarget(&self, server: u16) {
        self.shared.target.send_replace(server);
    }

    /// What is done to some frames, as long as the rule is kept. Of several that apply the one that
    /// was made first acts.
    #[must_use = "the rule ends when it is dropped"]
    pub fn rule(&self, when: When, action: Action) -> Rule {
        self.shared.rules.add(when, action)
    }

    /// Delays everything by this time each way, without holding anything up.
    pub fn latency(&self, each_way: Duration) {
        self.shared.link.latency(each_way, None);
    }

    /// Delays everything each way by this time and up to `spread` more.
    pub fn jitter(&self, each_way: Duration, spread: Duration, random: Random) {
        self.shared.link.latency(each_way, Some((spread, random)));
    }

    /// Lets so many bytes pass in a second each way; 0 is no limit.
    pub fn throttle(&self, bytes: usize) {
        self.shared.link.throttle(bytes);
    }

    /// A black hole both ways: connections stay, and nothing passes.
    pub fn freeze(&self) {
        self.freeze_way(Way::ToServer);
        self.freeze_way(Way::ToClient);
    }

    /// A black hole one way.
    pub fn freeze_way(&self, way: Way) {
        self.shared.link.freeze(way, true);
    }

    /// What was held passes, and all that follows.
    pub fn thaw(&self) {
        self.shared.link.freeze(Way::ToServer, false);
        self.shared.link.freeze(Way::ToClient, false);
    }

    /// Ends all connections, and takes no more while `refuse` is set.
    pub fn refuse(&self, refuse: bool) {
        self.shared.link.refuse(refuse);
        if refuse {
            self.cut();
        }
    }

    /// Ends all connections; new ones are taken.
    pub fn cut(&self) {
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }

    /// How many connections were made so far.
    pub fn connections(&self) -> usize {
        *self.shared.connections.borrow()
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        if shared.link.refuses() {
            continue;
        }
        shared.connections.send_modify(|count| *count += 1);
        let (shared, mut cut) = (Arc::clone(&shared), shared.cuts.subscribe());
        connections.spawn(async move {
            tokio::select! {
                // How a connection ends is seen at both its ends.
                _ = connect(client, &shared) => {}
                _ = cut.changed() => {}
            }
        });
    }
}

/// Carries one connection until both sides have ended it, or one is cut.
async fn connect(client: TcpStream, shared: &Shared) -> io::Result<()> {
    let target = *shared.target.borrow();
    let server = TcpStream::connect(("127.0.0.1", target)).await?;
    for side in [&client, &server] {
        side.set_nodelay(true)?;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let pump = |way| {
        let splitter = if shared.looks { Splitter::default() } else { Splitter::blind() };
        Pump { way, shared, splitter }
    };
    let there = carry(pump(Way::ToServer), from_client, to_server);
    let back = carry(pump(Way::ToClient), from_server, to_client);
    tokio::try_join!(there, back).map(drop)
}

//! One server of a cluster.

use std::time::Duration;
use std::{fs, io};

use bus_nats::dev_server::{DevServer, DevServerError};
use bus_nats::{NatsConfig, NatsTransport};
use serde_json::Value;
use tokio::sync::OnceCell;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep, timeout};

use super::super::api;
use super::super::proxy::Proxy;

/// How long a server may take to say on which port it listens.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long an answer may take; one that is in no majority gives none.
const ANSWER: Duration = Duration::from_millis(1500);

#[derive(Debug)]
pub(super) struct Node {
    server: DevServer,
    pub(super) client: Proxy,
    /// Not through the proxy.
    direct: OnceCell<NatsTransport>,
    runs: bool,
    /// How often its log names a port, of starts that are over: one that was killed at once names none.
    named: usize,
}

pub(super) fn number(name: &str) -> Option<usize> {
    name.strip_prefix("node-")?.parse().ok()
}

/// Nobody is told an address that leads around the proxies.
fn configuration(number: usize, dials: &[String]) -> String {
    format!(
        "server_name: node-{number}\ncluster {{ name: chaos, listen: \"127.0.0.1:-1\", \
         advertise: \"127.0.0.1:1\", no_advertise: true, routes: {dials:?} }}\n"
    )
}

fn other(error: DevServerError) -> io::Error {
    io::Error::other(error)
}

impl Node {
    pub(super) async fn start(
        number: usize,
        dials: &[String],
        version: Option<&str>,
    ) -> io::Result<Self> {
        let configuration = configuration(number, dials);
        let server = block_in_place(|| DevServer::start_with(&configuration)).map_err(other)?;
        let client = Proxy::start(server.port()).await?;
        let mut node = Self { server, client, direct: OnceCell::new(), runs: true, named: 0 };
        if version.is_some() {
            node.restart(version)?;
        }
        Ok(node)
    }

    /// The port for the other servers, since its last start.
    pub(super) async fn route_port(&self) -> io::Result<u16> {
        let begun = Instant::now();
        loop {
            let ports = self.ports()?;
            match ports.last() {
                Some(port) if ports.len() > self.named => return Ok(*port),
                _ if begun.elapsed() > PATIENCE => {
                    return Err(io::Error::other("it listens for no other server"));
                }
                _ => sleep(Duration::from_millis(10)).await,
            }
        }
    }

    fn ports(&self) -> io::Result<Vec<u16>> {
        let log = fs::read_to_string(self.server.folder().join("server.log"))?;
        let said = log.lines().filter_map(|line| {
            let (_, address) = line.split_once("Listening for route connections on ")?;
            address.rsplit_once(':')?.1.trim().parse().ok()
        });
        Ok(said.collect())
    }

    pub(super) fn runs(&self) -> bool {
        self.runs
    }

    pub(super) fn kill(&mut self) -> io::Result<()> {
        self.runs = false;
        block_in_place(|| self.server.kill()).map_err(other)
    }

    pub(super) fn restart(&mut self, version: Option<&str>) -> io::Result<()> {
        if self.server.is_running() {
            block_in_place(|| self.server.kill()).map_err(other)?;
        }
        self.named = self.ports()?.len();
        let restart = || match version {
            Some(version) => self.server.restart_version(version),
            None => self.server.restart(),
        };
        block_in_place(restart).map_err(other)?;
        self.runs = true;
        Ok(())
    }

    /// As an operator does it.
    pub(super) async fn leave(&mut self) -> io::Result<()> {
        self.signal("TERM")?;
        while self.server.is_running() {
            sleep(Duration::from_millis(10)).await;
        }
        Ok(())
    }

    pub(super) fn signal(&mut self, name: &str) -> io::Result<()> {
        self.runs = name == "CONT";
        self.server.signal(name).map_err(other)
    }

    /// Who leads the cluster, as it heard last.
    pub(super) fn meta_leader(&self) -> Option<usize> {
        let log = fs::read_to_string(self.server.folder().join("server.log")).ok()?;
        log.lines().rev().find_map(|line| {
            let (_, name) = line.split_once("new metadata leader: ")?;
            number(name.split('/').next()?)
        })
    }

    pub(super) async fn ask(&self, verb: &str, request: &str) -> io::Result<Value> {
        let asking = async {
            let direct = self.direct.get_or_try_init(|| connect(self.server.url())).await?;
            api::ask(direct, verb, request).await
        };
        timeout(ANSWER, asking).await?
    }
}

async fn connect(url: String) -> io::Result<NatsTransport> {
    let config = NatsConfig { servers: vec![url], ..NatsConfig::default() };
    NatsTransport::connect(config).await.map_err(io::Error::other)
}

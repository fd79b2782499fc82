//! The server that all contestants share, and the events on it.

use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use async_nats::jetstream::{self, Context as JetStream};
use bus_core::prelude::*;
use bus_nats::dev_server::{DevServer, VERSION};
use bus_nats::{NatsConfig, NatsTransport};
use tokio::time::{Instant, sleep};

use benches::event::{Placed, STREAM};

/// How long the last acks may take to be known to the server.
const SETTLED: Duration = Duration::from_secs(20);

/// A server, and two who talk to it.
pub(crate) struct Ground {
    /// Ends with its owner; none where the servers are another's.
    _server: Option<DevServer>,
    /// Where contestants connect.
    pub(crate) url: String,
    /// The client without us.
    pub(crate) raw: JetStream,
    /// Ours.
    pub(crate) bus: Bus,
}

impl Ground {
    /// Starts a server of its own.
    pub(crate) async fn new() -> Result<Self> {
        let server = DevServer::start_version(VERSION)?;
        let config = NatsConfig { servers: vec![server.url()], ..NatsConfig::default() };
        Self::on(config, Some(server)).await
    }

    /// On servers that run.
    pub(crate) async fn on(config: NatsConfig, server: Option<DevServer>) -> Result<Self> {
        let url = config.servers.first().context("no server")?.clone();
        let raw = jetstream::new(async_nats::connect(&url).await?);
        let bus = Bus::new(NatsTransport::connect(config).await?).source("bench");
        bus.publish(&Placed::new(0)).await?;
        Ok(Self { _server: server, url, raw, bus })
    }

    /// Nothing is stored any more.
    pub(crate) async fn empty(&self) -> Result<()> {
        self.raw.get_stream(STREAM).await?.purge().await?;
        Ok(())
    }

    /// As many events wait.
    pub(crate) async fn fill(&self, events: u64) -> Result<()> {
        self.empty().await?;
        // In parts, so that not all have to be in memory.
        let mut from = 0;
        while from < events {
            let part = (events - from).min(100_000);
            let placed: Vec<_> = (from..from + part).map(Placed::new).collect();
            for stored in self.bus.publish_all(&placed).await {
                stored?;
            }
            from += part;
        }
        self.holds(events).await
    }

    /// Fails where not just as many are stored.
    pub(crate) async fn holds(&self, events: u64) -> Result<()> {
        let stored = self.raw.get_stream(STREAM).await?.get_info().await?.state.messages;
        if stored != events {
            bail!("{stored} of {events} events are stored");
        }
        Ok(())
    }

    /// Waits until the server knows that a consumer has done everything, and deletes it.
    pub(crate) async fn settled(&self, consumer: &str) -> Result<()> {
        self.acked(consumer).await?;
        self.raw.get_stream(STREAM).await?.delete_consumer(consumer).await?;
        Ok(())
    }

    /// Waits until the server knows that a consumer has done everything.
    pub(crate) async fn acked(&self, consumer: &str) -> Result<()> {
        let begun = Instant::now();
        let stream = self.raw.get_stream(STREAM).await?;
        loop {
            let info = stream.consumer_info(consumer).await?;
            if info.num_pending == 0 && info.num_ack_pending == 0 {
                return Ok(());
            }
            if begun.elapsed() > SETTLED {
                let (pending, open) = (info.num_pending, info.num_ack_pending);
                bail!("{consumer}: {pending} events are not delivered, {open} not acked");
            }
            sleep(Duration::from_millis(10)).await;
        }
    }
}

//! Workers that compete, each with a connection of its own.

use std::time::Duration;

use async_nats::{Client, ConnectOptions, Message};
use bus_core::prelude::*;
use bus_nats::{NatsConfig, NatsTransport};
use futures_util::StreamExt;
use tests::jobs::Jobs;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::ledger::{Ledger, Runs};
use crate::{MILLISECOND, PATIENCE};

const NAMES: [&str; 3] = ["one", "two", "three"];

/// A cluster that was just made may have no leader for a consumer that was just made; a service says
/// so and does not start, and whoever runs it starts it again.
async fn started(service: impl Fn() -> Service) -> Running {
    let begun = Instant::now();
    loop {
        match service().start().await {
            Ok(running) => return running,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
    }
}

/// All workers of the group `jobs_work`.
pub(crate) struct Crew {
    pub(crate) ledger: Ledger,
    pub(crate) transports: Vec<NatsTransport>,
    workers: Vec<Running>,
}

impl Crew {
    /// One worker for each of these.
    pub(crate) async fn start(configs: impl IntoIterator<Item = NatsConfig>, jobs: &Jobs) -> Self {
        let (ledger, mut transports, mut workers) = (Ledger::default(), Vec::new(), Vec::new());
        for (config, who) in configs.into_iter().zip(NAMES) {
            let transport = NatsTransport::connect(config).await.unwrap();
            let service = || jobs.service(Bus::new(transport.clone()), ledger.of(who));
            workers.push(started(service).await);
            transports.push(transport);
        }
        Self { ledger, transports, workers }
    }

    fn names(&self) -> &'static [&'static str] {
        &NAMES[..self.workers.len()]
    }

    pub(crate) fn probes(&self) -> Vec<Probe> {
        self.workers.iter().map(|worker| worker.probe().clone()).collect()
    }

    /// Waits until each began a run since then: how long it took the last.
    pub(crate) async fn all_work(&self, since: Instant, within: Duration) -> Duration {
        let names = self.names();
        let is = |runs: &Runs| names.iter().all(|who| runs.last(who) > Some(since));
        self.ledger.until("all work", within, is).await;
        let runs = self.ledger.runs();
        let first = |who| runs.by(who).into_iter().map(|run| run.begun).find(|at| *at > since);
        names.iter().filter_map(|who| first(who)).max().unwrap() - since
    }

    pub(crate) async fn stop(self) {
        for worker in self.workers {
            let report = worker.stop().await;
            assert_eq!(report.abandoned, 0, "{report}");
        }
    }
}

/// From `within` on, up to `end`, no service may look healthy: what the last one says.
pub(crate) async fn are_red(probes: &[Probe], within: Instant, end: Instant) -> String {
    sleep_until(within).await;
    let mut says = String::new();
    loop {
        for probe in probes {
            let readiness = probe.readiness();
            assert!(!readiness.ready, "it looks healthy {:?} after the limit", within.elapsed());
            says = readiness.reasons.join("; ");
        }
        if Instant::now() >= end {
            return says;
        }
        sleep(50 * MILLISECOND).await;
    }
}

/// Since this moment somebody who was never here before can have a job of the group; it is handed
/// back. `known` makes what the client is known by.
pub(crate) async fn can_fetch(
    config: &NatsConfig,
    known: impl Fn(ConnectOptions) -> ConnectOptions,
    within: Duration,
) -> Instant {
    let begun = Instant::now();
    loop {
        // All of it anew: what went before may have harmed a client.
        if let Ok(Some(client)) =
            timeout(SECOND, fetches(config, known(ConnectOptions::new()))).await
        {
            let now = Instant::now();
            // The job goes back before the connection ends.
            client.flush().await.unwrap();
            return now;
        }
        assert!(begun.elapsed() < within, "nobody can fetch for {within:?}");
        sleep(20 * MILLISECOND).await;
    }
}

async fn fetches(config: &NatsConfig, options: ConnectOptions) -> Option<Client> {
    let client = options.connect(config.servers.as_slice()).await.ok()?;
    let inbox = client.new_inbox();
    let mut jobs = client.subscribe(inbox.clone()).await.ok()?;
    let next = "$JS.API.CONSUMER.MSG.NEXT.JOBS.jobs_work";
    let request = "{\"batch\":1,\"expires\":800000000}".into();
    client.publish_with_reply(next, inbox, request).await.ok()?;
    let job = jobs.next().await.filter(|job: &Message| job.status.is_none())?;
    client.publish(job.reply?, "-NAK".into()).await.ok()?;
    Some(client)
}

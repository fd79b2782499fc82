//! Families A and E of the catalogue: a cluster that can decide nothing, or is not there at all.

use std::time::Duration;

use bus_core::prelude::*;
use bus_nats::NatsTransport;
use tests::chaos::cluster::{Cluster, NODES};
use tests::chaos::injected::Injected;
use tests::jobs::{Does, Job, Jobs};
use tokio::time::Instant;

use crate::crew::{Crew, are_red, can_fetch};
use crate::load::Load;
use crate::{MILLISECOND, PATIENCE};

/// Who knows that it can not work says so within this time.
const RED: Duration = Duration::from_secs(10);

/// One that is connected to a server that stands still has to find that out first.
const RED_IF_FROZEN: Duration = Duration::from_secs(15);

/// How soon each worker is back once anybody can have a job.
const BACK: Duration = Duration::from_secs(2);

/// What the workers have to do in all; more than they can do before and after the fault.
const BACKLOG: u32 = 1800;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Loss {
    Killed,
    Frozen,
}

impl Loss {
    fn begin(self, cluster: &mut Cluster, nodes: usize) {
        for node in 0..nodes {
            match self {
                Self::Killed => cluster.kill(node).unwrap(),
                Self::Frozen => cluster.freeze(node).unwrap(),
            }
        }
    }

    fn is_known_within(self, nodes: usize) -> Duration {
        match self {
            Self::Frozen => RED_IF_FROZEN,
            Self::Killed if nodes == NODES => SECOND,
            Self::Killed => RED,
        }
    }

    async fn end(self, cluster: &mut Cluster, nodes: usize) {
        for node in 0..nodes {
            match self {
                Self::Killed => cluster.restart(node).await.unwrap(),
                Self::Frozen => cluster.thaw(node).unwrap(),
            }
        }
    }
}

/// While too few nodes are there every worker says so, and each is back when they are.
async fn comes_back(test: &str, loss: Loss, nodes: usize, outage: Duration) {
    let injected = Injected::begin(test);
    let mut cluster = Cluster::start().await.unwrap();
    let publisher = NatsTransport::connect(cluster.config()).await.unwrap();
    let bus = Bus::new(publisher);
    let backlog: Vec<_> =
        (0..BACKLOG).map(|number| Job { number, does: Does::Sleep(20) }).collect();
    assert!(bus.publish_all(&backlog).await.iter().all(Result::is_ok));
    let jobs = Jobs { lease: SECOND * 5, concurrency: 2, retry: Retry::DEFAULT };
    let crew = Crew::start((0..NODES).map(|_| cluster.config()), &jobs).await;
    crew.all_work(Instant::now(), PATIENCE).await;
    let load = Load::from(BACKLOG, &bus, 50 * MILLISECOND, |_| Does::Sleep(5));

    let within = loss.is_known_within(nodes);
    loss.begin(&mut cluster, nodes);
    let begun = Instant::now();
    injected.add(if loss == Loss::Killed { "node killed" } else { "node frozen" }, nodes);
    let says = are_red(&crew.probes(), begun + within, begun + outage).await;
    println!("not ready: {says}");
    loss.end(&mut cluster, nodes).await;
    let healed = Instant::now();
    let fetched = can_fetch(&cluster.config(), |options| options, PATIENCE).await - healed;
    let back = crew.all_work(healed, PATIENCE).await;
    println!("somebody new could fetch after {fetched:?}, all worked after {back:?}");
    assert!(back < fetched + BACK, "{back:?} after, {fetched:?} was possible");
    for probe in crew.probes() {
        tokio::time::timeout(PATIENCE, probe.ready()).await.unwrap();
    }

    let published = load.end().await;
    let (mut stored, failed) = (published.numbers(), published.failed);
    println!("{} stored, {} not known: {:?}", stored.len(), failed.len(), failed.first());
    stored.extend(0..BACKLOG);
    crew.ledger.has_done(&stored, PATIENCE * 3).await;
    println!("{} ran again", crew.ledger.runs().beyond_the_first());
    cluster.is_current().await.unwrap();
    crew.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_e1_without_a_majority_every_worker_says_so_and_is_back_with_it() {
    comes_back("fault_e1_quorum", Loss::Killed, 2, SECOND * 11).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "heavy: a minute and a half"]
async fn fault_e1_after_30_s_without_a_majority_every_worker_is_back() {
    comes_back("fault_e1_quorum_killed", Loss::Killed, 2, SECOND * 110).await;
    comes_back("fault_e1_quorum_frozen", Loss::Frozen, 2, SECOND * 30).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_e7_a_cluster_that_was_gone_is_worked_with_again() {
    comes_back("fault_e7", Loss::Killed, NODES, SECOND * 4).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "heavy: two minutes and a half"]
async fn fault_e7_a_cluster_that_was_gone_for_60_s_is_worked_with_again() {
    comes_back("fault_e7_killed", Loss::Killed, NODES, SECOND * 60).await;
    comes_back("fault_e7_frozen", Loss::Frozen, NODES, SECOND * 60).await;
}

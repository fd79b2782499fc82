//! Families A and E of the catalogue: a cluster that loses its leaders.

use std::time::Duration;

use bus_core::prelude::*;
use bus_nats::{NatsConfig, NatsTransport};
use tests::chaos::cluster::{Cluster, NODES};
use tests::chaos::injected::Injected;
use tests::jobs::{Does, Job, Jobs};
use tokio::time::{Instant, sleep, timeout};

use crate::crew::{Crew, can_fetch};
use crate::load::Load;
use crate::{MILLISECOND, PATIENCE, dead_letters};

/// How soon there is work done again once anybody can have some.
const BACK: Duration = Duration::from_secs(2);

/// How long a cluster takes to choose a leader, which may begin some time after the fault.
const ELECTION: Duration = Duration::from_secs(8);

/// How long it takes to give up a server that says nothing.
const SILENCE: Duration = Duration::from_secs(12);

/// Jobs for each second of an outage: more than there is time for, so that a publisher who is cut
/// off makes nobody idle.
const BACKLOG: u32 = 250;

/// What is done to a node, and undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Killed,
    Frozen,
    Partitioned,
    Muted,
}

impl Fault {
    fn begin(self, cluster: &mut Cluster, node: usize) {
        match self {
            Self::Killed => cluster.kill(node).unwrap(),
            Self::Frozen => cluster.freeze(node).unwrap(),
            Self::Partitioned => cluster.partition(node),
            Self::Muted => cluster.mute(node),
        }
    }

    async fn end(self, cluster: &mut Cluster, node: usize) {
        match self {
            Self::Killed => cluster.restart(node).await.unwrap(),
            Self::Frozen => cluster.thaw(node).unwrap(),
            Self::Partitioned | Self::Muted => cluster.heal(node),
        }
    }
}

/// Whose leader it meets.
#[derive(Clone, Copy, Debug)]
enum Of {
    Stream,
    Consumer,
}

async fn leader(cluster: &Cluster, of: Of) -> usize {
    let begun = Instant::now();
    loop {
        let leader = match of {
            Of::Stream => cluster.stream_leader("JOBS").await,
            Of::Consumer => cluster.consumer_leader("JOBS", "jobs_work").await,
        };
        match leader {
            Ok(leader) => return leader,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
        sleep(50 * MILLISECOND).await;
    }
}

/// The longest time since then in which no job was done.
fn longest_gap(crew: &Crew, since: Instant) -> Duration {
    let runs = crew.ledger.runs();
    let mut times: Vec<_> = runs.done.into_values().filter(|at| *at > since).collect();
    times.extend([since, Instant::now()]);
    times.sort_unstable();
    times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
}

/// While a node is in trouble those who are connected to others go on.
async fn outlives(cluster: &mut Cluster, crew: &Crew, fault: Fault, node: usize, time: Duration) {
    let there = |transport: &NatsTransport| cluster.node_of(transport) == Some(node);
    let (begun, alone) = (Instant::now(), crew.transports.iter().all(there));
    fault.begin(cluster, node);
    let config = cluster.config_without(node);
    let fetched = can_fetch(&config, |options| options, PATIENCE).await - begun;
    sleep(time.saturating_sub(begun.elapsed())).await;
    let gap = longest_gap(crew, begun);
    println!("{fault:?} {node}: work for others after {fetched:?}, none was done for {gap:?}");
    if alone {
        println!("all were connected to it");
    }
    let longest = fetched.max(if alone { SILENCE } else { ELECTION });
    assert!(gap < longest + BACK, "{gap:?}: the others go on");
    fault.end(cluster, node).await;
}

/// Under load, with a worker on each node, nothing is lost; a worker whose node is well works again
/// soon, and each does when all is well.
async fn survives(test: &str, faults: &[(Fault, Of)], outage: Duration) {
    let injected = Injected::begin(test);
    let mut cluster = Cluster::start().await.unwrap();
    let publisher = NatsTransport::connect(cluster.config()).await.unwrap();
    let jobs = Jobs { lease: SECOND * 4, concurrency: 2, retry: Retry::DEFAULT };
    let (bus, backlog) =
        (Bus::new(publisher.clone()), BACKLOG * outage.as_secs() as u32 * faults.len() as u32);
    let before = (0..backlog).map(|number| Job { number, does: Does::Sleep(20) });
    assert!(bus.publish_all(&before.collect::<Vec<_>>()).await.iter().all(Result::is_ok));
    let crew = Crew::start((0..NODES).map(|_| cluster.config()), &jobs).await;
    let load = Load::from(backlog, &bus, 10 * MILLISECOND, |_| Does::Sleep(5));
    crew.all_work(Instant::now(), PATIENCE).await;
    for (fault, of) in faults {
        cluster.is_current().await.unwrap();
        let node = leader(&cluster, *of).await;
        injected.note(&format!("{of:?} leader {fault:?}").to_lowercase());
        outlives(&mut cluster, &crew, *fault, node, outage).await;
        let took = crew.all_work(Instant::now(), PATIENCE).await;
        println!("after it all work within {took:?}");
        assert!(took < SECOND * 30, "{took:?}");
    }
    let published = load.end().await;
    let (mut stored, failed) = (published.numbers(), &published.failed);
    println!("{} stored, {} not known: {:?}", stored.len(), failed.len(), failed.first());
    let honest = |error: &PublishError| {
        matches!(
            error,
            PublishError::Unknown { .. } | PublishError::Refused(_) | PublishError::Busy { .. }
        )
    };
    assert!(failed.iter().all(honest), "{failed:?}");
    stored.extend(0..backlog);
    crew.ledger.has_done(&stored, PATIENCE * 3).await;
    println!("{} ran again", crew.ledger.runs().beyond_the_first());
    cluster.is_current().await.unwrap();
    assert!(dead_letters(&publisher).await.is_empty());
    crew.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_a4_a_leader_that_is_killed_loses_nothing() {
    survives("fault_a4", &[(Fault::Killed, Of::Stream)], SECOND * 7).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_e1_a_leader_that_is_cut_off_loses_nothing() {
    survives("fault_e1", &[(Fault::Partitioned, Of::Consumer)], SECOND * 8).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "heavy: three minutes"]
async fn fault_e1_leaders_in_every_kind_of_trouble_lose_nothing() {
    let kinds = [Fault::Killed, Fault::Frozen, Fault::Partitioned, Fault::Muted];
    let faults = kinds.map(|fault| [(fault, Of::Stream), (fault, Of::Consumer)]);
    survives("fault_e1_heavy", faults.as_flattened(), SECOND * 12).await;
}

/// One that is connected to this node.
async fn connected_to(cluster: &Cluster, node: usize) -> NatsTransport {
    let begun = Instant::now();
    loop {
        let transport = NatsTransport::connect(cluster.config()).await.unwrap();
        if cluster.node_of(&transport) == Some(node) {
            return transport;
        }
        assert!(begun.elapsed() < PATIENCE, "any order of the servers is tried");
    }
}

/// Since this moment somebody who was never here before can store something in the stream.
async fn can_publish(config: &NatsConfig) -> Instant {
    loop {
        let stores = async {
            let client = async_nats::connect(config.servers.as_slice()).await.ok()?;
            let ack = client.request("jobs.probe", "{}".into()).await.ok()?;
            ack.payload.windows(5).any(|part| part == b"\"seq\"").then_some(Instant::now())
        };
        if let Ok(Some(now)) = timeout(SECOND / 2, stores).await {
            return now;
        }
    }
}

/// Mostly the next leader is there before a publish gives up, also where the killed node led
/// everything; and where it is not, the publish says so.
#[tokio::test(flavor = "multi_thread")]
async fn fault_a4_a_publish_waits_for_the_next_leader_or_says_that_there_is_none() {
    let injected = Injected::begin("fault_a4_publish");
    let mut cluster = Cluster::start().await.unwrap();
    let bus = Bus::new(NatsTransport::connect(cluster.config()).await.unwrap());
    let job = |number| Job { number, does: Does::Sleep(1) };
    bus.publish(&job(0)).await.unwrap();
    cluster.is_current().await.unwrap();
    let node = cluster.meta_leader().unwrap();
    cluster.lead("JOBS", node).await.unwrap();
    let bus = Bus::new(connected_to(&cluster, node).await);
    bus.publish(&job(0)).await.unwrap();
    cluster.kill(node).unwrap();
    injected.note("leader of all killed");
    let (begun, jobs) = (Instant::now(), (1..50).map(job).collect::<Vec<_>>());
    let config = cluster.config_without(node);
    let (stored, possible) = tokio::join!(bus.publish_all(&jobs), can_publish(&config));
    let (took, possible) = (begun.elapsed(), possible - begun);
    println!("done after {took:?}, somebody new could publish after {possible:?}");
    let failed = stored.into_iter().find_map(Result::err).map(|error| error.to_string());
    println!("{failed:?}");
    // That would be the bus, who knows nothing better than its deadline.
    assert!(failed.as_ref().is_none_or(|says| !says.contains("nothing within")), "{failed:?}");
    assert!(failed.is_none() || possible > SECOND * 6, "it was possible after {possible:?}");
    bus.publish(&job(50)).await.unwrap();
}

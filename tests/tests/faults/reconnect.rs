//! Workers that compete while their connections end.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bus_core::prelude::*;
use bus_core::transport::{Health, Transport};
use bus_nats::{NatsConfig, NatsTransport};
use serde::{Deserialize, Serialize};
use tests::jobs::{Does, Job, Jobs};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::ledger::{Ledger, Runs};
use crate::{MILLISECOND, PATIENCE, connect, injects, kill, restart, server};

const WORKERS: [&str; 3] = ["one", "two", "three"];
const BACKLOG: u32 = 8000;

/// The longest that a worker may be idle while there is work.
const IDLE: Duration = Duration::from_secs(2);

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "probes.sent")]
struct Probe;

/// Three workers, each with a connection of its own.
async fn workers(url: &str, ledger: &Ledger) -> Vec<Running> {
    let jobs = Jobs { lease: SECOND * 3, concurrency: 2, retry: Retry::DEFAULT };
    let mut workers = Vec::new();
    for who in WORKERS {
        let service = jobs.service(Bus::new(connect(url).await), ledger.of(who));
        workers.push(service.start().await.unwrap());
    }
    workers
}

/// Work for all of them.
async fn publish(bus: &Bus, numbers: Range<u32>) {
    let jobs: Vec<_> = numbers.map(|number| Job { number, does: Does::Sleep(20) }).collect();
    assert!(bus.publish_all(&jobs).await.iter().all(Result::is_ok));
}

async fn all_work(ledger: &Ledger) {
    let all = |runs: &Runs| WORKERS.iter().all(|who| runs.count(who) > 10);
    ledger.until("all work", PATIENCE, all).await;
}

/// Since this moment somebody who was never here before can work with the server.
async fn works_again(url: &str) -> Instant {
    loop {
        let config = NatsConfig {
            servers: vec![url.to_owned()],
            deadline: SECOND / 2,
            ..NatsConfig::default()
        };
        if let Ok(transport) = NatsTransport::connect(config).await
            && Bus::new(transport).publish(&Probe).await.is_ok()
        {
            return Instant::now();
        }
        sleep(20 * MILLISECOND).await;
    }
}

/// The longest time since then in which one of the workers began nothing.
async fn longest_idle(ledger: &Ledger, stored: u32, since: Instant) -> Duration {
    let end = since + IDLE * 5 / 2;
    sleep(end - Instant::now()).await;
    let (runs, mut longest) = (ledger.runs(), Duration::ZERO);
    // Far more than what others hold.
    assert!(runs.done.len() + 800 < stored as usize, "there was work all the time");
    for who in WORKERS {
        let begins = runs.by(who).into_iter().map(|run| run.begun);
        let mut last = since;
        for begin in begins.filter(|begin| *begin > since).chain([end]) {
            longest = longest.max(begin.saturating_duration_since(last));
            last = begin;
        }
    }
    longest
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_b12_no_worker_is_idle_after_a_restart_of_the_server() {
    let (mut server, _, bus) = server().await;
    let ledger = Ledger::default();
    let running = workers(&server.url(), &ledger).await;
    publish(&bus, 0..BACKLOG).await;
    all_work(&ledger).await;
    let mut idles = Vec::new();
    for down in [0, 700, 1500] {
        kill(&mut server);
        sleep(down * MILLISECOND).await;
        restart(&mut server);
        let since = works_again(&server.url()).await;
        let idle = longest_idle(&ledger, BACKLOG, since).await;
        println!("down for {down} ms and more, then idle for {idle:?} at most");
        idles.push(idle);
    }
    are_short(idles);
    ledger.has_done(&(0..BACKLOG).collect::<Vec<_>>(), PATIENCE).await;
    println!("{} ran again", ledger.runs().beyond_the_first());
    drop(running);
    injects("fault_b12_after_a_restart", &[("server killed", 3)]);
}

/// All that they have asked for, the server has forgotten. None of them may wait for it.
#[tokio::test(flavor = "multi_thread")]
async fn fault_b12_workers_that_had_nothing_to_do_begin_soon_after_a_restart() {
    let (mut server, _, bus) = server().await;
    let ledger = Ledger::default();
    let running = workers(&server.url(), &ledger).await;
    publish(&bus, 0..200).await;
    let mut stored = 200;
    let mut idles = Vec::new();
    for down in [0, 1000] {
        ledger.has_done(&(0..stored).collect::<Vec<_>>(), PATIENCE).await;
        // All that is asked for now is asked for in vain.
        sleep(SECOND / 2).await;
        kill(&mut server);
        sleep(down * MILLISECOND).await;
        restart(&mut server);
        let since = works_again(&server.url()).await;
        publish(&bus, stored..stored + 3000).await;
        stored += 3000;
        let idle = longest_idle(&ledger, stored, since).await;
        println!("down for {down} ms and more, work came, and one waited for {idle:?}");
        idles.push(idle);
    }
    are_short(idles);
    drop(running);
    injects("fault_b12_nothing_to_do", &[("server killed", 2)]);
}

/// How many clients a server has at once.
const CLIENTS: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn fault_e3_many_clients_come_back_soon_after_a_restart() {
    let (mut server, ..) = server().await;
    let url = server.url();
    let clients: JoinSet<_> = (0..CLIENTS).map(|_| connect_owned(url.clone())).collect();
    let clients = clients.join_all().await;
    kill(&mut server);
    // Long enough that their tries are spread over time.
    sleep(SECOND * 3).await;
    let back = clients.iter().map(|client| {
        let mut health = client.health();
        async move {
            health.wait_for(|health| *health != Health::Ready).await.unwrap();
            health.wait_for(|health| *health == Health::Ready).await.unwrap();
            Instant::now()
        }
    });
    let back: JoinSet<_> = back.collect();
    restart(&mut server);
    let since = works_again(&url).await;
    let back = timeout(PATIENCE, back.join_all()).await.unwrap();
    let longest = back.into_iter().max().unwrap().saturating_duration_since(since);
    println!("{CLIENTS} clients, the last was back after {longest:?}");
    assert!(longest < IDLE, "{longest:?}");
}

async fn connect_owned(url: String) -> NatsTransport {
    connect(&url).await
}

/// On a machine that is starved a worker may be late once, and never as late as one that waits for
/// what the server has forgotten.
fn are_short(mut idle: Vec<Duration>) {
    idle.sort_unstable();
    assert!(idle[(idle.len() - 1) / 2] < IDLE && idle[idle.len() - 1] < IDLE * 2, "{idle:?}");
}

/// Carries connections to a server, and ends them all when it is told.
struct Proxy {
    address: SocketAddr,
    cuts: watch::Sender<u32>,
    /// How many connections were made.
    count: Arc<AtomicUsize>,
    _task: JoinSet<()>,
}

impl Proxy {
    async fn start(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, cuts) = (listener.local_addr().unwrap(), watch::Sender::new(0));
        let (mut task, told) = (JoinSet::new(), cuts.clone());
        let count = Arc::<AtomicUsize>::default();
        let counted = Arc::clone(&count);
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut client, _)) = listener.accept().await {
                let mut cut = told.subscribe();
                counted.fetch_add(1, Ordering::Relaxed);
                connections.spawn(async move {
                    let mut server = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
                    tokio::select! {
                        _ = copy_bidirectional(&mut client, &mut server) => {}
                        _ = cut.changed() => {}
                    }
                });
            }
        });
        Self { address, cuts, count, _task: task }
    }

    fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_b12_no_worker_is_idle_after_its_connection_was_cut() {
    let (server, _, bus) = server().await;
    let (proxy, ledger) = (Proxy::start(server.port()).await, Ledger::default());
    let running = workers(&proxy.url(), &ledger).await;
    publish(&bus, 0..BACKLOG).await;
    all_work(&ledger).await;
    let mut idles = Vec::new();
    for cut in 1..=3 {
        proxy.cut();
        let idle = longest_idle(&ledger, BACKLOG, Instant::now()).await;
        let count = proxy.count.load(Ordering::Relaxed);
        println!("cut, {count} connections were made so far, idle for {idle:?} at most");
        assert_eq!(count, WORKERS.len() * (1 + cut), "each was cut once");
        idles.push(idle);
    }
    are_short(idles);
    ledger.has_done(&(0..BACKLOG).collect::<Vec<_>>(), PATIENCE).await;
    println!("{} ran again", ledger.runs().beyond_the_first());
    drop(running);
    injects("fault_b12_after_a_cut", &[("connection cut", 3 * WORKERS.len())]);
}

/// The servers are tried in any order: often enough that the dead one was the first.
#[tokio::test(flavor = "multi_thread")]
async fn of_several_servers_one_that_is_dead_is_passed_over() {
    let (server, ..) = server().await;
    // One that says nothing is waited for.
    let dead = [("nats://127.0.0.1:1".to_owned(), SECOND * 3 / 2), (mute().await, SECOND * 8)];
    for (dead, most) in dead {
        let servers = vec![dead.clone(), server.url()];
        let connects: JoinSet<_> = (0..12).map(|_| connects(servers.clone())).collect();
        let took = timeout(PATIENCE, connects.join_all()).await.unwrap();
        let longest = *took.iter().max().unwrap();
        println!("{dead} is dead: connected within {longest:?}");
        assert!(longest < most, "{longest:?}");
    }
}

/// How long it takes to a connection that works.
async fn connects(servers: Vec<String>) -> Duration {
    let (begun, config) = (Instant::now(), NatsConfig { servers, ..NatsConfig::default() });
    let transport = NatsTransport::connect(config).await.unwrap();
    Bus::new(transport).publish(&Probe).await.unwrap();
    begun.elapsed()
}

/// Where connections are taken, and nobody says a word.
async fn mute() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("nats://{}", listener.local_addr().unwrap());
    // Open until the process ends.
    std::mem::forget(listener);
    url
}

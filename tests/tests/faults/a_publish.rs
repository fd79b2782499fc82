//! Family A of the catalogue: acks that get lost, servers that stand still.

use std::fs;
use std::time::Duration;

use bus_core::EventId;
use bus_core::prelude::*;
use bus_core::publish::PublishLimits;
use bus_core::transport::{Health, Transport};
use bus_nats::{NatsConfig, NatsTransport};
use serde::{Deserialize, Serialize};
use tests::chaos::api::messages;
use tests::chaos::frame::Kind;
use tests::chaos::injected::Injected;
use tests::chaos::proxy::{Action, Proxy, When};
use tests::jobs::{Does, Job};
use tokio::time::{Instant, sleep, timeout};

use crate::{MILLISECOND, PATIENCE, connect, kill, restart, server};

/// Far away from every limit, and still an end.
const DEADLINE: Duration = Duration::from_secs(11);

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "lonely.sent")]
struct Lonely {}

fn jobs(count: u32) -> Vec<Job> {
    (0..count).map(|number| Job { number, does: Does::Sleep(1) }).collect()
}

fn unknown(error: PublishError) -> EventId {
    let PublishError::Unknown { id, .. } = error else { panic!("{error}") };
    id
}

/// Acks of a stream, as the server sends them.
fn acks(stream: &str) -> When {
    When::to_client().kind(Kind::Msg).payload("\"seq\":").payload(&format!("\"{stream}\""))
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_a2_an_ack_that_is_lost_stores_no_event_twice_and_none_is_called_failed() {
    let injected = Injected::begin("fault_a2");
    let (server, direct, _) = server().await;
    let proxy = Proxy::start(server.port()).await.unwrap();
    let bus = Bus::new(connect(&proxy.url()).await);
    let first = |again: bool| acks("JOBS").is(move |ack| ack.text().contains("duplicate") == again);
    let some = proxy.rule(first(false).every(3), Action::Drop);
    let again = proxy.rule(first(true).first(5), Action::Drop);
    let lonely = proxy.rule(acks("LONELY"), Action::Drop);
    let (jobs, begun) = (jobs(60), Instant::now());
    let (stored, lost) = tokio::join!(bus.publish_all(&jobs), bus.publish(&Lonely {}));
    println!("{:?}", begun.elapsed());
    assert!(stored.iter().all(Result::is_ok), "{:?}", stored.iter().find(|ack| ack.is_err()));
    assert_eq!(messages(&direct, "JOBS").await.unwrap(), 60);
    let dropped = [&some, &again, &lonely].map(|rule| rule.count());
    assert!(dropped[..2] == [20, 5] && dropped[2] >= 2, "{dropped:?}");
    let id = unknown(lost.unwrap_err());
    assert!(begun.elapsed() < DEADLINE, "{:?}", begun.elapsed());
    injected.add("ack dropped", dropped.iter().sum());
    drop(lonely);
    assert_eq!(bus.publish(&Lonely {}).id(id.clone()).await.unwrap(), id);
    assert_eq!(messages(&direct, "LONELY").await.unwrap(), 1, "it was stored at the first try");
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_a3_without_a_server_a_publish_is_unknown_and_may_be_repeated_under_its_id() {
    let injected = Injected::begin("fault_a3");
    let (mut server, transport, bus) = server().await;
    bus.publish(&Lonely {}).await.unwrap();
    let deadline = SECOND;
    let hasty = Bus::new(transport.clone());
    let hasty = hasty.limits(PublishLimits { deadline, ..PublishLimits::default() });
    for lost in 1..=2u64 {
        kill(&mut server);
        injected.note("server killed");
        let begun = Instant::now();
        let id = unknown(hasty.publish(&Lonely {}).await.unwrap_err());
        assert!(begun.elapsed() < deadline * 3 / 2, "{:?}", begun.elapsed());
        restart(&mut server);
        assert_eq!(bus.publish(&Lonely {}).id(id.clone()).await.unwrap(), id);
        // What was still on its way has come by now, for it was sent before.
        assert_eq!(messages(&transport, "LONELY").await.unwrap(), 1 + lost);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_a3_a_publish_whose_connection_is_cut_is_stored_once() {
    let injected = Injected::begin("fault_a3_cut");
    let (server, direct, _) = server().await;
    let proxy = Proxy::start(server.port()).await.unwrap();
    let bus = Bus::new(connect(&proxy.url()).await);
    bus.publish(&Lonely {}).await.unwrap();
    let publish = || When::to_server().subject("lonely.");
    for (when, action) in [
        (publish().first(1), Action::CutBefore),
        (publish().first(1), Action::CutAfter),
        (acks("LONELY").first(1), Action::CutBefore),
        (acks("LONELY").first(1), Action::CutAfter),
    ] {
        let cut = proxy.rule(when, action);
        bus.publish(&Lonely {}).await.unwrap();
        assert_eq!(cut.count(), 1);
        injected.note("connection cut");
    }
    assert_eq!(messages(&direct, "LONELY").await.unwrap(), 5);
}

/// Two ways to one server: to the client they are two servers, and the one it is connected to
/// says no word more.
#[tokio::test(flavor = "multi_thread")]
async fn fault_a5_a_server_that_says_nothing_is_left_for_another_within_15_s() {
    let injected = Injected::begin("fault_a5");
    let (server, ..) = server().await;
    let ways = [Proxy::start(server.port()).await, Proxy::start(server.port()).await];
    let ways = ways.map(Result::unwrap);
    let servers = ways.iter().map(Proxy::url).collect();
    let config = NatsConfig { servers, ..NatsConfig::default() };
    let transport = NatsTransport::connect(config).await.unwrap();
    let (bus, mut health) = (Bus::new(transport.clone()), transport.health());
    bus.publish(&Lonely {}).await.unwrap();
    let connected = usize::from(ways[0].connections() == 0);
    // Whoever comes back to it is not let in.
    ways[connected].freeze();
    injected.note("server frozen");
    let begun = Instant::now();
    let down = health.wait_for(|health| *health != Health::Ready);
    let reason = format!("{:?}", *timeout(PATIENCE, down).await.unwrap().unwrap());
    println!("noticed after {:?}: {reason}", begun.elapsed());
    assert!(begun.elapsed() < SECOND * 15, "{:?}", begun.elapsed());
    let up = health.wait_for(|health| *health == Health::Ready);
    timeout(PATIENCE, up).await.unwrap().unwrap();
    println!("on another after {:?}", begun.elapsed());
    assert!(begun.elapsed() < SECOND * 22, "{:?}", begun.elapsed());
    bus.publish(&Lonely {}).await.unwrap();
}

/// Of this process, in bytes.
fn memory() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<usize>().ok());
    kilobytes.unwrap_or_default() * 1024
}

#[derive(Clone, Serialize, Deserialize, Event)]
#[event(subject = "bulk.sent")]
struct Bulk {
    text: String,
}

/// Far more than memory is to hold, into a server that takes nothing for a while.
#[tokio::test(flavor = "multi_thread")]
async fn fault_a13_a_publisher_that_outruns_the_server_waits_and_its_memory_is_bounded() {
    let injected = Injected::begin("fault_a13");
    let (server, transport, bus) = server().await;
    let (event, count) = (Bulk { text: "x".repeat(8000) }, 60_000);
    bus.publish(&event).await.unwrap();
    let before = memory();
    server.signal("STOP").unwrap();
    injected.note("server frozen");
    let events = std::iter::repeat_n(&event, count);
    let publishing = bus.publish_all(events);
    let looking = async {
        let mut most = 0;
        for _ in 0..30 {
            sleep(100 * MILLISECOND).await;
            most = most.max(memory().saturating_sub(before));
        }
        server.signal("CONT").unwrap();
        most
    };
    let (stored, most) = tokio::join!(publishing, looking);
    println!("{} MB more for {count} publishes", most / 1_000_000);
    assert!(most < 120_000_000, "{most} bytes more");
    assert!(stored.iter().all(Result::is_ok), "{:?}", stored.iter().find(|ack| ack.is_err()));
    assert_eq!(messages(&transport, "BULK").await.unwrap(), count as u64 + 1);
}

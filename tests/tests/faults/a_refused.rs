//! Family A of the catalogue: what can not be published, and what may not.

use std::collections::BTreeSet;
use std::fs;
use std::time::Duration;

use bus_core::prelude::*;
use bus_core::transport::TransportError;
use bus_nats::dev_server::DevServer;
use bus_nats::{Auth, NatsConfig, NatsTransport, Provision, Secret};
use serde::{Deserialize, Serialize};
use tests::chaos::api::{ask, messages};
use tests::chaos::injected::{Injected, Random};
use tests::jobs::{Does, Job, Jobs};
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use crate::ledger::Ledger;
use crate::{MILLISECOND, PATIENCE, server};

const JOB: Job = Job { number: 0, does: Does::Sleep(1) };

#[tokio::test(flavor = "multi_thread")]
async fn fault_a8_a_subject_that_nothing_stores_is_refused_at_once_and_at_the_start() {
    let injected = Injected::begin("fault_a8");
    let (server, direct, bus) = server().await;
    // The bus's own streams are there; the events' is not.
    let other = Service::new("other", bus).on("look", Look).start().await.unwrap();
    assert_eq!(other.stop().await.abandoned, 0);
    let provision = Provision::Verify;
    let servers = vec![server.url()];
    let config = NatsConfig { servers, provision, ..NatsConfig::default() };
    let bus = Bus::new(NatsTransport::connect(config).await.unwrap());
    let begun = Instant::now();
    let error = bus.publish(&JOB).await.unwrap_err();
    let PublishError::Refused(TransportError::NoStream { subject }) = &error else {
        panic!("{error}")
    };
    assert!(subject == "jobs.due" && begun.elapsed() < SECOND, "{subject} {:?}", begun.elapsed());
    let jobs = Jobs { lease: SECOND, concurrency: 1, retry: Retry::DEFAULT };
    let begun = Instant::now();
    let error = jobs.service(bus, |_| {}).start().await.map(drop).unwrap_err().to_string();
    println!("{error}");
    assert!(error.contains("jobs.") && begun.elapsed() < SECOND * 2, "{error}");
    assert!(messages(&direct, "JOBS").await.is_err(), "nothing was made");
    injected.add("stream missing", 2);
}

struct Look;

impl Handler<Seen> for Look {
    async fn handle(&self, _: Seen, _: Context) -> HandlerResult {
        Ok(())
    }
}

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "keys.{name}.seen")]
struct Seen {
    name: String,
}

fn any_text(random: &Random) -> String {
    const ODD: &[char] = &[
        ' ', '\t', '\r', '\n', '\0', '*', '>', '.', '%', '$', '/', 'a', 'Z', 'é', '😀', '\u{feff}',
    ];
    let length = random.below(12);
    (0..length).map(|_| ODD[random.below(ODD.len() as u64) as usize]).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_a10_any_text_in_a_subject_is_stored_under_a_subject_of_its_own_or_refused() {
    let injected = Injected::begin("fault_a10");
    let (_server, transport, bus) = server().await;
    let fixed = ["", ".", "..", "*", ">", " ", "\t", "a b", "a.b", "\r\n", "%", "%20", "a\0b", "é"];
    let long = ["x".repeat(10_000), "*".repeat(100)];
    let random = injected.random();
    let mut names: BTreeSet<_> = fixed.into_iter().map(str::to_owned).chain(long).collect();
    names.extend((0..300).map(|_| any_text(&random)));
    let events: Vec<_> = names.into_iter().map(|name| Seen { name }).collect();
    let results = bus.publish_all(&events).await;
    let mut stored = 0;
    for (event, result) in events.iter().zip(results) {
        match result {
            Ok(_) => stored += 1,
            Err(PublishError::Subject(_)) => assert!(event.name.len() > 64, "{:?}", event.name),
            Err(error) => panic!("{:?}: {error}", event.name),
        }
    }
    let info = ask(&transport, "STREAM.INFO.KEYS", "{\"subjects_filter\":\"keys.*.seen\"}").await;
    let subjects = info.unwrap()["state"]["subjects"].as_object().unwrap().len();
    println!("{stored} of {} names, {subjects} subjects", events.len());
    assert_eq!((subjects, events.len() - stored), (stored, 2), "no two are one");
    injected.add("odd name", events.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_a11_a_header_that_could_break_out_is_refused_and_no_control_header_travels() {
    let injected = Injected::begin("fault_a11");
    let (_server, transport, bus) = server().await;
    bus.publish(&JOB).header("tenant", "acme").await.unwrap();
    let names = [
        "Nats-Rollup",
        "nats-msg-id",
        "NATS-Expected-Stream",
        "ce-id",
        "Bus-Origin",
        "",
        "a b",
        "a:b",
        "a\r\nb",
        "é",
    ];
    let values = ["a\r\nNats-Rollup: all", "a\nb", "a\rb", "\0"];
    let named = names.into_iter().map(|name| (name.to_owned(), "all".to_owned()));
    let valued = values.into_iter().map(|value| ("x".to_owned(), value.to_owned()));
    for (name, value) in named.chain(valued) {
        let result = bus.publish(&JOB).header(name.clone(), value.clone()).await;
        let refused = matches!(result, Err(PublishError::Header(_)));
        assert!(refused, "{name:?}: {value:?}: {result:?}");
        injected.note("odd header");
    }
    let random = injected.random();
    let (mut stored, mut refused) = (1, 0);
    for _ in 0..200 {
        match bus.publish(&JOB).header(any_text(&random), any_text(&random)).await {
            Ok(_) => stored += 1,
            Err(PublishError::Header(_)) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    println!("of random ones {refused} were refused, {stored} stored");
    injected.add("random header", 200);
    assert_eq!(messages(&transport, "JOBS").await.unwrap(), stored, "nothing was purged");
    let connects = &transport.client().statistics().connects;
    assert_eq!(connects.load(std::sync::atomic::Ordering::Relaxed), 1);
}

fn users(publish: &str) -> String {
    format!(
        "authorization {{ users = [ {{ user: me, password: p, permissions: {{ publish: \
         [\"$JS.>\", \"BUS.>\", {publish}], subscribe: [\"_INBOX_bus.>\"] }} }} ] }}\n"
    )
}

/// Publishes until it is not permitted any more: how long it takes to be told.
async fn denied(bus: &Bus) -> Duration {
    loop {
        let begun = Instant::now();
        match bus.publish(&JOB).await {
            // The server has not read it yet.
            Ok(_) => sleep(20 * MILLISECOND).await,
            Err(PublishError::Refused(TransportError::Denied { reason })) => {
                assert!(reason.contains("jobs.due"), "{reason}");
                return begun.elapsed();
            }
            Err(error) => panic!("{error}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_a12_a_permission_that_is_revoked_fails_a_publish_within_a_second() {
    let injected = Injected::begin("fault_a12");
    let server = block_in_place(|| DevServer::start_with(&users("\"jobs.>\""))).unwrap();
    let auth = Auth::User { name: "me".into(), password: Secret::new("p") };
    let config = NatsConfig { servers: vec![server.url()], auth, ..NatsConfig::default() };
    let bus = Bus::new(NatsTransport::connect(config).await.unwrap());
    let ledger = Ledger::default();
    let jobs = Jobs { lease: SECOND * 2, concurrency: 1, retry: Retry::DEFAULT };
    let worker = jobs.service(bus.clone(), ledger.of("one")).start().await.unwrap();
    bus.publish(&JOB).await.unwrap();
    let reload = |publish: &str| {
        fs::write(server.folder().join("server.conf"), users(publish)).unwrap();
        server.signal("HUP").unwrap();
    };
    for round in 1..=2 {
        reload("\"others.>\"");
        injected.note("permission revoked");
        let took = denied(&bus).await;
        println!("refused in {took:?}");
        assert!(took < SECOND, "{took:?}");
        reload("\"jobs.>\"");
        let number = round * 1000;
        let deadline = Instant::now() + PATIENCE;
        while bus.publish(&Job { number, ..JOB }).await.is_err() {
            assert!(Instant::now() < deadline, "it is permitted again");
            sleep(20 * MILLISECOND).await;
        }
        ledger.has_done(&[number], PATIENCE).await;
    }
    worker.stop().await;
}

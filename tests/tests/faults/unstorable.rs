//! Dead letters that can not be stored for a while.

use std::fs;
use std::time::Duration;

use bus_core::prelude::*;
use bus_nats::dev_server::DevServer;
use bus_nats::{Auth, NatsConfig, NatsTransport, Secret};
use serde_json::{Value, json};
use tests::chaos::injected::Injected;
use tests::jobs::{Does, Job};
use tests::manner::Manner;
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use crate::ledger::Ledger;
use crate::process::Process;
use crate::{PATIENCE, api, consumer, dead_letters, is_settled, letters, number};

/// Why a letter can not be stored.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Denied,
    Deleted,
    Full,
}

/// A server with an administrator, and a worker `me` who may do everything but this.
fn users(denied: &str) -> String {
    format!(
        "authorization {{ users = [\n{{ user: admin, password: s3cr3t }}\n\
         {{ user: me, password: s3cr3t, permissions: {{ publish: {{ deny: [{denied}] }} }} }}\n] }}\n"
    )
}

struct Bench {
    server: DevServer,
    admin: NatsTransport,
    /// What the stream of the letters was like.
    config: Value,
}

impl Bench {
    async fn new() -> Self {
        let server = block_in_place(|| DevServer::start_with(&users("unused"))).unwrap();
        let auth = Auth::User { name: "admin".into(), password: Secret::new("s3cr3t") };
        let config = NatsConfig { servers: vec![server.url()], auth, ..NatsConfig::default() };
        let admin = NatsTransport::connect(config).await.unwrap();
        Self { server, admin, config: Value::Null }
    }

    fn deny(&self, denied: &str) {
        fs::write(self.server.folder().join("server.conf"), users(denied)).unwrap();
        self.server.signal("HUP").unwrap();
    }

    async fn make(&mut self, fault: Fault) {
        let info = api(&self.admin, "STREAM.INFO.BUS_DLQ", "").await;
        self.config = info["config"].clone();
        match fault {
            Fault::Denied => self.deny("\"BUS.dead.>\""),
            Fault::Deleted => drop(api(&self.admin, "STREAM.DELETE.BUS_DLQ", "").await),
            Fault::Full => {
                let mut full = self.config.clone();
                (full["max_bytes"], full["discard"]) = (json!(1), json!("new"));
                api(&self.admin, "STREAM.UPDATE.BUS_DLQ", &full.to_string()).await;
            }
        }
    }

    async fn repair(&self, fault: Fault) {
        let config = self.config.to_string();
        match fault {
            Fault::Denied => self.deny("unused"),
            Fault::Deleted => drop(api(&self.admin, "STREAM.CREATE.BUS_DLQ", &config).await),
            Fault::Full => drop(api(&self.admin, "STREAM.UPDATE.BUS_DLQ", &config).await),
        }
    }
}

/// The event is not acked and not lost, its neighbours do not notice, and it is a dead letter soon
/// after the repair: how soon, and what the worker said of its readiness before.
async fn heals(fault: Fault, lease: Duration) -> (Duration, String) {
    let injected = Injected::begin(&format!("fault_d7 {fault:?}"));
    let (mut bench, ledger) = (Bench::new().await, Ledger::default());
    let bus = Bus::new(bench.admin.clone());
    let manner = Manner { lease, as_me: true, makes_nothing: true, ..Manner::default() };
    let prepares = Manner { makes_nothing: false, ..manner };
    let url = bench.server.url();
    Process::ready(&url, "prepares", prepares, &ledger).await.stop().await;
    let worker = Process::ready(&url, "one", manner, &ledger).await;
    bench.make(fault).await;
    let begun = Instant::now();
    injected.note(&format!("dead letters {fault:?}"));
    bus.publish(&Job { number: 100, does: Does::Reject }).await.unwrap();
    for number in 0..50 {
        bus.publish(&Job { number, does: Does::Sleep(1) }).await.unwrap();
    }
    ledger.has_done(&(0..50).collect::<Vec<_>>(), PATIENCE).await;
    ledger.until("it runs", PATIENCE, |runs| !runs.of(100).is_empty()).await;
    sleep(SECOND * 3).await;
    if !matches!(fault, Fault::Deleted) {
        assert!(dead_letters(&bench.admin).await.is_empty());
    }
    let (runs, readiness) = (ledger.runs().of(100).len(), worker.readiness());
    assert_eq!(consumer(&bench.admin).await["num_ack_pending"], 1, "it is not acked");
    let most = 2 + begun.elapsed().div_duration_f64(lease) as usize;
    assert!(runs <= most, "{runs} runs: a tight loop");
    bench.repair(fault).await;
    let repaired = Instant::now();
    assert_eq!(number(&letters(&bench.admin, 1).await[0]), 100);
    let after = repaired.elapsed();
    println!(
        "{fault:?}: {runs} runs, `{readiness}` before the repair, a letter {after:?} after it"
    );
    is_settled(&bench.admin).await;
    assert_eq!(worker.stop().await.0, Some(0));
    (after, readiness)
}

/// Long before its lease is over: it is tried until it is stored, and readiness tells meanwhile.
async fn heals_soon(fault: Fault) {
    let (after, readiness) = heals(fault, SECOND * 30).await;
    assert!(after < SECOND * 5, "{after:?}");
    let says = readiness.starts_with("false ") && readiness.contains("dead letters of `jobs_work`");
    assert!(says, "{readiness}");
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_d7_a_letter_that_is_denied_loses_nothing_and_is_there_after_the_repair() {
    heals_soon(Fault::Denied).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_d7_a_letter_without_a_stream_loses_nothing_and_is_there_after_the_repair() {
    heals_soon(Fault::Deleted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_d7_a_letter_without_room_loses_nothing_and_is_there_after_the_repair() {
    heals_soon(Fault::Full).await;
}

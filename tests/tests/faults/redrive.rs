//! A redrive that is killed, again and again.

use std::process::Stdio;

use bus_core::prelude::*;
use bus_nats::dev_server::DevServer;
use tests::chaos::injected::Injected;
use tests::chaos::proxy::{Action, Proxy, When};
use tests::jobs::{Does, Job};
use tests::manner::Manner;
use tokio::process::Command;
use tokio::time::{sleep, timeout};

use crate::ledger::Ledger;
use crate::process::Process;
use crate::{MILLISECOND, PATIENCE, connect, server};

const JOBS: u32 = 600;

#[tokio::test(flavor = "multi_thread")]
async fn fault_d10_a_redrive_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    let injected = Injected::begin("fault_d10");
    let (server, _, bus) = server().await;
    let does = Does::RejectUntilRedriven;
    let jobs: Vec<_> = (0..JOBS).map(|number| Job { number, does }).collect();
    assert!(bus.publish_all(&jobs).await.iter().all(Result::is_ok));
    let ledger = Ledger::default();
    let _worker = Process::ready(&server.url(), "worker", Manner::default(), &ledger).await;
    while bus.dead_letters().count().await.unwrap() < u64::from(JOBS) {
        sleep(50 * MILLISECOND).await;
    }

    let mut kills = 0;
    loop {
        let mut redriver = Command::new(env!("CARGO_BIN_EXE_redriver"));
        let mut redriver =
            redriver.arg(server.url()).arg("2000").stdout(Stdio::null()).spawn().unwrap();
        // Another moment of its work each time.
        sleep(MILLISECOND * (60 + 7 * kills)).await;
        if let Some(status) = redriver.try_wait().unwrap() {
            assert!(status.success(), "{status}");
            break;
        }
        redriver.kill().await.unwrap();
        injected.note("redrive killed");
        kills += 1;
    }
    let numbers: Vec<_> = (0..JOBS).collect();
    ledger.has_done(&numbers, PATIENCE).await;
    let left = bus.dead_letters().count().await.unwrap();
    sleep(SECOND).await;
    let runs = ledger.runs();
    println!(
        "{kills} kills of the redrive, {} runs of {JOBS} jobs, {left} letters left",
        runs.all.len()
    );
    assert!(kills >= 3, "it was killed in the middle");
    assert_eq!(
        (runs.all.len(), left),
        (2 * JOBS as usize, 0),
        "each failed once and came back once"
    );
}

/// One dead letter, and an operator behind a proxy.
struct Far {
    proxy: Proxy,
    far: Bus,
    ledger: Ledger,
    _worker: Process,
    _server: DevServer,
}

impl Far {
    async fn new() -> Self {
        let (server, _, bus) = server().await;
        let does = Does::RejectUntilRedriven;
        bus.publish(&Job { number: 0, does }).await.unwrap();
        let ledger = Ledger::default();
        let worker = Process::ready(&server.url(), "worker", Manner::default(), &ledger).await;
        while bus.dead_letters().count().await.unwrap() < 1 {
            sleep(50 * MILLISECOND).await;
        }
        let proxy = Proxy::start(server.port()).await.unwrap();
        let far = Bus::new(connect(&proxy.url()).await);
        Self { proxy, far, ledger, _worker: worker, _server: server }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_d10_a_list_whose_connection_is_lost_in_the_middle_ends() {
    let injected = Injected::begin("fault_d10 list");
    let bench = Far::new().await;
    let Far { proxy, far, .. } = &bench;
    let asks = When::to_server().subject("$JS.API.CONSUMER.MSG.NEXT.BUS_DLQ").first(1);
    let _rule = proxy.rule(asks, Action::CutBefore);
    let counted = timeout(PATIENCE, far.dead_letters().count()).await;
    injected.note("connection cut in the middle of a list");
    assert!(counted.is_ok_and(|counted| counted.is_err()), "it waits for ever");
    while far.dead_letters().count().await != Ok(1) {
        sleep(50 * MILLISECOND).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_d10_a_redrive_whose_ack_is_lost_doubles_nothing() {
    let injected = Injected::begin("fault_d10 ack");
    let bench = Far::new().await;
    let Far { proxy, far, ledger, .. } = &bench;
    let acks = When::to_client().payload("\"stream\":\"BUS_RETRY\"").first(1);
    let rule = proxy.rule(acks, Action::Drop);
    let done = far.dead_letters().redrive().await;
    assert_eq!(rule.count(), 1);
    injected.note("ack of a redriven copy lost");
    sleep(SECOND * 2).await;
    println!("{done:?}");
    assert_eq!(ledger.runs().of(0).len(), 2, "it failed once and came back once");
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_d10_a_letter_that_was_redriven_before_its_ack_came_is_not_stored_again() {
    let injected = Injected::begin("fault_d10 letter");
    let (server, _, bus) = server().await;
    let (proxy, ledger) = (Proxy::start(server.port()).await.unwrap(), Ledger::default());
    let _worker = Process::ready(&proxy.url(), "worker", Manner::default(), &ledger).await;
    let acks = When::to_client().payload("\"stream\":\"BUS_DLQ\"").first(1);
    let lost = proxy.rule(acks, Action::Drop);
    bus.publish(&Job { number: 0, does: Does::RejectUntilRedriven }).await.unwrap();
    while bus.dead_letters().count().await.unwrap() < 1 {
        sleep(10 * MILLISECOND).await;
    }
    assert_eq!(bus.dead_letters().redrive().await.unwrap().redriven, 1);
    ledger.has_done(&[0], PATIENCE).await;
    sleep(SECOND * 4).await;
    injected.add("ack of a letter lost", lost.count());
    assert_eq!((lost.count(), bus.dead_letters().count().await), (1, Ok(0)));
    assert_eq!(ledger.runs().of(0).len(), 2, "it failed once and came back once");
}

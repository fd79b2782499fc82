//! Workers that start before their server does.

use bus_core::prelude::*;
use tests::jobs::{Does, Job};
use tests::manner::Manner;
use tokio::time::{Instant, sleep};

use crate::ledger::Ledger;
use crate::process::Process;
use crate::{PATIENCE, injects, kill, restart, server};

#[tokio::test(flavor = "multi_thread")]
async fn fault_f5_a_worker_that_starts_before_its_server_waits_for_it() {
    let (mut server, _, bus) = server().await;
    let (url, ledger) = (server.url(), Ledger::default());
    bus.publish(&Job { number: 7, does: Does::Sleep(1) }).await.unwrap();
    kill(&mut server);
    let mut workers = Vec::new();
    for who in ["one", "two", "three"] {
        workers.push((who, Process::start(&url, who, Manner::default(), &ledger)));
    }
    sleep(SECOND * 3).await;
    let restarted = Instant::now();
    restart(&mut server);
    for (who, worker) in &mut workers {
        worker.says(who, "true").await;
    }
    let took = restarted.elapsed();
    println!("all are ready {took:?} after the server was started");
    assert!(took < SECOND * 5, "{took:?}");
    ledger.has_done(&[7], PATIENCE).await;
    for (_, worker) in workers {
        assert_eq!(worker.stop().await.0, Some(0));
    }
    injects("fault_f5_before_its_server", &[("server missing", 1)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_f5_a_worker_without_a_server_gives_up_at_its_deadline_and_says_why() {
    let (mut server, ..) = server().await;
    let (url, ledger) = (server.url(), Ledger::default());
    kill(&mut server);
    let manner = Manner { deadline: SECOND * 2, ..Manner::default() };
    let begun = Instant::now();
    let (code, log) = Process::start(&url, "one", manner, &ledger).end().await;
    let took = begun.elapsed();
    println!("gave up after {took:?}: {log}");
    assert_eq!(code, Some(1), "{log}");
    assert!(log.to_lowercase().contains("refused"), "{log}");
    assert!(took > SECOND && took < SECOND * 4, "{took:?}");
    injects("fault_f5_without_a_server", &[("server missing", 1)]);
}

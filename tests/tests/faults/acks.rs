//! Frames that get lost or come twice.

use bus_core::prelude::*;
use tests::chaos::injected::Injected;
use tests::chaos::proxy::{Action, Proxy, When};
use tests::jobs::Does;
use tests::manner::Manner;
use tokio::time::{Instant, sleep, timeout};

use crate::ledger::Ledger;
use crate::process::Process;
use crate::{PATIENCE, dead_letters, is_settled, publish, server};

/// There is no inbox yet, which would know that they are done. What holds already: they come after
/// one lease, each is run once more, and no other is.
#[tokio::test(flavor = "multi_thread")]
async fn fault_b2_events_whose_acks_get_lost_are_run_once_more_and_no_others() {
    let injected = Injected::begin("fault_b2_events_whose_acks_get_lost_are_run_once_more");
    let (server, transport, bus) = server().await;
    let (proxy, ledger) = (Proxy::start(server.port()).await.unwrap(), Ledger::default());
    let manner = Manner { lease: SECOND * 2, ..Manner::default() };
    let acks = When::to_server().subject("$JS.ACK.JOBS.").payload("+ACK").first(7);
    let mut lost = proxy.rule(acks, Action::Drop);
    let worker = Process::ready(&proxy.url(), "one", manner, &ledger).await;
    let numbers = publish(&bus, 200, |_| Does::Sleep(2)).await;
    ledger.has_done(&numbers, PATIENCE).await;
    timeout(PATIENCE, lost.reaches(7)).await.unwrap();
    ledger.until("they come again", PATIENCE, |runs| runs.beyond_the_first() >= 7).await;
    is_settled(&transport).await;
    let (runs, mut again) = (ledger.runs(), Vec::new());
    for number in numbers {
        let of = runs.of(number);
        if let [first, second] = of.as_slice() {
            again.push(second.begun - first.begun);
        }
    }
    println!(
        "{} came again after {:?} to {:?}",
        again.len(),
        again.iter().min(),
        again.iter().max()
    );
    assert_eq!((again.len(), runs.beyond_the_first()), (7, 7));
    assert!(again.iter().all(|after| (SECOND..SECOND * 4).contains(after)), "{again:?}");
    assert!(dead_letters(&transport).await.is_empty());
    assert_eq!(worker.stop().await.0, Some(0));
    injected.add("ack dropped", lost.count());
}

/// Twice in one process, one behind the other. The run that has it keeps it.
#[tokio::test(flavor = "multi_thread")]
async fn fault_b3_what_is_delivered_twice_to_one_worker_runs_once() {
    let injected = Injected::begin("fault_b3_what_is_delivered_twice_to_one_worker_runs_once");
    let (server, transport, bus) = server().await;
    let (proxy, ledger) = (Proxy::start(server.port()).await.unwrap(), Ledger::default());
    let twice = proxy.rule(When::to_client().subject("jobs.due").every(3), Action::Duplicate);
    let worker = Process::ready(&proxy.url(), "one", Manner::default(), &ledger).await;
    let numbers = publish(&bus, 300, |_| Does::Sleep(10)).await;
    ledger.has_done(&numbers, PATIENCE).await;
    is_settled(&transport).await;
    let (runs, count) = (ledger.runs(), twice.count());
    println!("{count} delivered twice, {} runs beyond the first", runs.beyond_the_first());
    assert!(count >= 100);
    assert_eq!(runs.beyond_the_first(), 0);
    let (code, log) = worker.stop().await;
    assert!(code == Some(0) && log.contains(", 0 abandoned"), "{log}");
    injected.add("delivery doubled", count);
}

/// The server never sees what is asked for. The worker asks again, and not in a hot loop.
#[tokio::test(flavor = "multi_thread")]
async fn fault_b12_requests_that_get_lost_are_made_again_soon() {
    let injected = Injected::begin("fault_b12_requests_that_get_lost_are_made_again_soon");
    let (server, _, bus) = server().await;
    let (proxy, ledger) = (Proxy::start(server.port()).await.unwrap(), Ledger::default());
    let worker = Process::ready(&proxy.url(), "one", Manner::default(), &ledger).await;
    let asks = || When::to_server().subject("$JS.API.CONSUMER.MSG.NEXT.JOBS.");
    let (lost, all) = (proxy.rule(asks(), Action::Drop), proxy.rule(asks(), Action::Pass));
    // What was asked for before is over by now.
    sleep(SECOND * 3 / 2).await;
    publish(&bus, 200, |_| Does::Sleep(1)).await;
    sleep(SECOND * 3).await;
    let dropped = lost.count();
    drop(lost);
    let begun = Instant::now();
    ledger.has_done(&(0..200).collect::<Vec<_>>(), PATIENCE).await;
    let took = begun.elapsed();
    println!("{dropped} requests lost in 4.5 s, then done after {took:?}");
    assert!((1..12).contains(&dropped), "{dropped}");
    assert!(took < SECOND * 5, "{took:?}");
    assert_eq!(ledger.runs().beyond_the_first(), 0);
    assert_eq!(worker.stop().await.0, Some(0));
    injected.add("request dropped", dropped);
    drop(all);
}

/// The retry waits a second, and the ack of its copy is missed for two.
#[tokio::test(flavor = "multi_thread")]
async fn fault_b2_a_retry_whose_ack_is_lost_runs_once() {
    let injected = Injected::begin("fault_b2_a_retry_whose_ack_is_lost_runs_once");
    let (server, transport, bus) = server().await;
    let (proxy, ledger) = (Proxy::start(server.port()).await.unwrap(), Ledger::default());
    let manner = Manner { delay: SECOND, ..Manner::default() };
    let worker = Process::ready(&proxy.url(), "one", manner, &ledger).await;
    let acks = When::to_client().payload("\"stream\":\"BUS_RETRY\"").first(1);
    let lost = proxy.rule(acks, Action::Drop);
    let numbers = publish(&bus, 1, |_| Does::FailFirst).await;
    ledger.has_done(&numbers, PATIENCE).await;
    is_settled(&transport).await;
    sleep(SECOND * 2).await;
    is_settled(&transport).await;
    injected.add("ack of a copy dropped", lost.count());
    assert_eq!((lost.count(), ledger.runs().of(0).len()), (1, 2));
    assert_eq!(worker.stop().await.0, Some(0));
}

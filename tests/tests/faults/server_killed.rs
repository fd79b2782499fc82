//! A server that is killed while events are published and handled.

use std::time::Duration;

use bus_core::operator::DeadLetter;
use bus_core::prelude::*;
use bus_core::transport::{GroupName, Transport};
use bus_nats::NatsTransport;
use tests::jobs::{Does, Job, Jobs};
use tokio::time::{Instant, sleep, timeout};

use crate::ledger::{Ledger, Runs};
use crate::load::{Load, Published};
use crate::{MILLISECOND, PATIENCE, connect, dead_letters, injects, kill, restart, server};

const GROUPS: [&str; 3] = ["work", "bill", "mail"];

fn does(number: u32) -> Does {
    match number % 50 {
        49 => Does::Reject,
        24 => Does::FailFirst,
        _ => Does::Sleep(5),
    }
}

/// Runs beyond the first of each job that is done by one, and how long before the next kill the
/// first of them ended at most.
fn again(runs: &Runs, kills: &[Instant]) -> (usize, Duration) {
    let (mut again, mut longest) = (0, Duration::ZERO);
    for number in runs.done.keys().filter(|number| matches!(does(**number), Does::Sleep(_))) {
        let of = runs.of(*number);
        let (_, before) = of.split_last().unwrap();
        again += before.len();
        for ended in before.iter().filter_map(|run| run.ended) {
            let kill = kills.iter().find(|kill| **kill > ended);
            longest = longest.max(kill.map_or(Duration::ZERO, |kill| *kill - ended));
        }
    }
    (again, longest)
}

/// Which of a group's jobs are dead letters.
fn buried(letters: &[DeadLetter], group: &str) -> Vec<u32> {
    let of = letters.iter().filter(|letter| letter.group.handler() == group);
    let number = |letter: &DeadLetter| {
        serde_json::from_slice::<Job>(&letter.envelope.payload).unwrap().number
    };
    let mut numbers: Vec<_> = of.map(number).collect();
    numbers.sort_unstable();
    numbers
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_a1_a_server_that_is_killed_under_load_loses_nothing_and_few_runs_come_twice() {
    let (mut server, transport, bus) = server().await;
    let retry = Retry::fixed(100 * MILLISECOND).attempts(4);
    let jobs = Jobs { lease: SECOND * 2, concurrency: 8, retry };
    let ledgers = GROUPS.map(|_| Ledger::default());
    let mut service = Service::new("jobs", Bus::new(connect(&server.url()).await));
    service = service.lease(jobs.lease);
    for (group, ledger) in GROUPS.iter().zip(&ledgers) {
        service = jobs.and(service, group, ledger.of(group));
    }
    let running = service.start().await.unwrap();

    let (mut kills, load) = (Vec::new(), Load::start(&bus, 4 * MILLISECOND, does));
    for _ in 0..3 {
        // The clients are back before, and have done what waited meanwhile.
        sleep(SECOND * 5 / 2).await;
        kill(&mut server);
        kills.push(Instant::now());
        sleep(SECOND / 2).await;
        restart(&mut server);
    }
    sleep(SECOND).await;
    let Published { stored, failed } = load.end().await;
    println!("{} stored, {} failed", stored.len(), failed.len());
    assert!(stored.len() > 200, "{:?}", failed.first());
    let numbers = stored.into_iter().map(|(number, _)| number);
    let (rejected, good): (Vec<_>, Vec<_>) =
        numbers.partition(|number| does(*number) == Does::Reject);
    for (group, ledger) in GROUPS.iter().zip(&ledgers) {
        ledger.has_done(&good, PATIENCE).await;
        is_settled(&transport, group).await;
        let runs = ledger.runs();
        let (all, (again, longest)) = (runs.all.len(), again(&runs, &kills));
        println!(
            "{group}: {all} runs, {again} beyond the first, {longest:?} before a kill at most"
        );
        // What was acked in the last 100 ms, and more where the machine is busy.
        assert!(again < all / 4, "{again}");
    }
    let letters = dead_letters(&transport).await;
    for group in GROUPS {
        assert_eq!(buried(&letters, group), rejected, "each is one dead letter of each group");
    }
    println!("{}", running.stop().await);
}

/// Nothing is left to a group.
async fn is_settled(transport: &NatsTransport, group: &str) {
    let group = GroupName::new("jobs", group).unwrap();
    let settled = async {
        while transport.operator().unwrap().lag(&group).await.unwrap().behind() > 0 {
            sleep(20 * MILLISECOND).await;
        }
    };
    timeout(PATIENCE, settled).await.expect("the group is done");
}

/// The server forgets whom it gave an event in the last moment before it is killed.
#[tokio::test(flavor = "multi_thread")]
async fn fault_b3_what_runs_is_not_run_again_beside_it_after_a_kill_of_the_server() {
    let (mut server, _, bus) = server().await;
    let jobs = Jobs { lease: SECOND * 5, concurrency: 4, retry: Retry::DEFAULT };
    let ledger = Ledger::default();
    let worker = jobs.service(Bus::new(connect(&server.url()).await), ledger.of("one"));
    let worker = worker.start().await.unwrap();
    for number in 0..4 {
        let (begun, does) = (Instant::now(), Does::Sleep(2500));
        bus.publish(&Job { number, does }).await.unwrap();
        ledger.until("it runs", PATIENCE, |runs| !runs.of(number).is_empty()).await;
        kill(&mut server);
        println!("killed {:?} after the publish", begun.elapsed());
        restart(&mut server);
        ledger.has_done(&[number], PATIENCE).await;
        let runs = ledger.runs();
        let of = runs.of(number);
        let first = of[0].ended.unwrap();
        let beside = of.iter().skip(1).filter(|run| run.begun < first).count();
        assert_eq!(beside, 0, "{of:?}");
    }
    assert_eq!(worker.stop().await.abandoned, 0);
    injects("fault_b3_after_a_kill_of_the_server", &[("server killed", 4)]);
}

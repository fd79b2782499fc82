//! What a worker leaves behind that had fetched far ahead.

use bus_core::prelude::*;
use tests::jobs::Does;
use tests::manner::Manner;
use tokio::time::{Instant, sleep};

use crate::ledger::Ledger;
use crate::process::Process;
use crate::stops::report;
use crate::{MILLISECOND, PATIENCE, consumer, injects, publish, server};

const QUICK: u32 = 6000;
const SLOW: u32 = 1500;

/// The lease is 30 s: who had to wait for it would be seen.
#[tokio::test(flavor = "multi_thread")]
async fn fault_b13_what_was_fetched_ahead_is_handed_back_and_the_next_begins_at_once() {
    let (server, transport, bus) = server().await;
    let (url, ledger) = (server.url(), Ledger::default());
    // It learns that its handler is quick, and fetches a lot of what is slow then.
    publish(&bus, QUICK + SLOW, |number| Does::Sleep(u64::from(number >= QUICK) * 400)).await;
    let first = Process::ready(&url, "first", Manner::default(), &ledger).await;
    ledger.until("slow ones", PATIENCE, |runs| runs.done.len() > QUICK as usize).await;
    let held = consumer(&transport).await["num_ack_pending"].as_u64().unwrap();
    let (code, log) = first.stop().await;
    let handed_back = report(&log).1;
    println!("{held} held, {handed_back} of them handed back");
    assert!(code == Some(0) && handed_back > 500, "{log}");
    let orphans = consumer(&transport).await["num_ack_pending"].as_u64().unwrap();
    assert!(orphans <= handed_back, "{orphans}");
    let quick = Manner { concurrency: SLOW as usize, ..Manner::default() };
    let (begun, second) = (Instant::now(), Process::ready(&url, "second", quick, &ledger).await);
    let ready = begun.elapsed();
    ledger.until("it begins", PATIENCE, |runs| runs.count("second") > 0).await;
    println!("ready after {ready:?}, its first run after {:?}", begun.elapsed());
    assert!(begun.elapsed() - ready < SECOND, "{:?}", begun.elapsed());
    ledger.has_done(&(0..QUICK + SLOW).collect::<Vec<_>>(), PATIENCE).await;
    sleep(100 * MILLISECOND).await;
    let runs = ledger.runs();
    assert_eq!(runs.beyond_the_first(), 0);
    assert!(runs.all.iter().all(|run| run.attempt == 1));
    assert_eq!(second.stop().await.0, Some(0));
    injects("fault_b13", &[("SIGTERM", 1)]);
}

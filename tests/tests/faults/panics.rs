//! Handlers that panic.

use bus_core::prelude::*;
use bus_core::settle::Reason;
use tests::jobs::{Does, Job};
use tests::manner::Manner;

use crate::ledger::Ledger;
use crate::process::Process;
use crate::{MILLISECOND, PATIENCE, injects, letters, number, publish, server};

const EVENTS: u32 = 1000;

fn does(number: u32) -> Does {
    match number % 4 {
        0 => Does::Panic,
        1 => Does::PanicInDrop,
        2 => Does::PanicInText,
        _ => Does::Sleep(0),
    }
}

/// In the run, in the drop of its error, and in the text of its error; one process sees them all.
#[tokio::test(flavor = "multi_thread")]
async fn fault_c1_a_panic_is_a_failed_run_and_takes_nothing_along() {
    let (server, transport, bus) = server().await;
    let ledger = Ledger::default();
    let delay = 10 * MILLISECOND;
    let manner = Manner { attempts: 2, delay, concurrency: 16, ..Manner::default() };
    let worker = Process::ready(&server.url(), "one", manner, &ledger).await;
    let mut good = publish(&bus, EVENTS, does).await;
    good.retain(|number| number % 4 == 3);
    ledger.has_done(&good, PATIENCE).await;
    let mut letters = letters(&transport, (EVENTS * 3 / 4) as usize).await;
    letters.sort_by_key(number);
    letters.dedup_by_key(|letter| number(letter));
    assert_eq!(letters.len(), (EVENTS * 3 / 4) as usize);
    for letter in &letters {
        let expected = match number(letter) % 4 {
            0 => ("panic", "as it was told"),
            1 => ("_OTHER", "a mine"),
            _ => ("_OTHER", "its text panics"),
        };
        let failed = &letter.failed;
        assert_eq!((&*failed.class, failed.text.as_str()), expected);
        assert_eq!((failed.attempt, letter.reason), (2, Reason::Exhausted));
        let job: Job = serde_json::from_slice(&letter.envelope.payload).unwrap();
        assert_eq!((job.does, &*letter.envelope.type_name), (does(job.number), Job::TYPE));
    }
    let runs = ledger.runs();
    assert_eq!(runs.all.len(), (EVENTS * 3 / 4 * 2 + EVENTS / 4) as usize);
    let (code, log) = worker.stop().await;
    assert!(code == Some(0) && log.contains(", 0 abandoned"), "{log}");
    injects("fault_c1", &[("panic", EVENTS as usize * 3 / 2)]);
}

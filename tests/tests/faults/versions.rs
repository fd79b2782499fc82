//! Builds that do not have the same events.

use std::sync::Arc;

use bus_core::prelude::*;
use bus_core::settle::Reason;
use serde::{Deserialize, Serialize};
use tests::jobs::{Does, Note};
use tests::manner::Manner;

use crate::ledger::{Ledger, Runs};
use crate::load::Load;
use crate::process::Process;
use crate::{MILLISECOND, PATIENCE, connect, dead_letters, injects, is_settled, letters, server};

/// A job as a newer build has it: with a field that the old one does not know, and that old events
/// do not have.
#[derive(Serialize, Deserialize, Event)]
#[event(type = "jobs.due", subject = "jobs.due", version = 2)]
struct Newer {
    number: u32,
    does: Does,
    #[serde(default)]
    priority: u8,
}

/// And as none should have it: under the same name, with another meaning.
#[derive(Serialize, Deserialize, Event)]
#[event(type = "jobs.due", subject = "jobs.due", version = 3)]
struct Broken {
    number: String,
}

/// Works as the newer build of the same group; tells the priorities as attempts.
async fn newer(url: &str, ledger: &Ledger) -> Running {
    let tell = Arc::new(ledger.of("newer"));
    let work = move |job: Newer, _: Context| {
        let (tell, number) = (Arc::clone(&tell), job.number);
        async move {
            tell(Note::Begun { number, attempt: u32::from(job.priority) });
            tell(Note::Ended { number });
        }
    };
    let service = Service::new("jobs", Bus::new(connect(url).await)).on("work", work);
    service.start().await.unwrap()
}

/// The old build is a worker's; both are in one group, and both kinds of events are published.
#[tokio::test(flavor = "multi_thread")]
async fn fault_d3_an_old_and_a_new_build_read_each_others_events() {
    let (server, transport, bus) = server().await;
    let (url, ledger) = (server.url(), Ledger::default());
    let older = Process::ready(&url, "older", Manner::default(), &ledger).await;
    let newer = newer(&url, &ledger).await;
    let load = Load::start(&bus, 5 * MILLISECOND, |_| Does::Sleep(0));
    let new: Vec<_> = (1_000_000..1_000_400)
        .map(|number| Newer { number, does: Does::Sleep(0), priority: 7 })
        .collect();
    assert!(bus.publish_all(&new).await.iter().all(Result::is_ok));
    let both = |runs: &Runs| {
        let saw = |who, new| {
            runs.by(who).iter().filter(|run| (run.number >= 1_000_000) == new).count() > 20
        };
        [("older", false), ("older", true), ("newer", false), ("newer", true)]
            .into_iter()
            .all(|(who, new)| saw(who, new))
    };
    ledger.until("both have seen both", PATIENCE, both).await;
    let mut numbers = load.end().await.numbers();
    numbers.extend(1_000_000..1_000_400);
    ledger.has_done(&numbers, PATIENCE).await;
    is_settled(&transport).await;
    let runs = ledger.runs();
    for run in runs.by("newer") {
        assert_eq!(run.attempt, if run.number < 1_000_000 { 0 } else { 7 });
    }
    assert_eq!(runs.beyond_the_first(), 0);
    assert!(dead_letters(&transport).await.is_empty());
    assert_eq!(older.stop().await.0, Some(0));
    newer.stop().await;
    injects("fault_d3_an_old_and_a_new_build", &[("other version", 400)]);
}

/// Nothing lifts an old version to a new one yet. What holds already: the letter says which it was.
#[tokio::test(flavor = "multi_thread")]
async fn fault_d3_an_incompatible_version_is_a_dead_letter_that_names_it() {
    let (server, transport, bus) = server().await;
    let ledger = Ledger::default();
    let worker = Process::ready(&server.url(), "older", Manner::default(), &ledger).await;
    bus.publish(&Broken { number: "seven".into() }).await.unwrap();
    let letters = letters(&transport, 1).await;
    let (letter, failed) = (&letters[0], &letters[0].failed);
    assert_eq!(
        (letter.reason, failed.attempt, letter.envelope.version),
        (Reason::Undecodable, 1, 3)
    );
    assert!(failed.text.contains("number"), "{}", failed.text);
    assert_eq!(worker.stop().await.0, Some(0));
    injects("fault_d3_an_incompatible_version", &[("other version", 1)]);
}

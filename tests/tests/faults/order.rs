//! The order of events.

use bus_nats::NatsTransport;
use tests::jobs::{Does, Job};
use tests::manner::Manner;

use crate::ledger::Ledger;
use crate::process::Process;
use crate::{MILLISECOND, PATIENCE, injects, publish, server};

/// There are no lanes by key yet, which would hold back what stands behind one that failed. What
/// holds already: one run at a time begins in the order of the publishes, and who fails holds up
/// nobody.
#[tokio::test(flavor = "multi_thread")]
async fn fault_b14_first_runs_keep_the_order_and_those_that_fail_are_overtaken() {
    let (server, transport, bus) = server().await;
    let (url, ledger) = (server.url(), Ledger::default());
    let manner = Manner { concurrency: 1, delay: 300 * MILLISECOND, ..Manner::default() };
    let does = |number| if number % 50 == 25 { Does::FailFirst } else { Does::Sleep(1) };
    let worker = Process::ready(&url, "one", manner, &ledger).await;
    let numbers = publish(&bus, 1000, does).await;
    ledger.has_done(&numbers, PATIENCE).await;
    let runs = ledger.runs();
    let first = runs.all.iter().filter(|run| run.attempt == 1).map(|run| run.number);
    let stored = stored(&transport, 1000).await;
    assert_eq!(stored, numbers, "the order of the stream");
    assert!(first.eq(numbers.iter().copied()), "{:?}", runs.all);
    let overtaken = |number: u32| runs.done[&number] > runs.done[&(number + 1)];
    assert!((25..1000).step_by(50).all(overtaken));
    assert_eq!(runs.beyond_the_first(), 20);
    assert_eq!(worker.stop().await.0, Some(0));
    injects("fault_b14", &[("run failed", 20)]);
}

/// The jobs of the stream in its order.
async fn stored(transport: &NatsTransport, count: u64) -> Vec<u32> {
    let mut numbers = Vec::new();
    for sequence in 1..=count {
        let ask = format!("{{\"seq\":{sequence}}}");
        let answer = transport.client().request("$JS.API.DIRECT.GET.JOBS", ask.into()).await;
        numbers.push(serde_json::from_slice::<Job>(&answer.unwrap().payload).unwrap().number);
    }
    numbers
}

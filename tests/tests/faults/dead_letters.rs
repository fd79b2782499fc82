//! Dead letters: when they are stored, and when that is hard.

use bus_core::prelude::*;
use bus_core::settle::Reason;
use bus_nats::NatsTransport;
use bus_nats::dev_server::DevServer;
use tests::chaos::injected::Injected;
use tests::chaos::proxy::{Action, Proxy, When};
use tests::jobs::{Does, Job};
use tests::manner::Manner;
use tokio::task::block_in_place;
use tokio::time::{sleep, timeout};

use crate::ledger::Ledger;
use crate::memory::publish_padded;
use crate::process::Process;
use crate::raw::Tap;
use crate::{
    MILLISECOND, PATIENCE, connect, consumer, dead_letters, injects, is_settled, kill, letters,
    number, restart, server,
};

#[tokio::test(flavor = "multi_thread")]
async fn fault_b8_the_last_attempt_is_a_dead_letter_before_the_event_is_taken_away() {
    let (server, transport, bus) = server().await;
    let (tap, ledger) = (Tap::on(&server).await, Ledger::default());
    let manner = Manner { attempts: 3, delay: 50 * MILLISECOND, ..Manner::default() };
    let worker = Process::ready(&server.url(), "one", manner, &ledger).await;
    bus.publish(&Job { number: 7, does: Does::Fail }).await.unwrap();
    let letters = letters(&transport, 1).await;
    is_settled(&transport).await;
    assert_eq!((letters[0].reason, letters[0].failed.attempt), (Reason::Exhausted, 3));
    assert_eq!((number(&letters[0]), ledger.runs().of(7).len()), (7, 3));
    tap.stored_before_taken();
    assert_eq!(worker.stop().await.0, Some(0));
    injects("fault_b8", &[("run failed", 3)]);
}

/// The letter is stored, and whoever stored it dies before it can say that the event is done.
#[tokio::test(flavor = "multi_thread")]
async fn fault_d8_a_worker_that_dies_behind_its_dead_letter_leaves_one() {
    let injected = Injected::begin("fault_d8_a_worker_that_dies_behind_its_dead_letter_leaves_one");
    let (server, transport, bus) = server().await;
    let (proxy, ledger) = (Proxy::start(server.port()).await.unwrap(), Ledger::default());
    let manner = Manner { lease: SECOND, ..Manner::default() };
    let first = Process::ready(&proxy.url(), "first", manner, &ledger).await;
    let mut term = proxy.rule(When::to_server().payload("+TERM").first(1), Action::Freeze);
    bus.publish(&Job { number: 7, does: Does::Reject }).await.unwrap();
    let held = timeout(PATIENCE, term.next()).await.unwrap().unwrap();
    assert!(held.subject().starts_with("$JS.ACK."), "{held:?}");
    assert_eq!(dead_letters(&transport).await.len(), 1);
    assert_eq!(consumer(&transport).await["num_ack_pending"], 1);
    first.kill().await;
    injected.note("worker killed");
    let second = Process::ready(&server.url(), "second", manner, &ledger).await;
    ledger.until("it runs again", PATIENCE, |runs| runs.count("second") == 1).await;
    is_settled(&transport).await;
    assert_eq!(ledger.runs().of(7).len(), 2);
    let letters = letters(&transport, 1).await;
    assert_eq!((number(&letters[0]), letters[0].reason), (7, Reason::Rejected));
    assert_eq!(second.stop().await.0, Some(0));
}

/// A server whose messages have at most so many bytes.
async fn small(max_payload: usize) -> (DevServer, NatsTransport) {
    let configuration = format!("max_payload: {max_payload}\n");
    let server = block_in_place(|| DevServer::start_with(&configuration)).unwrap();
    let transport = connect(&server.url()).await;
    (server, transport)
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_d9_a_large_dead_letter_is_kept_whole_and_the_text_of_its_error_gives_way() {
    let (server, transport) = small(4096).await;
    let ledger = Ledger::default();
    let worker = Process::ready(&server.url(), "one", Manner::default(), &ledger).await;
    publish_padded(&transport, 1, Does::RejectWith(1000), 2900).await.unwrap();
    let letters = letters(&transport, 1).await;
    let (text, payload) = (&letters[0].failed.text, letters[0].envelope.payload.len());
    println!("{payload} bytes kept, {} of the text", text.len());
    assert!(payload > 2900 && text.len() < 1000 && text.starts_with("xx"));
    assert_eq!(worker.stop().await.0, Some(0));
    injects("fault_d9_a_large_dead_letter", &[("letter too large", 1)]);
}

/// It fills the server's limit itself, so that nothing can be said beside it: it can not be stored
/// as a dead letter, and is not lost. With a higher limit it becomes one.
#[tokio::test(flavor = "multi_thread")]
async fn fault_d9_a_dead_letter_that_has_no_room_waits_until_there_is() {
    let (mut server, transport) = small(4096).await;
    let (bus, ledger) = (Bus::new(transport.clone()), Ledger::default());
    let manner = Manner { lease: SECOND, attempts: 2, ..Manner::default() };
    let mut worker = Process::ready(&server.url(), "one", manner, &ledger).await;
    let mut pad = 4096;
    while publish_padded(&transport, 1, Does::RejectWith(1000), pad).await.is_err() {
        pad -= 1;
    }
    worker.says("one", "the server takes 4096").await;
    for number in 10..60 {
        bus.publish(&Job { number, does: Does::Sleep(1) }).await.unwrap();
    }
    ledger.has_done(&(10..60).collect::<Vec<_>>(), PATIENCE).await;
    sleep(SECOND * 3).await;
    let (runs, info) = (ledger.runs().of(1).len(), consumer(&transport).await);
    let again = info["delivered"]["consumer_seq"].as_u64().unwrap() - 51;
    println!("{pad} bytes of padding: {runs} runs, delivered again {again} times");
    assert!(dead_letters(&transport).await.is_empty());
    assert!(info["num_ack_pending"] == 1 && runs == 1 && again == 0, "{runs} runs: {info}");
    let conf = server.folder().join("server.conf");
    std::fs::write(conf, "max_payload: 8192\n").unwrap();
    // Whoever is connected does not learn it before.
    kill(&mut server);
    restart(&mut server);
    let letters = letters(&transport, 1).await;
    assert!(letters[0].envelope.payload.len() > pad);
    is_settled(&transport).await;
    assert_eq!(worker.stop().await.0, Some(0));
    injects("fault_d9_a_dead_letter_that_has_no_room", &[("letter too large", 1)]);
}

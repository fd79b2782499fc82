//! Messages on which the client drops its connection.

use bus_core::prelude::*;
use bus_core::settle::Reason;
use tests::jobs::{Does, Job};
use tests::manner::Manner;

use crate::ledger::Ledger;
use crate::process::Process;
use crate::{PATIENCE, injects, letters, raw, server};

/// Two workers compete for them, and for the good ones around.
#[tokio::test(flavor = "multi_thread")]
async fn fault_b6_what_no_client_can_read_is_kept_once_and_holds_up_nobody() {
    let (server, transport, bus) = server().await;
    let (url, ledger) = (server.url(), Ledger::default());
    let manner = Manner { lease: SECOND * 2, ..Manner::default() };
    let not_text: &[u8] = b"NATS/1.0\r\nname: \xff\xfe\r\n\r\n";
    let no_colon: &[u8] = b"NATS/1.0\r\nno colon here\r\n\r\n";
    let good = async |from: u32| {
        for number in from..from + 20 {
            bus.publish(&Job { number, does: Does::Sleep(1) }).await.unwrap();
        }
    };
    good(0).await;
    raw::publish(&server, b"jobs.due", not_text, b"\x00poison\xff").await;
    raw::publish(&server, b"jobs.due", no_colon, b"poison").await;
    good(20).await;
    let one = Process::ready(&url, "one", manner, &ledger).await;
    let two = Process::ready(&url, "two", manner, &ledger).await;
    ledger.has_done(&(0..40).collect::<Vec<_>>(), PATIENCE).await;
    let letters = letters(&transport, 2).await;
    let payloads: Vec<_> = letters.iter().map(|letter| &*letter.envelope.payload).collect();
    assert_eq!(payloads, [&b"\x00poison\xff"[..], b"poison"]);
    for letter in &letters {
        assert_eq!((letter.reason, &*letter.failed.class), (Reason::Undecodable, "wire"));
    }
    // They are gone: what comes later is not held up.
    good(40).await;
    ledger.has_done(&(0..60).collect::<Vec<_>>(), PATIENCE).await;
    for worker in [one, two] {
        assert_eq!(worker.stop().await.0, Some(0));
    }
    injects("fault_b6", &[("unreadable message", 2)]);
}

//! What nobody may read in a log or a record.

use bus_core::prelude::*;
use bus_core::transport::Transport;
use bus_core::{EventId, Subject};
use bus_nats::NatsTransport;
use tests::jobs::{Job, SECRET};
use tests::manner::Manner;

use crate::ledger::Ledger;
use crate::process::Process;
use crate::raw::{Heard, Tap};
use crate::{MILLISECOND, PATIENCE, injects, letters, server};

/// Stands in payloads only.
const PAYLOAD: &str = "3566-0020-2036-0505";

async fn publish_with_secret(transport: &NatsTransport, number: &str, does: &str) {
    let payload = format!("{{\"number\":{number},\"does\":{does},\"card\":\"{PAYLOAD}\"}}");
    let subject = Subject::literal("jobs.due");
    let envelope = Envelope::new(EventId::now(), Job::TYPE, subject, payload);
    transport.publish(envelope).await.unwrap();
}

/// A success, a retry, a panic, a time-out, a rejection, and two that do not decode: all of the
/// worker's output, and the headers of its dead letters.
async fn told(redacts: bool) -> (String, Vec<String>) {
    let (server, transport, _) = server().await;
    let (tap, ledger) = (Tap::on(&server).await, Ledger::default());
    let manner = Manner {
        redacts,
        is_verbose: true,
        attempts: 2,
        delay: 10 * MILLISECOND,
        timeout: SECOND,
        ..Manner::default()
    };
    let worker = Process::ready(&server.url(), "one", manner, &ledger).await;
    let all = ["{\"Sleep\":0}", "\"FailFirst\"", "\"Panic\"", "\"Hang\"", "\"Leak\"", "\"None\""];
    for (number, does) in all.iter().enumerate() {
        publish_with_secret(&transport, &number.to_string(), does).await;
    }
    publish_with_secret(&transport, &format!("\"{PAYLOAD}\""), "\"Fail\"").await;
    ledger.has_done(&[0, 1], PATIENCE).await;
    letters(&transport, 5).await;
    let (code, log) = worker.stop().await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("is a dead letter") && log.contains("handled"), "{log}");
    let letters = tap.all().into_iter().filter(Heard::is_letter);
    let headers: Vec<_> = letters.map(|letter| letter.headers()).collect();
    assert_eq!(headers.len(), 5);
    (log, headers)
}

fn lines_with<'a>(text: &'a str, secret: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.contains(secret)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_d11_a_redacted_text_is_nowhere_and_a_payload_is_in_no_log() {
    let (log, headers) = told(true).await;
    assert!(log.contains("no card like ***"), "{log}");
    for secret in [SECRET, PAYLOAD] {
        assert_eq!(lines_with(&log, secret), Vec::<&str>::new());
        assert_eq!(lines_with(&headers.join("\n"), secret), Vec::<&str>::new());
    }
    injects("fault_d11_a_redacted_text", &[("secret told", 7)]);
}

/// Without redaction the text of an error is what its handler made it, and no payload is in it.
#[tokio::test(flavor = "multi_thread")]
async fn fault_d11_a_payload_is_in_no_log_and_no_header_without_redaction_either() {
    let (log, headers) = told(false).await;
    assert!(!lines_with(&log, SECRET).is_empty(), "the search finds what is there");
    assert_eq!(lines_with(&log, PAYLOAD), Vec::<&str>::new());
    assert_eq!(lines_with(&headers.join("\n"), PAYLOAD), Vec::<&str>::new());
    injects("fault_d11_a_payload", &[("secret told", 7)]);
}

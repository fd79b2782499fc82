//! The shop accounts for every event, and its exit code says so.
#![expect(clippy::expect_used, reason = "a test has to fail here")]

use std::process::{Command, Output};

use self::common::{mended, number, report, sum};

mod common;

fn shop(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_shop")).args(arguments).output().expect("the shop is built")
}

#[test]
fn nothing_is_lost_and_the_numbers_add_up() {
    let output = shop(&["--json", "--orders", "500"]);
    let report = report(&output);
    assert!(output.status.success(), "{report}");
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(number(&report, "lost"), 0);

    // Every event of the shop has one handler that listens to it; an order and its payment have two.
    let (handled, dead) = (number(&report, "handled"), number(&report, "dead_lettered"));
    let taken = number(&report["handlers"]["complete"], "handled");
    assert_eq!(number(&report, "published") + 500 + taken, handled + dead);
    assert_eq!(number(&report["handlers"]["welcome"], "handled"), 500);
    for name in ["handled", "retried", "dead_lettered"] {
        assert_eq!(number(&report, name), sum(&report, name), "{name}");
    }
    // Each 50th order is rejected, and for each 75th, from the 74th on, the gateway stays away.
    assert_eq!(number(&report["handlers"]["charge"], "dead_lettered"), 10 + 6);
    // For each 100th order, from the 60th on, the mailbox has no room.
    assert_eq!(number(&report["handlers"]["invoice"], "dead_lettered"), 5);
    // What each tenth order and those six take beyond their first run.
    assert_eq!(number(&report["handlers"]["charge"], "retried"), 25 + 25 * 2 + 6 * 3);
    assert_eq!(number(&report["handlers"]["cancel"], "handled"), 20);
    assert_eq!(number(&report["handlers"]["confirm"], "handled"), 500 - 16 - 20);
    let latency = &report["latency_ms"];
    assert!(latency["p50"].as_f64() <= latency["p99"].as_f64(), "{latency}");
}

#[test]
fn what_failed_is_listed_by_its_causes_and_redriven_once_it_is_mended() {
    mended(&shop(&["--json", "--orders", "500", "--redrive", "100"]));
    let table = shop(&["--orders", "500", "--redrive", "100"]).stdout;
    let table = String::from_utf8_lossy(&table);
    assert!(table.contains("6 max_attempts (gateway_away): the gateway is away"), "{table}");
    assert!(table.contains("11 came back and were handled: charge 6, invoice 5"), "{table}");
}

#[test]
fn a_swallowed_event_is_lost_and_the_exit_code_says_so() {
    let output = shop(&["--json", "--orders", "500", "--sabotage", "drop-one"]);
    let report = report(&output);
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert_eq!(number(&report, "lost"), 1);
    assert_eq!(number(&report["handlers"]["confirm"], "lost"), 1);
    let known = number(&report, "handled") + number(&report, "dead_lettered");
    let taken = number(&report["handlers"]["complete"], "handled");
    assert_eq!(number(&report, "published") + 500 + taken, known + 1);
}

#[test]
fn without_json_there_is_a_table() {
    let output = shop(&["--orders", "20", "--rate", "2000"]);
    let table = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{table}");
    assert!(table.contains("billing charge"), "{table}");
    assert!(table.contains(" 0 lost"), "{table}");
}

#[test]
fn a_wrong_argument_is_refused_in_words() {
    let output = shop(&["--orders", "0"]);
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("--orders"), "{message}");
    assert!(output.stdout.is_empty());
}

#[test]
fn arguments_that_contradict_each_other_are_refused_in_words() {
    let url = "nats://127.0.0.1:4222";
    for (arguments, word) in [
        (vec!["--role", "billing"], "--nats"),
        (vec!["--nats", "auto", "--role", "billing"], "starts all three"),
        (vec!["--nats", url, "--role", "mailer", "--orders", "5"], "--role orders"),
    ] {
        let output = shop(&arguments);
        let message = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{message}");
        assert!(message.contains(word), "{message}");
    }
}

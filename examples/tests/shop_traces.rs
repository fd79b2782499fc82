//! What the shop reports of an order: one trace through all services, however often it is tried.
#![expect(clippy::expect_used, reason = "a test has to fail here")]

use std::process::{Command, Output};

use bus_otel::testing::{Answer, Collector};

/// The shop, with everything it reports sent to `endpoint`.
fn shop(endpoint: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_shop"));
    command.args(arguments).arg("--json").env("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint);
    command.env("RUST_LOG", "off").output().expect("the shop is built")
}

fn succeeds(output: &Output) {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.is_empty(), "{errors}");
    sells_all(output);
}

fn sells_all(output: &Output) {
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && report.contains(r#""lost":0,"#), "{report}");
}

/// Without the indentation of the source, and with `…` for the name of the order's event.
fn tree(text: &str) -> String {
    let lines = text.lines().skip(1).filter(|line| !line.trim().is_empty());
    let lines = lines.map(|line| line.strip_prefix("        ").unwrap_or(line));
    lines.map(|line| format!("{line}\n")).collect::<String>().replace("orders…", "orders.{region}.")
}

/// The gateway is away for the first two attempts on order 15.
fn fails_twice_and_succeeds() -> String {
    tree(
        "
        place order INTERNAL [service=orders]
          publish orders…placed PRODUCER [service=orders]
            process orders…placed CONSUMER [bus.attempt=1 bus.outcome=retry error.type=gateway_away service=billing] error ~link(creation)->publish orders…placed
              charge card INTERNAL [service=billing] error
              retry orders…placed CLIENT [service=billing]
            process orders…placed CONSUMER [bus.attempt=2 bus.outcome=retry error.type=gateway_away service=billing] error ~link(creation)->publish orders…placed ~link(previous_attempt)->process orders…placed
              charge card INTERNAL [service=billing] error
              retry orders…placed CLIENT [service=billing]
            process orders…placed CONSUMER [bus.attempt=3 bus.outcome=ack service=billing] ~link(creation)->publish orders…placed ~link(previous_attempt)->process orders…placed
              charge card INTERNAL [service=billing]
              publish payments.taken PRODUCER [service=billing]
                process payments.taken CONSUMER [bus.attempt=1 bus.outcome=ack service=orders] ~link(creation)->publish payments.taken
                  publish orders…completed PRODUCER [service=orders]
                    process orders…completed CONSUMER [bus.attempt=1 bus.outcome=ack service=mailer] ~link(creation)->publish orders…completed
                      publish mails.sent PRODUCER [service=mailer]
                        process mails.sent CONSUMER [bus.attempt=1 bus.outcome=ack service=orders] ~link(creation)->publish mails.sent
                process payments.taken CONSUMER [bus.attempt=1 bus.outcome=ack service=mailer] ~link(creation)->publish payments.taken
            process orders…placed CONSUMER [bus.attempt=1 bus.outcome=ack service=mailer] ~link(creation)->publish orders…placed
        ",
    )
}

/// The mailbox of order 60 is full for the mailer's four attempts to send the invoice.
fn ends_in_the_dead_letters() -> String {
    tree(
        "
        place order INTERNAL [service=orders]
          publish orders…placed PRODUCER [service=orders]
            process orders…placed CONSUMER [bus.attempt=1 bus.outcome=ack service=billing] ~link(creation)->publish orders…placed
              charge card INTERNAL [service=billing]
              publish payments.taken PRODUCER [service=billing]
                process payments.taken CONSUMER [bus.attempt=1 bus.outcome=ack service=orders] ~link(creation)->publish payments.taken
                  publish orders…completed PRODUCER [service=orders]
                    process orders…completed CONSUMER [bus.attempt=1 bus.outcome=ack service=mailer] ~link(creation)->publish orders…completed
                      publish mails.sent PRODUCER [service=mailer]
                        process mails.sent CONSUMER [bus.attempt=1 bus.outcome=ack service=orders] ~link(creation)->publish mails.sent
                process payments.taken CONSUMER [bus.attempt=1 bus.outcome=retry error.type=mailbox_full service=mailer] error ~link(creation)->publish payments.taken
                  retry payments.taken CLIENT [service=mailer]
                process payments.taken CONSUMER [bus.attempt=2 bus.outcome=retry error.type=mailbox_full service=mailer] error ~link(creation)->publish payments.taken ~link(previous_attempt)->process payments.taken
                  retry payments.taken CLIENT [service=mailer]
                process payments.taken CONSUMER [bus.attempt=3 bus.outcome=retry error.type=mailbox_full service=mailer] error ~link(creation)->publish payments.taken ~link(previous_attempt)->process payments.taken
                  retry payments.taken CLIENT [service=mailer]
                process payments.taken CONSUMER [bus.attempt=4 bus.outcome=dead_letter error.type=mailbox_full service=mailer] error ~link(creation)->publish payments.taken ~link(previous_attempt)->process payments.taken
                  dead_letter BUS_DLQ PRODUCER [error.type=mailbox_full service=mailer] ~link(creation)->publish payments.taken
            process orders…placed CONSUMER [bus.attempt=1 bus.outcome=ack service=mailer] ~link(creation)->publish orders…placed
        ",
    )
}

/// The dead letter comes back once the mailbox has room.
fn is_redriven() -> String {
    tree(
        "
        redrive BUS_DLQ INTERNAL [service=orders]
          publish payments.taken PRODUCER [service=orders] ~link(dead_letter)->dead_letter BUS_DLQ ~link(origin)->publish payments.taken
            process payments.taken CONSUMER [bus.attempt=1 bus.outcome=ack service=mailer] ~link(creation)->publish payments.taken ~link(origin)->publish payments.taken
        ",
    )
}

#[test]
fn one_trace_spans_three_processes_on_a_server_and_a_redrive_is_linked_to_it() {
    let collector = Collector::start(Answer::Ok).expect("a port is free");
    let arguments = ["--nats", "auto", "--orders", "60", "--redrive", "100"];
    succeeds(&shop(&collector.endpoint(), &arguments));

    let received = collector.received();
    let order = |number| received.trace("place order", "order", number).expect("it was placed");
    assert_eq!(received.tree(order("15")), fails_twice_and_succeeds());
    assert_eq!(received.tree(order("60")), ends_in_the_dead_letters());
    let redrives = received.linked_to(order("60"));
    assert_eq!(redrives.len(), 1);
    assert_eq!(received.tree(redrives.first().expect("there is one")), is_redriven());
    assert_eq!(received.traces().len(), 60 + 1, "each order is one trace, and the redrive another");
}

#[test]
fn in_one_process_each_service_has_its_name() {
    let collector = Collector::start(Answer::Ok).expect("a port is free");
    succeeds(&shop(&collector.endpoint(), &["--orders", "20"]));

    let received = collector.received();
    let order = received.trace("place order", "order", "15").expect("it was placed");
    // Spans of `tracing` are of the process.
    let wanted = fails_twice_and_succeeds()
        .replace("place order INTERNAL [service=orders]", "place order INTERNAL [service=shop]")
        .replace("charge card INTERNAL [service=billing]", "charge card INTERNAL [service=shop]");
    assert_eq!(received.tree(order), wanted);
    assert_eq!(received.traces().len(), 20);
}

#[test]
fn what_does_not_arrive_is_said_and_stops_no_order() {
    let port = Collector::free_port().expect("a port is free");
    let output = shop(&format!("http://127.0.0.1:{port}"), &["--orders", "20"]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.starts_with("shop: telemetry was lost ("), "{errors}");
    sells_all(&output);
}

use crate::process::Service;
use bus_otel::testing::{Answer, Collector};

fn hex(id: &[u8]) -> String {
    id.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn user_spans_and_logs_join_the_trace_around_them() {
    let collector = Collector::start(Answer::Ok).unwrap();
    let ended = Service::run("with_nested_spans", &collector, &[]);
    let received = collector.received();
    let (edge, user) = (&received.span("edge").unwrap().1, &received.span("user").unwrap().1);
    let inner = &received.span("inner").unwrap().1;
    assert_eq!(user.parent_span_id, edge.span_id);
    assert_eq!(inner.parent_span_id, user.span_id);
    assert_eq!(received.spans.len(), 3, "{:?}", received.span_names());
    assert_eq!(user.status.as_ref().map(|status| status.code), Some(2), "an error marks it");
    let log = &received.log("inside of it").unwrap().1;
    assert_eq!(log.trace_id, edge.trace_id);
    assert_eq!(received.log("by the crate log").unwrap().1.trace_id, edge.trace_id);
    let line = ended.stderr.lines().find(|line| line.contains("inside of it")).unwrap();
    assert!(line.contains(&format!("trace_id={}", hex(&edge.trace_id))), "{line}");
}

#[test]
fn what_the_exporter_itself_logs_stays_on_stderr() {
    let collector = Collector::start(Answer::Ok).unwrap();
    let ended = Service::run("with_nested_spans", &collector, &[("RUST_LOG", "trace")]);
    let received = collector.received();
    assert!(received.log("inside of it").is_some());
    let bodies: Vec<_> = received.logs.iter().map(|(_, log)| &log.body).collect();
    assert_eq!(bodies.len(), 4, "the four that the service wrote for export: {bodies:?}");
    assert!(ended.stderr.contains("plumbing"), "{}", ended.stderr);
}

#[test]
fn a_log_filter_does_not_cut_the_trace() {
    let collector = Collector::start(Answer::Ok).unwrap();
    let ended = Service::run("with_nested_spans", &collector, &[("RUST_LOG", "off")]);
    let received = collector.received();
    assert_eq!(received.spans.len(), 3, "{:?}", received.span_names());
    assert_eq!(
        received.span("inner").unwrap().1.parent_span_id,
        received.span("user").unwrap().1.span_id
    );
    assert!(received.logs.is_empty());
    assert!(!ended.stderr.contains("inside of it"), "{}", ended.stderr);
}

/// Each costs as much as its fields, in every crate, for nothing.
#[test]
fn what_no_filter_lets_through_is_not_made() {
    let collector = Collector::start(Answer::Ok).unwrap();
    let made = |variables: &[(&str, &str)]| {
        Service::run("with_nested_spans", &collector, variables).stderr.contains("it was made")
    };
    assert!(made(&[("RUST_LOG", "debug")]), "it is said when it is");
    for variables in [
        &[][..],
        &[("RUST_LOG", "off")],
        &[("OTEL_LOGS_EXPORTER", "none")],
        &[("OTEL_LOGS_EXPORTER", "none"), ("RUST_LOG", "off")],
        &[("OTEL_SDK_DISABLED", "true")],
    ] {
        assert!(!made(variables), "{variables:?}");
    }
}

#[test]
fn without_an_endpoint_logs_go_to_stderr_and_nothing_fails() {
    let ended = Service::start("without_a_runtime", &[]).end();
    assert!(ended.stderr.contains("inside of it"), "{}", ended.stderr);
    assert!(!ended.stderr.contains("WARN"), "{}", ended.stderr);
}

#[test]
fn a_subscriber_that_is_there_stays_and_is_named() {
    let collector = Collector::start(Answer::Ok).unwrap();
    let ended = Service::run("with_a_subscriber_of_its_own", &collector, &[]);
    assert!(ended.stderr.contains("it stays"), "{}", ended.stderr);
    collector.received().span("edge").unwrap();
}

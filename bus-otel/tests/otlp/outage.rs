use crate::process::Service;
use bus_otel::testing::{Answer, Collector};

#[test]
fn a_dead_collector_is_an_error_and_said_once() {
    let ended =
        Service::exporting("with_a_dead_collector", Collector::free_port().unwrap(), &[]).end();
    let said = ended.stderr.matches("failed to export spans").count();
    assert_eq!(said, 1, "{}", ended.stderr);
    assert!(ended.stderr.contains("Connection refused"), "{}", ended.stderr);
}

#[test]
fn a_backlog_for_a_dead_collector_does_not_hold_the_shutdown() {
    let port = Collector::free_port().unwrap();
    Service::exporting("with_a_dead_collector_and_a_backlog", port, &[]).end();
}

#[test]
fn a_drop_says_what_was_lost() {
    let port = Collector::free_port().unwrap();
    let ended = Service::exporting("dropped_with_a_dead_collector", port, &[]).end();
    assert!(ended.stderr.contains("failed to end telemetry"), "{}", ended.stderr);
    assert!(ended.stderr.contains("2 spans, 1 metrics"), "{}", ended.stderr);
}

#[test]
fn a_collector_that_never_answers_does_not_hold_the_shutdown() {
    let collector = Collector::start(Answer::Never).unwrap();
    let mut service = Service::exporting("with_a_deaf_collector", collector.port(), &[]);
    service.says("lost: 2 spans, 0 metrics, 1 log records");
    service.end();
}

#[test]
fn a_refusal_is_counted_with_its_status() {
    let collector = Collector::start(Answer::Status(401)).unwrap();
    let mut service = Service::exporting("that_loses_some", collector.port(), &[]);
    service.says("lost 2 because the collector answered 401");
    service.end();
}

#[test]
fn a_refusal_of_some_is_counted() {
    let collector = Collector::start(Answer::Partial(1)).unwrap();
    let mut service = Service::exporting("that_loses_some", collector.port(), &[]);
    service.says("lost 1 because the collector refused 1: too old");
    service.end();
}

#[test]
fn a_collector_that_comes_back_is_used_and_named() {
    let port = Collector::free_port().unwrap();
    let often = [("OTEL_BSP_SCHEDULE_DELAY", "20"), ("OTEL_METRICS_EXPORTER", "none")];
    let mut service = Service::exporting("through_an_outage", port, &often);
    service.says("lost one");
    let collector = Collector::at(port, Answer::Ok).unwrap();
    service.go_on();
    let ended = service.end();
    assert_eq!(collector.received().span_names(), ["after"]);
    assert!(ended.stderr.contains("exporting spans works again"), "{}", ended.stderr);
    assert!(collector.received().log("failed to export").is_none(), "a loop");
}

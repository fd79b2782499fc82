use crate::process::{Service, eventually};
use bus_otel::testing::{Answer, Collector};

/// Faster than any exporter: what the queue holds must not be lost.
fn a_burst_loses_nothing(variables: &[(&str, &str)], spans: usize) {
    let collector = Collector::start(Answer::Ok).unwrap();
    let mut service = Service::exporting("with_a_burst", collector.port(), variables);
    eventually("every span", || collector.received().spans.len() == spans);
    service.go_on();
    service.end();
}

#[test]
fn a_burst_of_the_size_of_the_queue_loses_nothing() {
    a_burst_loses_nothing(&[("BURST", "65536")], 65_536);
}

#[test]
fn a_burst_of_100_000_loses_nothing_from_a_queue_for_as_many() {
    let variables = [("BURST", "100000"), ("OTEL_BSP_MAX_QUEUE_SIZE", "100000")];
    a_burst_loses_nothing(&variables, 100_000);
}

#[test]
fn what_a_full_queue_turns_away_is_counted() {
    let collector = Collector::start(Answer::Ok).unwrap();
    let small = [("OTEL_BSP_MAX_QUEUE_SIZE", "10")];
    let mut service = Service::exporting("with_a_full_queue", collector.port(), &small);
    let lost = service.says("lost ");
    let ended = service.end();
    let lost: usize = lost.trim().rsplit(' ').next().unwrap().parse().unwrap();
    assert!(lost > 0);
    assert_eq!(lost + collector.received().spans.len(), 5_000);
    assert!(ended.stderr.contains("raise OTEL_BSP_MAX_QUEUE_SIZE"), "{}", ended.stderr);
}

#[test]
fn what_has_left_makes_room() {
    let collector = Collector::start(Answer::Ok).unwrap();
    let small = [("OTEL_BSP_MAX_QUEUE_SIZE", "20"), ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "10")];
    let mut service = Service::exporting("with_more_than_its_queue", collector.port(), &small);
    for round in 1..=5 {
        eventually("every span", || collector.received().spans.len() == 10 * round);
        service.go_on();
    }
    service.end();
}

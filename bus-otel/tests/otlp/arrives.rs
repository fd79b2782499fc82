use crate::process::{Service, eventually};
use bus_otel::testing::{Answer, Collector};

fn all_arrives(service: &str) {
    let collector = Collector::start(Answer::Ok).unwrap();
    Service::run(service, &collector, &[]);
    let received = collector.received();
    let (resource, _) = received.span("edge").unwrap();
    let (_, user) = received.span("user").unwrap();
    let (_, log) = received.log("inside of it").expect("the log");
    assert_eq!((&log.trace_id, &log.span_id), (&user.trace_id, &user.span_id));
    assert_eq!(received.spans.len(), 2, "{:?}", received.span_names());
    let (_, metric) = received.metrics.last().expect("a metric");
    assert_eq!(metric.name, "orders.placed");
    assert_eq!(resource["service.name"], "orders");
    assert_eq!(resource["service.version"], "1.2.3");
    assert_eq!(resource["service.instance.id"].len(), 36);
}

#[test]
fn all_arrives_without_a_runtime() {
    all_arrives("without_a_runtime");
}

#[test]
fn all_arrives_from_a_runtime_of_many_threads() {
    all_arrives("on_many_threads");
}

#[test]
fn all_arrives_from_a_runtime_of_one_thread() {
    all_arrives("on_one_thread");
}

#[test]
fn all_arrives_after_a_drop() {
    all_arrives("dropped");
}

#[test]
fn all_arrives_after_the_end_of_the_runtime() {
    all_arrives("after_its_runtime");
}

#[test]
fn spans_leave_while_the_runtime_is_blocked() {
    let collector = Collector::start(Answer::Ok).unwrap();
    let often = [("OTEL_BSP_SCHEDULE_DELAY", "20"), ("OTEL_BLRP_SCHEDULE_DELAY", "20")];
    let metrics = ("OTEL_METRIC_EXPORT_INTERVAL", "20");
    let mut service =
        Service::exporting("blocked", collector.port(), &[often[0], often[1], metrics]);
    eventually("two spans, a metric and a log", || {
        let received = collector.received();
        received.spans.len() == 2 && !received.metrics.is_empty() && !received.logs.is_empty()
    });
    service.go_on();
    service.end();
}

#[test]
fn the_environment_names_the_service_and_the_headers() {
    let collector = Collector::start(Answer::Ok).unwrap();
    let attributes = "deployment.environment.name=test,service.name=other";
    let variables = [
        ("OTEL_SERVICE_NAME", "till"),
        ("OTEL_RESOURCE_ATTRIBUTES", attributes),
        ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=secret"),
    ];
    Service::run("without_a_runtime", &collector, &variables);
    let received = collector.received();
    let (resource, _) = received.span("edge").unwrap();
    assert_eq!(resource["service.name"], "till");
    assert_eq!(resource["deployment.environment.name"], "test");
    assert!(received.headers.iter().all(|h| h.contains("api-key: secret")));
    assert!(received.headers.iter().all(|h| h.contains("application/x-protobuf")));
}

#[test]
fn every_service_of_a_process_has_its_name() {
    let collector = Collector::start(Answer::Ok).unwrap();
    Service::run("of_two_names", &collector, &[]);
    let received = collector.received();
    assert_eq!(received.span("of orders").unwrap().0["service.name"], "orders");
    assert_eq!(received.span("of billing").unwrap().0["service.name"], "billing");
    assert_eq!(received.metrics[0].0["service.name"], "billing");
}

#[test]
fn the_page_has_the_metrics_of_every_service_without_a_collector() {
    Service::start("with_a_page", &[]).end();
}

#[test]
fn the_page_is_beside_the_export() {
    let collector = Collector::start(Answer::Ok).unwrap();
    Service::run("with_a_page", &collector, &[]);
    assert_eq!(collector.received().metrics.len(), 2);
}

#[test]
fn nothing_is_sampled_when_the_environment_says_so() {
    let collector = Collector::start(Answer::Ok).unwrap();
    Service::run("without_a_runtime", &collector, &[("OTEL_TRACES_SAMPLER", "always_off")]);
    assert_eq!(collector.received().span_names(), Vec::<&str>::new());
    assert!(!collector.received().metrics.is_empty());
}

#[test]
fn disabled_sends_nothing_and_still_logs() {
    let collector = Collector::start(Answer::Ok).unwrap();
    let ended = Service::run("that_is_disabled", &collector, &[("OTEL_SDK_DISABLED", "true")]);
    assert!(collector.received().headers.is_empty());
    assert!(ended.stderr.contains("inside of it"), "{}", ended.stderr);
}

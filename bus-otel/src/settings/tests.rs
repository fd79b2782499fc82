use super::*;

fn read(variables: &[(&str, &str)]) -> Result<Settings, SetupError> {
    Settings::read(&|wanted| {
        let found = variables.iter().find(|(name, _)| *name == wanted);
        found.map(|(_, value)| (*value).to_owned())
    })
}

fn url(target: Option<Target>) -> String {
    target.expect("a target").url
}

#[test]
fn without_an_endpoint_nothing_is_sent() {
    let settings = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]).unwrap();
    assert_eq!((settings.spans, settings.metrics, settings.logs), (None, None, None));
    assert_eq!(settings.span_queue, 65_536);
}

#[test]
fn the_address_of_all_signals_is_a_base() {
    let settings = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318/")]).unwrap();
    assert_eq!(url(settings.spans), "http://collector:4318/v1/traces");
    assert_eq!(url(settings.metrics), "http://collector:4318/v1/metrics");
    assert_eq!(url(settings.logs), "http://collector:4318/v1/logs");
}

#[test]
fn the_address_of_one_signal_is_taken_as_it_is() {
    let settings = read(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://tempo/in")]).unwrap();
    assert_eq!(url(settings.spans), "http://tempo/in");
    assert_eq!(settings.metrics, None);
}

#[test]
fn a_timeout_of_the_signal_wins() {
    let settings = read(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "2000"),
        ("OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "300"),
    ])
    .unwrap();
    assert_eq!(settings.spans.unwrap().timeout, Duration::from_secs(2));
    assert_eq!(settings.logs.unwrap().timeout, Duration::from_millis(300));
}

#[test]
fn another_protocol_is_refused_with_what_to_do() {
    let error = read(&[("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "OTEL_EXPORTER_OTLP_PROTOCOL=grpc is not supported: set it to http/protobuf, or unset it"
    );
}

#[test]
fn tls_and_unknown_exporters_and_bad_numbers_are_refused() {
    let refused = |name, value| read(&[(name, value)]).unwrap_err();
    let endpoint = refused("OTEL_EXPORTER_OTLP_ENDPOINT", "https://c");
    assert!(matches!(endpoint, SetupError::Endpoint { .. }), "{endpoint}");
    let exporter = refused("OTEL_METRICS_EXPORTER", "statsd");
    assert!(matches!(exporter, SetupError::Exporter { .. }), "{exporter}");
    for value in ["many", "0", "-1"] {
        let number = refused("OTEL_BSP_MAX_QUEUE_SIZE", value);
        assert!(matches!(number, SetupError::Number { .. }), "{number}");
    }
}

#[test]
fn an_exporter_of_none_turns_its_signal_off() {
    let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c");
    let settings = read(&[all, ("OTEL_LOGS_EXPORTER", "none")]).unwrap();
    assert_eq!(settings.logs, None);
    assert!(settings.spans.is_some());
}

#[test]
fn disabled_reads_no_endpoint() {
    let all = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c");
    let settings = read(&[all, ("OTEL_SDK_DISABLED", "True")]).unwrap();
    assert!(settings.disabled);
    assert_eq!(settings.spans, None);
}

#[test]
fn the_name_of_the_service_comes_from_its_variable_then_from_the_attributes() {
    let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "a=b, service.name = shop");
    assert_eq!(read(&[attributes]).unwrap().service_name.as_deref(), Some("shop"));
    let both = read(&[attributes, ("OTEL_SERVICE_NAME", "till")]).unwrap();
    assert_eq!(both.service_name.as_deref(), Some("till"));
}

#[test]
fn a_batch_is_no_larger_than_its_queue() {
    let pace = |variables: &[(&str, &str)]| read(variables).unwrap().pace.batch;
    assert_eq!(pace(&[("OTEL_BSP_MAX_QUEUE_SIZE", "100")]), 100);
    assert_eq!(pace(&[("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "100000")]), 65_536);
}

#[test]
fn the_protocol_of_what_is_off_is_of_no_matter() {
    let grpc = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc");
    assert_eq!(read(&[grpc, ("OTEL_TRACES_EXPORTER", "none")]).unwrap().spans, None);
}

#[test]
fn a_refusal_shows_no_password() {
    for scheme in ["http", "https"] {
        let address = format!("{scheme}://me:hunter2@c:4318/v1");
        let error = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &address)]).unwrap_err();
        let shown = format!("OTEL_EXPORTER_OTLP_ENDPOINT={scheme}://…@c:4318/v1 is not");
        assert!(error.to_string().starts_with(&shown), "{error}");
        assert!(!format!("{error:?}").contains("hunter2"), "{error:?}");
    }
}

#[test]
fn a_sampler_that_the_sdk_would_not_understand_is_refused() {
    for good in ["always_on", "parentbased_always_off", "parentbased_traceidratio"] {
        assert!(read(&[("OTEL_TRACES_SAMPLER", good)]).is_ok(), "{good}");
    }
    for bad in ["traceidratoi", "jaeger_remote", "Always_On"] {
        let error = read(&[("OTEL_TRACES_SAMPLER", bad)]).unwrap_err().to_string();
        assert!(error.contains(bad) && error.contains("parentbased_"), "{error}");
    }
    for (ratio, good) in [("0.1", true), ("1", true), ("0,1", false), ("-1", false), ("NaN", false)]
    {
        let sampler = ("OTEL_TRACES_SAMPLER", "traceidratio");
        let read = read(&[sampler, ("OTEL_TRACES_SAMPLER_ARG", ratio)]);
        assert_eq!(read.is_ok(), good, "{ratio}");
    }
}

#[test]
fn compression_is_refused_in_words() {
    let error = read(&[("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")]).unwrap_err().to_string();
    assert!(error.contains("OTEL_EXPORTER_OTLP_COMPRESSION=gzip is not known"), "{error}");
}

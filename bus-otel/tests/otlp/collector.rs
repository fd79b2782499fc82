use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::thread;

use opentelemetry_proto::tonic::collector::{
    logs::v1::ExportLogsServiceRequest, metrics::v1::ExportMetricsServiceRequest,
    trace::v1::ExportTraceServiceRequest,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::{logs::v1::LogRecord, metrics::v1::Metric, trace::v1::Span};
use prost::Message;

/// How requests are answered.
#[derive(Clone, Copy)]
pub(crate) enum Answer {
    Ok,
    Never,
    Status(u16),
    /// Accepted but for this many items.
    Partial(i64),
}

type Attributes = BTreeMap<String, String>;

/// What arrived, each with the attributes of its resource.
#[derive(Default)]
pub(crate) struct Received {
    pub(crate) spans: Vec<(Attributes, Span)>,
    pub(crate) metrics: Vec<(Attributes, Metric)>,
    pub(crate) logs: Vec<(Attributes, LogRecord)>,
    pub(crate) headers: Vec<String>,
}

/// An OTLP collector that speaks HTTP/1.1 with protobuf.
pub(crate) struct Collector {
    pub(crate) port: u16,
    received: Arc<Mutex<Received>>,
    stopped: Arc<AtomicBool>,
}

impl Collector {
    pub(crate) fn start(answer: Answer) -> Self {
        Self::at(0, answer)
    }

    pub(crate) fn at(port: u16, answer: Answer) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (received, stopped) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let collector = Self { port, received, stopped };
        let (received, stopped) = (collector.received.clone(), collector.stopped.clone());
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(SeqCst) {
                    return;
                }
                let received = received.clone();
                thread::spawn(move || serve(stream.unwrap(), answer, &received));
            }
        });
        collector
    }

    /// A port that nobody listens at.
    pub(crate) fn free_port() -> u16 {
        TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
    }

    pub(crate) fn received(&self) -> std::sync::MutexGuard<'_, Received> {
        self.received.lock().unwrap()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.stopped.store(true, SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// Answers the requests of one connection until the client closes it.
fn serve(stream: TcpStream, answer: Answer, received: &Mutex<Received>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut writer = stream;
    while let Some(request) = Request::read(&mut reader) {
        let (status, body) = match answer {
            Answer::Never => return drop(reader.read_to_end(&mut Vec::new())),
            Answer::Status(status) => (status, Vec::new()),
            Answer::Ok => (200, Vec::new()),
            Answer::Partial(rejected) => (200, partial(rejected)),
        };
        if status == 200 {
            received.lock().unwrap().take(request);
        }
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", body.len());
        if writer.write_all(&[head.as_bytes(), &body].concat()).is_err() {
            return;
        }
    }
}

struct Request {
    path: String,
    headers: String,
    body: Vec<u8>,
}

impl Request {
    fn read(reader: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut headers = String::new();
        while !headers.ends_with("\r\n\r\n") {
            if reader.read_line(&mut headers).ok()? == 0 {
                return None;
            }
        }
        let headers = headers.to_ascii_lowercase();
        let length = headers.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length?.parse().ok()?];
        reader.read_exact(&mut body).ok()?;
        Some(Self { path: headers.split(' ').nth(1)?.to_owned(), headers, body })
    }
}

impl Received {
    fn take(&mut self, Request { path, headers, body }: Request) {
        self.headers.push(headers);
        match path.as_str() {
            "/v1/traces" => {
                let request = ExportTraceServiceRequest::decode(&body[..]).unwrap();
                for group in request.resource_spans {
                    let named = attributes(group.resource);
                    let spans = group.scope_spans.into_iter().flat_map(|scope| scope.spans);
                    self.spans.extend(spans.map(|span| (named.clone(), span)));
                }
            }
            "/v1/metrics" => {
                let request = ExportMetricsServiceRequest::decode(&body[..]).unwrap();
                for group in request.resource_metrics {
                    let named = attributes(group.resource);
                    let metrics = group.scope_metrics.into_iter().flat_map(|scope| scope.metrics);
                    self.metrics.extend(metrics.map(|metric| (named.clone(), metric)));
                }
            }
            "/v1/logs" => {
                let request = ExportLogsServiceRequest::decode(&body[..]).unwrap();
                for group in request.resource_logs {
                    let named = attributes(group.resource);
                    let logs = group.scope_logs.into_iter().flat_map(|scope| scope.log_records);
                    self.logs.extend(logs.map(|log| (named.clone(), log)));
                }
            }
            other => panic!("nothing is sent to {other}"),
        }
    }

    pub(crate) fn span(&self, name: &str) -> &(Attributes, Span) {
        let found = self.spans.iter().find(|(_, span)| span.name == name);
        found.unwrap_or_else(|| panic!("no span {name} in {:?}", self.span_names()))
    }

    pub(crate) fn span_names(&self) -> Vec<&str> {
        self.spans.iter().map(|(_, span)| span.name.as_str()).collect()
    }

    pub(crate) fn log(&self, part: &str) -> Option<&(Attributes, LogRecord)> {
        self.logs.iter().find(|(_, log)| log.body.clone().is_some_and(|b| text(b).contains(part)))
    }
}

fn partial(rejected: i64) -> Vec<u8> {
    use opentelemetry_proto::tonic::collector::trace::v1::{
        ExportTracePartialSuccess, ExportTraceServiceResponse,
    };
    let error_message = "too old".to_owned();
    let partial = ExportTracePartialSuccess { rejected_spans: rejected, error_message };
    ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
}

fn attributes(resource: Option<Resource>) -> Attributes {
    let pair = |KeyValue { key, value, .. }: KeyValue| (key, value.map(text).unwrap_or_default());
    resource.unwrap_or_default().attributes.into_iter().map(pair).collect()
}

fn text(value: AnyValue) -> String {
    match value.value {
        Some(Value::StringValue(text)) => text,
        other => format!("{other:?}"),
    }
}

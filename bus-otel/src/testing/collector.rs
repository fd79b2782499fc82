use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTracePartialSuccess, ExportTraceServiceResponse,
};
use prost::Message;

use super::arrived::Received;

/// How a [`Collector`] answers.
#[derive(Clone, Copy, Debug)]
pub enum Answer {
    /// It takes everything.
    Ok,
    /// It reads, and says nothing.
    Never,
    /// It takes nothing, and says so by this status of HTTP.
    Status(u16),
    /// It says that it took all but so many.
    Partial(i64),
}

/// An OTLP collector on this machine, over HTTP with protobuf, that keeps what it gets.
///
/// ```no_run
/// use bus_otel::testing::{Answer, Collector};
///
/// let collector = Collector::start(Answer::Ok)?;
/// // Start what is tested with OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint(), wait for its end.
/// let received = collector.received();
/// let (_, order) = received.span("place order").expect("an order");
/// assert_eq!(received.tree(&order.trace_id), "place order INTERNAL [service=orders]\n");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Collector {
    port: u16,
    received: Arc<Mutex<Received>>,
    stopped: Arc<AtomicBool>,
}

impl Collector {
    /// At a port that is free.
    pub fn start(answer: Answer) -> io::Result<Self> {
        Self::at(0, answer)
    }

    /// At this port.
    pub fn at(port: u16, answer: Answer) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port))?;
        let port = listener.local_addr()?.port();
        let (received, stopped) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let collector = Self { port, received, stopped };
        let (received, stopped) = (collector.received.clone(), collector.stopped.clone());
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stopped.load(SeqCst) {
                    return;
                }
                let received = received.clone();
                // The client closed the connection, or sent what is no request.
                thread::spawn(move || drop(serve(stream, answer, &received)));
            }
        });
        Ok(collector)
    }

    /// A port that nobody listens at.
    pub fn free_port() -> io::Result<u16> {
        Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it has now. Nothing more arrives while this is held.
    pub fn received(&self) -> MutexGuard<'_, Received> {
        lock(&self.received)
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.stopped.store(true, SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers the requests of one connection until the client closes it.
fn serve(stream: TcpStream, answer: Answer, received: &Mutex<Received>) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut writer = stream;
    while let Some(request) = Request::read(&mut reader)? {
        let (status, body) = match answer {
            Answer::Never => return reader.read_to_end(&mut Vec::new()).map(drop),
            Answer::Status(status) => (status, Vec::new()),
            Answer::Ok => (request.keep(received), Vec::new()),
            Answer::Partial(rejected) => (request.keep(received), partial(rejected)),
        };
        let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n", body.len());
        writer.write_all(&[head.as_bytes(), &body].concat())?;
    }
    Ok(())
}

struct Request {
    path: String,
    headers: String,
    body: Vec<u8>,
}

impl Request {
    /// `None` at the end of the connection.
    fn read(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Self>> {
        let mut headers = String::new();
        while !headers.ends_with("\r\n\r\n") {
            if reader.read_line(&mut headers)? == 0 {
                return Ok(None);
            }
        }
        let headers = headers.to_ascii_lowercase();
        let length = headers.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = length.and_then(|length| length.parse().ok());
        let path = headers.split(' ').nth(1).map(str::to_owned);
        let (Some(length), Some(path)) = (length, path) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        Ok(Some(Self { path, headers, body }))
    }

    /// The status to answer: what can not be read is refused, and so counts as lost.
    fn keep(self, received: &Mutex<Received>) -> u16 {
        let mut received = lock(received);
        let kept = match self.path.as_str() {
            "/v1/traces" => received.spans(&self.body),
            "/v1/metrics" => received.metrics(&self.body),
            "/v1/logs" => received.logs(&self.body),
            _ => return 404,
        };
        received.headers.push(self.headers);
        kept.map_or(400, |()| 200)
    }
}

fn partial(rejected_spans: i64) -> Vec<u8> {
    let error_message = "too old".to_owned();
    let partial = ExportTracePartialSuccess { rejected_spans, error_message };
    ExportTraceServiceResponse { partial_success: Some(partial) }.encode_to_vec()
}

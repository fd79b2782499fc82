//! For those who only read logs: one line for each attempt, and nothing that nobody may read.

use std::future::Future;
use std::io::Write;
use std::sync::{Arc, Mutex};

use bus_core::prelude::*;
use bus_core::testing::TestBus;
use serde::{Deserialize, Serialize};

use super::shop::{Does, Watched};

/// What was logged.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(crate) async fn during<T>(&self, work: impl Future<Output = T>) -> T {
        let log = self.clone();
        let subscriber = tracing_subscriber::fmt().with_ansi(false).without_time();
        let subscriber = subscriber.with_max_level(tracing::Level::TRACE);
        let subscriber = subscriber.with_writer(move || log.clone()).finish();
        // Of this thread, which is the only one of the test.
        let _guard = tracing::subscriber::set_default(subscriber);
        work.await
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn an_attempt_is_one_line_with_all_that_one_looks_for() {
    let log = Log::default();
    let shop = log
        .during(async {
            let shop = Watched::new().await;
            shop.order(&[Does::Fails, Does::Rejects]).await;
            shop
        })
        .await;
    let envelope = &super::shop::envelopes(&shop.test)[0];
    let trace = format!("{:032x}", envelope.trace.hop.as_ref().unwrap().parent.trace_id());
    let lines = log.lines();
    let about: Vec<_> = lines.iter().filter(|line| line.contains("outcome=")).collect();
    assert_eq!(about.len(), 2, "{lines:#?}");
    let wanted = [
        ("attempt=1", "outcome=\"retry\"", "class=gateway"),
        ("attempt=2", "outcome=\"reject\"", "class=no_card"),
    ];
    for (line, (attempt, outcome, class)) in about.iter().zip(wanted) {
        let event = "event=\"orders.placed\"";
        let (id, trace) = (format!("id={}", envelope.id), format!("trace_id=\"{trace}\""));
        for words in [event, &id, attempt, outcome, class, "took=", &trace] {
            assert!(line.contains(words), "{words}: {line}");
        }
    }
}

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "secrets.told")]
struct Secret {
    #[event(key)]
    canary: String,
}

const CANARY: &str = "canary-5ecret";

/// A payload, a key, a header and the text of an error that is redacted: in no log at any level, and
/// in no span.
#[tokio::test]
async fn nothing_of_a_payload_is_in_a_log_or_a_span() {
    let log = Log::default();
    let capture = bus_otel::testing::Capture::new();
    let telemetry =
        bus_core::telemetry::Telemetry::new().tracer_provider(&capture.tracer_provider());
    let fails = |secret: Secret, ctx: Context| async move {
        match ctx.attempt() {
            1 => Err(HandlerError::from(format!("can not keep {}", secret.canary))),
            2 => panic!("{}", secret.canary),
            3 => Err(HandlerError::reject(secret.canary)),
            _ => Ok(()),
        }
    };
    log.during(async {
        let test = TestBus::new();
        let bus = test.bus().telemetry(telemetry);
        let service = Service::new("keeps", bus.clone()).on("keep", fails);
        let service = service.redact(|text| text.replace(CANARY, "…"));
        test.start(service.tune("keep", |options| options.retry(super::shop::RETRY)))
            .await
            .unwrap();
        let secret = Secret { canary: CANARY.to_owned() };
        bus.publish(&secret).header("token", CANARY).await.unwrap();
        for _ in 0..3 {
            test.settled().await;
            test.advance(MINUTE).await;
        }
        assert_eq!(test.dead_letters("keep").len(), 1);
    })
    .await;
    let lines = log.lines();
    assert!(lines.iter().any(|line| line.contains("is a dead letter")), "{lines:#?}");
    let told: Vec<_> = lines.iter().filter(|line| line.contains(CANARY)).collect();
    assert_eq!(told, Vec::<&String>::new());
    let spans = format!("{:?}", capture.spans());
    assert!(spans.contains("process secrets.told") && !spans.contains(CANARY), "{spans}");
}

//! The services that the other files start, each by its name, in a process of its own.

use std::time::Duration;

use bus_otel::{FlushError, Otel, Setup};
use opentelemetry::global;
use opentelemetry::metrics::MeterProvider;
use opentelemetry::trace::TracerProvider;
use opentelemetry::trace::{Span, TraceContextExt, Tracer};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use crate::process::eventually;

/// What the guard may take, and a busy machine on top.
const BOUND: Duration = Duration::from_secs(10);

fn init() -> Otel {
    Setup::new("orders").version("1.2.3").init().unwrap()
}

/// One of everything.
fn work() {
    global::tracer("test").start("edge").end();
    global::meter("test").u64_counter("orders.placed").build().add(3, &[]);
    let span = tracing::info_span!("user");
    span.in_scope(|| tracing::info!("inside of it"));
}

/// A field of an event that says when it is made.
fn made() -> bool {
    eprintln!("it was made");
    true
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn wait_for_the_test() {
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

macro_rules! services {
    ($($(#[$doc:meta])* fn $name:ident() $body:block)*) => {$(
        $(#[$doc])*
        #[test]
        #[ignore = "a process of its own, started by the other tests"]
        fn $name() $body
    )*};
}

services! {
    fn without_a_runtime() {
        let otel = init();
        work();
        otel.shutdown().unwrap();
    }

    fn on_many_threads() {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(async {
            let otel = init();
            work();
            otel.flush().await.unwrap();
            otel.shutdown().unwrap();
        });
    }

    fn on_one_thread() {
        current_thread().block_on(async {
            let otel = init();
            work();
            otel.flush().await.unwrap();
            otel.shutdown().unwrap();
        });
    }

    fn dropped() {
        current_thread().block_on(async {
            let _otel = init();
            work();
        });
    }

    fn after_its_runtime() {
        let otel = current_thread().block_on(async {
            let otel = init();
            work();
            otel
        });
        otel.shutdown().unwrap();
    }

    /// The only thread of the runtime waits for the test, which waits for the spans.
    fn blocked() {
        current_thread().block_on(async {
            let otel = init();
            work();
            wait_for_the_test();
            otel.shutdown().unwrap();
        });
    }

    fn with_a_dead_collector() {
        let otel = init();
        work();
        let start = Instant::now();
        let error = otel.shutdown().unwrap_err();
        assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
        let FlushError::Lost { lost, cause } = error else { panic!("{error}") };
        assert_eq!((lost.spans, lost.metrics), (2, 1), "{lost}");
        assert!(cause.contains("Connection refused"), "{cause}");
    }

    fn with_a_dead_collector_and_a_backlog() {
        let otel = init();
        let tracer = global::tracer("test");
        (0..20_000).for_each(|_| tracer.start("burst").end());
        let start = Instant::now();
        let error = otel.shutdown().unwrap_err();
        assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
        let FlushError::Lost { lost, .. } = error else { panic!("{error}") };
        assert_eq!(lost.spans, 20_000);
    }

    fn dropped_with_a_dead_collector() {
        let _otel = init();
        work();
    }

    fn with_a_deaf_collector() {
        let otel = init();
        work();
        let start = Instant::now();
        let error = otel.shutdown().unwrap_err();
        assert!(start.elapsed() < BOUND, "{:?}", start.elapsed());
        println!("{error}");
        assert!(matches!(error, FlushError::Timeout { .. }), "{error}");
    }

    fn that_loses_some() {
        let otel = init();
        work();
        let error = otel.shutdown().unwrap_err();
        let FlushError::Lost { lost, cause } = error else { panic!("{error}") };
        println!("lost {} because {cause}", lost.spans);
    }

    fn through_an_outage() {
        current_thread().block_on(async {
            let otel = init();
            let tracer = global::tracer("test");
            tracer.start("before").end();
            eventually("a failure", || otel.failures().spans == 1);
            assert!(otel.flush().await.is_err(), "the last export failed");
            println!("lost one");
            wait_for_the_test();
            tracer.start("after").end();
            otel.flush().await.unwrap();
            assert_eq!(otel.failures().spans, 1);
            otel.shutdown().unwrap();
        });
    }

    fn with_a_burst() {
        let otel = init();
        let tracer = global::tracer("test");
        let spans: usize = std::env::var("BURST").unwrap().parse().unwrap();
        (0..spans).for_each(|_| tracer.start("burst").end());
        wait_for_the_test();
        assert_eq!(otel.failures().spans, 0);
        otel.shutdown().unwrap();
    }

    fn with_a_full_queue() {
        let otel = init();
        let tracer = global::tracer("test");
        (0..5_000).for_each(|_| tracer.start("burst").end());
        println!("lost {}", otel.failures().spans);
        otel.shutdown().unwrap();
    }

    fn with_more_than_its_queue() {
        let _otel = init();
        let tracer = global::tracer("test");
        for _ in 0..5 {
            (0..10).for_each(|_| tracer.start("some").end());
            wait_for_the_test();
        }
    }

    fn of_two_names() {
        let otel = init();
        let billing = otel.service("billing").unwrap();
        global::tracer("test").start("of orders").end();
        billing.tracer.tracer("test").start("of billing").end();
        billing.meter.meter("test").u64_counter("bills").build().add(1, &[]);
        otel.shutdown().unwrap();
    }

    fn with_a_page() {
        let otel = Setup::new("orders").prometheus().init().unwrap();
        let billing = otel.service("billing").unwrap();
        let counter = |m: &opentelemetry::metrics::Meter| m.u64_counter("messages").build();
        counter(&global::meter("test")).add(3, &[]);
        counter(&billing.meter.meter("test")).add(4, &[]);
        let page = otel.metrics_page();
        let line = |service: &str, value: u32| {
            let has = |l: &&str| l.starts_with("messages_total{") && l.contains(service);
            let line = page.lines().find(has).unwrap_or_else(|| panic!("{page}"));
            assert!(line.ends_with(&format!(" {value}")), "{line}");
        };
        line("service_name=\"orders\"", 3);
        line("service_name=\"billing\"", 4);
        assert_eq!(page.matches("# TYPE messages_total counter").count(), 1, "{page}");
        otel.shutdown().unwrap();
    }

    fn that_is_disabled() {
        let otel = init();
        assert!(!global::tracer("test").start("none").span_context().is_valid());
        let billing = otel.service("billing").unwrap();
        assert!(!billing.tracer.tracer("t").start("none").span_context().is_valid());
        work();
        otel.shutdown().unwrap();
    }

    fn with_a_subscriber_of_its_own() {
        tracing_subscriber::fmt().with_writer(std::io::stderr).init();
        let otel = init();
        global::tracer("test").start("edge").end();
        otel.shutdown().unwrap();
    }

    /// An edge span around a span of `tracing`, with a log in it.
    fn with_nested_spans() {
        let otel = init();
        let edge = global::tracer("test").start("edge");
        let context = opentelemetry::Context::current_with_span(edge);
        let attached = context.attach();
        tracing::info_span!("user").in_scope(|| {
            tracing::info!("inside of it");
            tracing::debug_span!("hidden").in_scope(|| global::tracer("t").start("inner").end());
            tracing::error!("broke");
            tracing::debug!(field = made(), "nobody asked for it");
            log::info!("by the crate log");
            tracing::info!(target: "hyper::client", "plumbing");
        });
        opentelemetry::Context::current().span().end();
        drop(attached);
        otel.shutdown().unwrap();
    }
}

//! Shows how a service is seen from outside: spans from a request to the handler, numbers on a page
//! for Prometheus. `OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318` sends both to a collector.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::{get, post};
use axum::{Json, Router};
use bus_core::prelude::*;
use bus_otel::Otel;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{Instrument, info_span};

type Checked<T = ()> = Result<T, Box<dyn std::error::Error>>;

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "orders.placed")]
struct OrderPlaced {
    order: u32,
}

/// Fails once: what is retried is seen as well.
#[handler(retry = Retry::fixed(Duration::from_millis(20)))]
async fn charge(placed: OrderPlaced, ctx: Context) -> HandlerResult {
    if ctx.attempt() == 1 {
        return Err(format!("no answer for order {}", placed.order).into());
    }
    // A span of `tracing` is part of the attempt.
    async { sleep(Duration::from_millis(1)).await }.instrument(info_span!("charge card")).await;
    Ok(())
}

/// The publish is part of the request: it happens in the request's span.
async fn place(
    extract::State((bus, _)): extract::State<(Bus, Arc<Otel>)>,
    Json(order): Json<u32>,
) -> StatusCode {
    let publish = bus.publish(&OrderPlaced { order }).instrument(info_span!("POST /orders"));
    if publish.await.is_ok() { StatusCode::ACCEPTED } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn metrics(extract::State((_, otel)): extract::State<(Bus, Arc<Otel>)>) -> impl IntoResponse {
    ([(CONTENT_TYPE, bus_otel::CONTENT_TYPE)], otel.metrics_page())
}

async fn ask(address: SocketAddr, request: &str, body: &str) -> Checked<String> {
    let mut stream = TcpStream::connect(address).await?;
    let head = format!(
        "{request} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok(answer)
}

#[tokio::main]
async fn main() -> Checked {
    // Before the bus: what is installed later is not seen.
    let otel = Arc::new(bus_otel::Setup::new("billing").prometheus().init()?);
    let bus = Bus::in_memory();
    let running = Service::new("billing", bus.clone()).handlers(handlers![charge]).start().await?;

    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    let routes = Router::new().route("/orders", post(place)).route("/metrics", get(metrics));
    let app = routes.with_state((bus, Arc::clone(&otel)));
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, app).await });

    println!("{}", ask(address, "POST /orders", "7").await?.lines().next().unwrap_or_default());
    let page = timeout(Duration::from_secs(10), charged(address)).await??;
    for line in page.lines().filter(|line| line.starts_with("bus_process_outcomes")) {
        println!("{line}");
    }
    running.stop().await;
    server.shutdown().await;
    otel.flush().await?;
    Ok(())
}

/// The page, once the order is charged.
async fn charged(address: SocketAddr) -> Checked<String> {
    loop {
        let page = ask(address, "GET /metrics", "").await?;
        if page.contains("bus_outcome=\"ack\"") {
            return Ok(page);
        }
        sleep(Duration::from_millis(10)).await;
    }
}

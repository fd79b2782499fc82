//! Shows `/ready` and `/live` for an orchestrator: the service's probe, served by axum.
#![expect(clippy::print_stdout, reason = "an example shows what happens")]

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use axum::Router;
use axum::extract;
use axum::http::StatusCode;
use axum::routing::get;
use bus_core::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "orders.placed")]
struct OrderPlaced {
    order: u32,
}

#[handler]
async fn charge(_placed: OrderPlaced) {}

/// Whether to send work here; says why not.
async fn ready(extract::State(probe): extract::State<Probe>) -> (StatusCode, String) {
    let readiness = probe.readiness();
    if readiness.ready {
        return (StatusCode::OK, "ready".to_owned());
    }
    (StatusCode::SERVICE_UNAVAILABLE, readiness.reasons.join("\n"))
}

/// Whether to keep the process: a broker that is away is no reason to restart it.
async fn live(extract::State(probe): extract::State<Probe>) -> StatusCode {
    if probe.is_alive() { StatusCode::OK } else { StatusCode::INTERNAL_SERVER_ERROR }
}

fn routes(probe: Probe) -> Router {
    Router::new().route("/ready", get(ready)).route("/live", get(live)).with_state(probe)
}

/// What an orchestrator does: asks, and looks at the status.
async fn show(address: SocketAddr, path: &str) -> io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    println!("{path}: {} {body}", head.lines().next().unwrap_or_default());
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let billing = Service::new("billing", Bus::in_memory()).handlers(handlers![charge]);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let address = listener.local_addr()?;
    // The probe is there before the service runs, and after: an orchestrator asks all the time.
    let app = routes(billing.probe());
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, app).await });

    show(address, "/ready").await?;
    let billing = billing.start().await?;
    show(address, "/ready").await?;
    show(address, "/live").await?;
    billing.stop().await;
    show(address, "/ready").await?;
    server.shutdown().await;
    Ok(())
}

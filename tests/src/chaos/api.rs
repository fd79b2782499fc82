//! Questions to JetStream beside the bus.

use std::io;

use bus_nats::NatsTransport;
use serde_json::Value;

/// Asks `$JS.API.<verb>`, for example `STREAM.INFO.JOBS`; what it says is an error is one here.
pub async fn ask(transport: &NatsTransport, verb: &str, request: &str) -> io::Result<Value> {
    let (subject, request) = (format!("$JS.API.{verb}"), request.to_owned());
    let answer = transport.client().request(subject, request.into()).await;
    let answer: Value = serde_json::from_slice(&answer.map_err(io::Error::other)?.payload)?;
    match answer.get("error") {
        Some(error) => Err(io::Error::other(error.to_string())),
        None => Ok(answer),
    }
}

/// How many messages a stream has.
pub async fn messages(transport: &NatsTransport, stream: &str) -> io::Result<u64> {
    let info = ask(transport, &format!("STREAM.INFO.{stream}"), "").await?;
    info["state"]["messages"].as_u64().ok_or_else(|| io::Error::other("it does not say"))
}

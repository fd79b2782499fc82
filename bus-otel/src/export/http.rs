use std::error::Error;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use prost::Message;
use reqwest::blocking::Client;

use super::Health;

/// A blocking client, given by hand: with another feature on in the same build, the exporter would
/// choose an async one, which panics on the SDK's threads.
#[derive(Debug)]
pub(crate) struct Http {
    client: Client,
    health: Arc<Health>,
}

impl Http {
    pub(crate) fn new(
        timeout: Duration,
        health: Arc<Health>,
    ) -> Result<Self, Box<dyn Error + Send + Sync>> {
        // The client's constructor panics inside of an async context.
        let build = move || Client::builder().timeout(timeout).build();
        let thread = thread::Builder::new().name("otel-http".into()).spawn(build)?;
        let client = thread.join().map_err(|_| "the constructor of the HTTP client panicked")??;
        Ok(Self { client, health })
    }
}

#[async_trait]
impl HttpClient for Http {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let response = self.client.send_bytes(request).await.inspect_err(|error| {
            self.health.note(chain(error.as_ref()));
        })?;
        if !response.status().is_success() {
            self.health.note(format!("the collector answered {}", response.status()));
        } else if let Ok(Answer { partial: Some(partial) }) =
            Answer::decode(response.body().clone())
            && let rejected @ 1.. = partial.rejected
        {
            self.health.note_rejected(rejected.unsigned_abs(), &partial.message);
        }
        Ok(response)
    }
}

/// The answer to an export, of the same form for all three signals.
#[derive(Clone, PartialEq, Message)]
struct Answer {
    #[prost(message, optional, tag = "1")]
    partial: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    message: String,
}

/// The error and its causes in one line.
fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

//! The bus's own streams: copies for one group, dead letters, and what is known of runs.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamErrorKind};
use async_nats::jetstream::stream::{Config, RetentionPolicy, StorageType};
use bus_core::transport::TransportError;
use tracing::info;

use super::{MARK, mark, unavailable};
use crate::config::{Provision, Streams};

/// Copies for one group: redriven events. What is acked is removed.
pub(crate) const COPIES: &str = "BUS_RETRY";

/// Events that gave up.
pub(crate) const LETTERS: &str = "BUS_DLQ";

/// How often an event was run, for those that came more than once.
pub(crate) const RUNS: &str = "BUS_RUNS";

/// The first token of all subjects of the bus's own. No event's begins with a capital letter.
const TOKEN: &str = "BUS";

/// How long it is remembered how often an event was run, where nothing says that it is done.
const RUNS_AGE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A subject of the bus's own.
pub(crate) fn subject(stream: &str, rest: &str) -> String {
    let kind = match stream {
        COPIES => "copies",
        LETTERS => "dead",
        _ => "runs",
    };
    format!("{TOKEN}.{kind}.{rest}")
}

/// Whether a subject is the bus's own.
pub(crate) fn is(subject: &str) -> bool {
    subject.split('.').next() == Some(TOKEN)
}

/// All three, made or compared as the configuration says.
pub(crate) async fn streams(
    context: &Context,
    provision: Provision,
    wanted: &Streams,
) -> Result<(), TransportError> {
    if provision == Provision::Never {
        return Ok(());
    }
    for name in [COPIES, LETTERS, RUNS] {
        let config = config(name, wanted);
        if !exists(context, &config).await? {
            make(context, provision, config).await?;
        }
    }
    Ok(())
}

fn config(name: &str, wanted: &Streams) -> Config {
    let config = Config {
        name: name.to_owned(),
        subjects: vec![subject(name, ">")],
        storage: StorageType::File,
        num_replicas: wanted.replicas,
        metadata: HashMap::from([mark()]),
        allow_direct: true,
        ..Config::default()
    };
    match name {
        COPIES => Config {
            retention: RetentionPolicy::WorkQueue,
            max_consumers: wanted.max_consumers,
            ..config
        },
        LETTERS => Config { max_age: wanted.dead_letter_age, ..config },
        _ => Config { max_age: RUNS_AGE, max_messages_per_subject: 1, ..config },
    }
}

async fn exists(context: &Context, wanted: &Config) -> Result<bool, TransportError> {
    let name = &wanted.name;
    let found = match context.get_stream(name).await {
        Ok(stream) => stream.cached_info().config.clone(),
        Err(error) => {
            return match error.kind() {
                GetStreamErrorKind::JetStream(error)
                    if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
                {
                    Ok(false)
                }
                _ => Err(unavailable("reading a stream of the bus", &error)),
            };
        }
    };
    if found.metadata.contains_key(MARK)
        && found.subjects == wanted.subjects
        && found.retention == wanted.retention
    {
        return Ok(true);
    }
    let (subjects, retention) = (&wanted.subjects, wanted.retention);
    let reason = format!(
        "the stream `{name}` is not the bus's: it has to have the subjects {subjects:?}, the \
         retention {retention:?} and the metadata `{MARK}`"
    );
    Err(TransportError::Unsupported { reason })
}

async fn make(
    context: &Context,
    provision: Provision,
    config: Config,
) -> Result<(), TransportError> {
    let name = config.name.clone();
    if provision == Provision::Verify {
        let reason = format!("the stream `{name}` is missing, and nothing may be made");
        return Err(TransportError::Unsupported { reason });
    }
    match context.create_stream(config).await {
        Ok(_) => {
            info!(stream = name, "made");
            Ok(())
        }
        Err(error) => match error.kind() {
            // Another process was faster, and makes the same.
            CreateStreamErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::STREAM_NAME_EXIST =>
            {
                Ok(())
            }
            CreateStreamErrorKind::JetStream(error) => {
                let reason = format!("the server does not make the stream `{name}`: {error}");
                Err(TransportError::Unsupported { reason })
            }
            _ => Err(unavailable("making a stream of the bus", &error)),
        },
    }
}

//! The bus's own streams: copies for one group, dead letters, and what is known of runs.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream::Context;
use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::context::GetStreamErrorKind;
use async_nats::jetstream::stream::{Config, RetentionPolicy, StorageType};
use bus_core::transport::TransportError;

use super::{MARK, create, mark, unavailable};
use crate::config::{Provision, Streams};

/// Copies for one group: events that wait for their next attempt, and redriven ones. What is acked is
/// removed.
pub(crate) const COPIES: &str = "BUS_RETRY";

/// Events that gave up.
pub(crate) const LETTERS: &str = "BUS_DLQ";

/// How often an event was run, for those that came more than once.
pub(crate) const RUNS: &str = "BUS_RUNS";

/// The first token of all subjects of the bus's own. No event's begins with a capital letter.
const TOKEN: &str = "BUS";

/// The second token of the subjects of events that wait for their time.
const WAITING: &str = "at";

/// What they all begin with.
pub(crate) const PREFIX: &str = "BUS.";

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

/// Where a copy waits for its time; then it appears where copies do.
pub(crate) fn later(rest: &str) -> String {
    format!("{TOKEN}.later.{rest}")
}

/// Where the events of a domain wait for their time: in the domain's own stream, for an event that is
/// due appears in the stream in which it waited.
pub(crate) fn waiting(domain: &str, rest: &str) -> String {
    format!("{TOKEN}.{WAITING}.{domain}.{rest}")
}

/// The domain, if a subject is one of [`waiting`].
pub(crate) fn waits_in(subject: &str) -> Option<&str> {
    let rest = subject.strip_prefix(PREFIX)?.strip_prefix(WAITING)?.strip_prefix('.')?;
    rest.split('.').next()
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
    schedules: bool,
) -> Result<(), TransportError> {
    if provision == Provision::Never {
        return Ok(());
    }
    for name in [COPIES, LETTERS, RUNS] {
        let config = config(name, wanted, schedules);
        if !exists(context, provision, &config).await? {
            make(context, provision, config).await?;
        }
    }
    Ok(())
}

fn config(name: &str, wanted: &Streams, schedules: bool) -> Config {
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
            subjects: vec![subject(name, ">"), later(">")],
            retention: RetentionPolicy::WorkQueue,
            allow_message_schedules: schedules,
            max_consumers: wanted.max_consumers,
            ..config
        },
        // One record on each subject, over which a mark can be put that lives for a moment.
        LETTERS => Config {
            max_age: wanted.dead_letter_age,
            max_messages_per_subject: 1,
            allow_message_ttl: true,
            ..config
        },
        _ => Config { max_age: RUNS_AGE, max_messages_per_subject: 1, ..config },
    }
}

async fn exists(
    context: &Context,
    provision: Provision,
    wanted: &Config,
) -> Result<bool, TransportError> {
    let name = &wanted.name;
    let Some(found) = find(context, name).await? else { return Ok(false) };
    let ours = found.metadata.contains_key(MARK) && found.retention == wanted.retention;
    let right = with(&found, wanted);
    if ours && same(&found, &right) {
        return Ok(true);
    }
    if ours && provision == Provision::Create {
        let updated = context.update_stream(right).await;
        updated.map_err(|error| unavailable("changing a stream of the bus", &error))?;
        return Ok(true);
    }
    let Config { subjects, retention, max_messages_per_subject, .. } = wanted;
    let named = [
        (wanted.allow_message_schedules, ", message schedules"),
        (wanted.allow_message_ttl, ", TTLs of messages"),
    ];
    let with: String = named.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
    let reason = format!(
        "the stream `{name}` is not the bus's: it has to have the subjects {subjects:?}, the \
         retention {retention:?}, {max_messages_per_subject} messages per subject{with} and the \
         metadata `{MARK}`"
    );
    Err(TransportError::Unsupported { reason })
}

/// What was found, with what is wanted of it. A server that was replaced by a newer one can do what
/// it could not when the stream was made, and what it can is never taken away.
fn with(found: &Config, wanted: &Config) -> Config {
    Config {
        subjects: wanted.subjects.clone(),
        max_messages_per_subject: wanted.max_messages_per_subject,
        allow_message_schedules: found.allow_message_schedules || wanted.allow_message_schedules,
        allow_message_ttl: found.allow_message_ttl || wanted.allow_message_ttl,
        ..found.clone()
    }
}

fn same(found: &Config, right: &Config) -> bool {
    let of = |config: &Config| {
        let Config { max_messages_per_subject: kept, .. } = *config;
        (kept.max(0), config.allow_message_schedules, config.allow_message_ttl)
    };
    found.subjects == right.subjects && of(found) == of(right)
}

async fn find(context: &Context, name: &str) -> Result<Option<Config>, TransportError> {
    match context.get_stream(name).await {
        Ok(stream) => Ok(Some(stream.cached_info().config.clone())),
        Err(error) => match error.kind() {
            GetStreamErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::STREAM_NOT_FOUND =>
            {
                Ok(None)
            }
            _ => Err(unavailable("reading a stream of the bus", &error)),
        },
    }
}

async fn make(
    context: &Context,
    provision: Provision,
    config: Config,
) -> Result<(), TransportError> {
    if provision == Provision::Verify {
        let name = config.name;
        let reason = format!("the stream `{name}` is missing, and nothing may be made");
        return Err(TransportError::Unsupported { reason });
    }
    // Where another process was faster, it made the same.
    create(context, config).await.map(drop)
}

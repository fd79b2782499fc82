//! Streams: found, made, or compared and refused. Nothing of anybody else's is changed.

use std::collections::HashMap;
use std::time::Duration;

use async_nats::jetstream::context::{CreateStreamErrorKind, GetStreamByNameErrorKind};
use async_nats::jetstream::stream::{Config, DiscardPolicy, RetentionPolicy, StorageType};
use async_nats::jetstream::{Context, ErrorCode};
use bus_core::transport::TransportError;
use tracing::info;

use self::floor::Extent;
use crate::config::{Provision, Streams};

pub(crate) mod consumer;
mod delays;
pub(crate) mod domains;
pub(crate) mod floor;
pub(crate) mod own;

/// Marks what we made, and so may change.
const MARK: &str = "bus-managed";

fn mark() -> (String, String) {
    (MARK.to_owned(), env!("CARGO_PKG_VERSION").to_owned())
}

/// A stream that was found or made.
pub(crate) struct Stream {
    pub(crate) name: String,
    /// Unknown where nothing may be asked.
    pub(crate) extent: Option<Extent>,
}

/// The stream that keeps a domain's events; `None` if there is none and none may be made.
pub(crate) async fn stream(
    context: &Context,
    domain: &str,
    provision: Provision,
    wanted: &Streams,
    schedules: bool,
) -> Result<Option<Stream>, TransportError> {
    let subject = format!("{domain}.>");
    if provision == Provision::Never {
        // Not even asked for: a stream of this name is what its makers were told to make.
        return Ok(Some(Stream { name: name(domain), extent: None }));
    }
    let name = match find(context, &subject).await? {
        Some(name) => name,
        None if provision == Provision::Create => make(context, domain, wanted, schedules).await?,
        None => return Ok(None),
    };
    let delays = (schedules && provision == Provision::Create).then_some(domain);
    let extent = Some(compare(context, &name, provision, wanted, delays).await?);
    Ok(Some(Stream { name, extent }))
}

/// What the stream of a domain is called where we make it.
pub(crate) fn name(domain: &str) -> String {
    domain.to_uppercase()
}

/// The name of the stream that takes a subject.
pub(crate) async fn find(
    context: &Context,
    subject: &str,
) -> Result<Option<String>, TransportError> {
    match context.stream_by_subject(subject).await {
        Ok(name) => Ok(Some(name)),
        Err(error) if error.kind() == GetStreamByNameErrorKind::NotFound => Ok(None),
        Err(error) => Err(unavailable("looking for the stream", &error)),
    }
}

async fn make(
    context: &Context,
    domain: &str,
    wanted: &Streams,
    schedules: bool,
) -> Result<String, TransportError> {
    let config = config(domain, wanted);
    let config = if schedules { delays::with(config, domain) } else { config };
    let name = config.name.clone();
    if create(context, config).await? {
        return Ok(name);
    }
    // Another process was faster; what it made is compared next.
    let subject = format!("{domain}.>");
    let reason = format!("there is a stream `{name}` that does not take `{subject}`");
    find(context, &subject).await?.ok_or(TransportError::Unsupported { reason })
}

/// Makes a stream; `false` if there is another one of its name.
async fn create(context: &Context, config: Config) -> Result<bool, TransportError> {
    let name = config.name.clone();
    let Err(error) = context.create_stream(config).await else {
        info!(stream = name, "made");
        return Ok(true);
    };
    match error.kind() {
        CreateStreamErrorKind::JetStream(error)
            if error.error_code() == ErrorCode::STREAM_NAME_EXIST =>
        {
            Ok(false)
        }
        CreateStreamErrorKind::JetStream(error) => {
            let reason = format!("the server does not make the stream `{name}`: {error}");
            // No peers, no leader, no room on the disk: for now.
            let passes = [10005, 10008, 10023, 10047, 10049].contains(&error.error_code().0);
            Err(match passes {
                true => TransportError::Unavailable { reason },
                false => TransportError::Unsupported { reason },
            })
        }
        _ => Err(unavailable("making a stream", &error)),
    }
}

/// One limits-retention stream a domain, on disk, that keeps by age and never by bytes.
fn config(domain: &str, wanted: &Streams) -> Config {
    Config {
        name: name(domain),
        subjects: vec![format!("{domain}.>")],
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::Old,
        storage: StorageType::File,
        num_replicas: wanted.replicas,
        max_age: wanted.max_age,
        duplicate_window: wanted.duplicate_window,
        max_consumers: wanted.max_consumers,
        allow_direct: true,
        metadata: HashMap::from([mark()]),
        ..Config::default()
    }
}

async fn compare(
    context: &Context,
    name: &str,
    provision: Provision,
    wanted: &Streams,
    delays: Option<&str>,
) -> Result<Extent, TransportError> {
    let stream = context.get_stream(name).await;
    let stream = stream.map_err(|error| unavailable("reading the stream", &error))?;
    let extent = Extent::of(stream.cached_info());
    let found = stream.cached_info().config.clone();
    let fixed = fixed_differences(&found, wanted);
    let mut soft = soft_differences(&found, wanted);
    let delays = delays.filter(|domain| delays::could_be(&found, domain));
    soft.extend(delays.map(|_| "events can not wait in it for their time".to_owned()));
    let ours = found.metadata.contains_key(MARK);
    if fixed.is_empty() && (soft.is_empty() || !ours) {
        return Ok(extent);
    }
    if !fixed.is_empty() || provision == Provision::Verify {
        let differences = [fixed, soft].concat().join("; ");
        let reason = format!("the stream `{name}` is not as it is wanted: {differences}");
        return Err(TransportError::Unsupported { reason });
    }
    info!(stream = name, differences = soft.join("; "), "is changed, for we made it");
    let changed = Config {
        num_replicas: wanted.replicas,
        max_age: wanted.max_age,
        duplicate_window: wanted.duplicate_window,
        ..found
    };
    let changed = match delays {
        Some(domain) => delays::with(changed, domain),
        None => changed,
    };
    let updated = context.update_stream(changed).await;
    updated.map_err(|error| unavailable("changing the stream", &error))?;
    Ok(extent)
}

/// What no update can mend, and what events would be lost by, whoever made the stream.
fn fixed_differences(found: &Config, wanted: &Streams) -> Vec<String> {
    let mut differences = Vec::new();
    if found.retention != RetentionPolicy::Limits {
        differences.push(format!("retention is {:?}, Limits is wanted", found.retention));
    }
    if found.metadata.contains_key(MARK) && found.max_consumers != wanted.max_consumers {
        let (found, wanted) = (found.max_consumers, wanted.max_consumers);
        differences.push(format!("max_consumers is {found}, {wanted} is wanted"));
    }
    differences
}

/// What may be changed where the stream is ours, and is nobody's business where it is not.
fn soft_differences(found: &Config, wanted: &Streams) -> Vec<String> {
    let mut differences = Vec::new();
    let mut differ = |field, found: String, wanted: String| {
        if found != wanted {
            differences.push(format!("{field} is {found}, {wanted} is wanted"));
        }
    };
    let text = |time: Duration| format!("{time:?}");
    differ("replicas", found.num_replicas.to_string(), wanted.replicas.to_string());
    differ("max_age", text(found.max_age), text(wanted.max_age));
    differ("duplicate_window", text(found.duplicate_window), text(wanted.duplicate_window));
    differences
}

fn unavailable(doing: &str, error: &dyn std::fmt::Display) -> TransportError {
    TransportError::Unavailable { reason: format!("{doing} failed: {error}") }
}

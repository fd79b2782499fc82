//! What a domain's stream needs so that events can wait in it for their time.

use async_nats::jetstream::stream::{Config, DiscardPolicy};

use super::own;

/// With schedules, and with messages that say themselves how long they live: `max_age` would remove
/// one that waits for longer, and nothing would tell.
pub(super) fn with(mut config: Config, domain: &str) -> Config {
    let waiting = own::waiting(domain, ">");
    if !config.subjects.contains(&waiting) {
        config.subjects.push(waiting);
    }
    Config { allow_message_schedules: true, allow_message_ttl: true, ..config }
}

/// Whether it has not, and the server would take the change.
pub(super) fn could_be(found: &Config, domain: &str) -> bool {
    let has = found.subjects.contains(&own::waiting(domain, ">"));
    let has = has && found.allow_message_schedules && found.allow_message_ttl;
    let sources = found.sources.as_ref().is_some_and(|sources| !sources.is_empty());
    !has && found.discard == DiscardPolicy::Old && found.mirror.is_none() && !sources
}

//! Everything about a configuration that can be seen without a server.

use std::fs::File;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use async_nats::ServerAddr;
use bus_core::transport::{InvalidName, check_name};

#[cfg(feature = "nkeys")]
use super::Auth;
use super::{ConfigError, NatsConfig, Streams};

pub(super) fn check(config: &NatsConfig) -> Result<Vec<ServerAddr>, ConfigError> {
    check_name(&config.name).map_err(|InvalidName { name }| ConfigError::Name { name })?;
    streams(&config.streams)?;
    files(config)?;
    if config.servers.is_empty() {
        return Err(ConfigError::NoServers);
    }
    let servers = config.servers.iter().enumerate();
    servers.map(|(at, text)| server(config, at + 1, text)).collect()
}

fn server(config: &NatsConfig, at: usize, text: &str) -> Result<ServerAddr, ConfigError> {
    let fail = |reason: &str| Err(ConfigError::Server { at, reason: reason.to_owned() });
    if text.contains(',') {
        return fail("one entry is one address, several are several entries");
    }
    let address: ServerAddr = match text.parse() {
        Ok(address) => address,
        Err(_) => return fail("use `nats://host:port` or `tls://host:port`"),
    };
    if address.has_user_pass() || address.password().is_some() {
        return Err(ConfigError::Credentials { at });
    }
    if address.is_websocket() {
        return fail("web sockets are not supported");
    }
    if address.host().is_empty() {
        return fail("it has no host");
    }
    let secure = address.tls_required() || config.tls.required || config.tls.first;
    let host = address.host();
    let allowed = config.plaintext_hosts.iter().any(|allowed| allowed.eq_ignore_ascii_case(host));
    if secure || is_this_machine(host) || allowed {
        return Ok(address);
    }
    Err(ConfigError::Plaintext { host: host.to_owned() })
}

fn is_this_machine(host: &str) -> bool {
    let loopback = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    loopback || host.eq_ignore_ascii_case("localhost")
}

fn streams(streams: &Streams) -> Result<(), ConfigError> {
    let Streams { replicas, max_age, duplicate_window, max_consumers, .. } = streams;
    let bad = |field, value: String, reason| Err(ConfigError::Value { field, value, reason });
    if !matches!(replicas, 1..=5) {
        return bad("streams.replicas", replicas.to_string(), "a stream has 1 to 5");
    }
    if *max_age < Duration::from_secs(1) {
        return bad("streams.max_age", format!("{max_age:?}"), "it is at least a second");
    }
    if *duplicate_window < Duration::from_millis(100) || duplicate_window > max_age {
        let reason = "it is at least 100 ms, and at most `max_age`";
        return bad("streams.duplicate_window", format!("{duplicate_window:?}"), reason);
    }
    if *max_consumers < 1 {
        return bad("streams.max_consumers", max_consumers.to_string(), "it is at least 1");
    }
    if streams.max_ack_pending < 1 {
        let value = streams.max_ack_pending.to_string();
        return bad("streams.max_ack_pending", value, "it is at least 1");
    }
    if streams.dead_letter_age < *max_age {
        let (value, reason) = (&streams.dead_letter_age, "it is at least `max_age`");
        return bad("streams.dead_letter_age", format!("{value:?}"), reason);
    }
    Ok(())
}

fn files(config: &NatsConfig) -> Result<(), ConfigError> {
    if let Some(roots) = &config.tls.roots {
        readable("`tls.roots`", roots)?;
    }
    if let Some((certificate, key)) = &config.tls.identity {
        readable("the certificate of `tls.identity`", certificate)?;
        readable("the key of `tls.identity`", key)?;
    }
    #[cfg(feature = "nkeys")]
    if let Auth::Credentials(path) = &config.auth {
        readable("`auth`", path)?;
    }
    Ok(())
}

fn readable(what: &'static str, path: &Path) -> Result<(), ConfigError> {
    match File::open(path) {
        Ok(_) => Ok(()),
        Err(error) => {
            let (path, reason) = (path.to_owned(), error.to_string());
            Err(ConfigError::File { what, path, reason })
        }
    }
}

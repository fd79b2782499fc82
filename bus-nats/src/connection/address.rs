//! Where the server is that we are connected to.

use std::net::IpAddr;

use async_nats::ServerAddr;

/// The one server that we were told of; of several the one that answers, if it knows its own name.
/// Mostly a server knows only that it listens everywhere.
pub(crate) fn address(servers: &[String], host: &str, port: u16) -> Option<(String, u16)> {
    if let [only] = servers {
        let only: ServerAddr = only.parse().ok()?;
        return Some((only.host().to_owned(), only.port()));
    }
    let everywhere = host.parse::<IpAddr>().is_ok_and(|host| host.is_unspecified());
    (!host.is_empty() && !everywhere).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_is_named_where_it_is_known() {
        let (one, other) = ("nats://nats.example.com".to_owned(), "tls://[::1]:4333".to_owned());
        let found = |servers: &[&String], host: &str| {
            let servers: Vec<String> = servers.iter().copied().cloned().collect();
            address(&servers, host, 4222).map(|(host, port)| format!("{host}|{port}"))
        };
        assert_eq!(found(&[&one], "0.0.0.0").as_deref(), Some("nats.example.com|4222"));
        assert_eq!(found(&[&other], "10.0.0.7").as_deref(), Some("::1|4333"));
        assert_eq!(found(&[&one, &other], "10.0.0.7").as_deref(), Some("10.0.0.7|4222"));
        for unknown in ["0.0.0.0", "::", ""] {
            assert_eq!(found(&[&one, &other], unknown), None);
        }
    }
}

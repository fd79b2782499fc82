//! The broker behind a transport, as traces and metrics name it.

/// The broker behind a transport, as traces and metrics name it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct System {
    /// `messaging.system`.
    pub name: &'static str,
    /// `server.address`.
    pub address: Option<String>,
    /// `server.port`.
    pub port: Option<u16>,
    /// Where dead letters go.
    pub dead_letters: &'static str,
    /// The name of the attribute for [`Place::log`](crate::delivery::Place::log).
    pub log: &'static str,
    /// The name of the attribute for [`Place::sequence`](crate::delivery::Place::sequence).
    pub sequence: &'static str,
    /// The name of the attribute for [`Place::deliveries`](crate::delivery::Place::deliveries).
    pub deliveries: &'static str,
}

impl System {
    /// A broker without an address, and attributes under our own names.
    pub fn new(name: &'static str) -> Self {
        Self {
            name,
            address: None,
            port: None,
            dead_letters: "dead_letters",
            log: "bus.log",
            sequence: "bus.sequence",
            deliveries: "bus.deliveries",
        }
    }
}

//! Traces, metrics and logs of the shop, for whoever listens at `OTEL_EXPORTER_OTLP_ENDPOINT`.

use std::env;

use bus_core::prelude::*;
use bus_otel::{Otel, SetupError};

use crate::args::{Args, Nats};
use crate::role::Role;
use crate::{explain, warn};

/// Without an address there is none, and nothing is installed.
pub(crate) struct Telemetry {
    otel: Option<Otel>,
    /// All services are in this process, each under its own name.
    together: bool,
}

impl Telemetry {
    /// What can not be set up is said; the shop sells without it too.
    pub(crate) fn start(args: &Args) -> Self {
        let asked = env::var("OTEL_EXPORTER_OTLP_ENDPOINT").is_ok_and(|url| !url.is_empty());
        // Under `auto` the processes of the services report, each under its role.
        let otel = if asked && args.nats != Some(Nats::Auto) {
            let name = args.role.map_or("shop", Role::name);
            bus_otel::init(name).inspect_err(|error| explain(error)).ok()
        } else {
            None
        };
        Self { otel, together: args.role.is_none() }
    }

    /// The bus as this service reports what it does on it.
    pub(crate) fn bus(&self, bus: Bus, role: Role) -> Result<Bus, SetupError> {
        match &self.otel {
            Some(otel) if self.together => {
                Ok(bus.telemetry(otel.service(role.name())?.telemetry()))
            }
            _ => Ok(bus),
        }
    }

    /// Sends what is left. What does not arrive is no failure of the shop.
    pub(crate) fn end(self) {
        if let Some(Err(error)) = self.otel.map(Otel::shutdown) {
            warn(&error.to_string());
        }
    }
}

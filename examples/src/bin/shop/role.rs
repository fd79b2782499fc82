//! The three services by name.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bus_core::prelude::*;
use clap::ValueEnum;

use crate::account::Account;
use crate::{billing, mailer, orders};

/// How long the work of a process that was killed waits.
const LEASE: Duration = Duration::from_secs(5);

/// One service, in a process of its own or beside the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// Places the orders, and accounts for them
    Orders,
    /// Charges them
    Billing,
    /// Tells the customers
    Mailer,
}

impl Role {
    pub(crate) const ALL: [Self; 3] = [Self::Orders, Self::Billing, Self::Mailer];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Billing => "billing",
            Self::Mailer => "mailer",
        }
    }

    pub(crate) fn service(self, bus: Bus, account: &Arc<Account>, mended: bool) -> Service {
        let service = match self {
            Self::Orders => orders::service(bus).shared(Arc::clone(account)),
            Self::Billing => billing::service(bus, mended),
            Self::Mailer => mailer::service(bus, mended),
        };
        service.lease(LEASE)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

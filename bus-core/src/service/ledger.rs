//! What a service serves, as it stands in the log when it starts.

use std::fmt;
use std::sync::Arc;

use crate::dispatch::Route;
use crate::subject::Filter;
use crate::transport::{Group, GroupName, Transport};

/// One group that a service serves.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served {
    /// Service and handler.
    pub group: GroupName,
    /// The name of the event's type.
    pub event: &'static str,
    /// The subjects that it receives.
    pub filter: Filter,
    /// Runs at once in this process.
    pub concurrency: usize,
    /// How many events waited when it started, where the transport can tell.
    pub waiting: Option<u64>,
}

impl Served {
    pub(super) async fn read(
        route: Arc<Route>,
        group: Group,
        transport: Arc<dyn Transport>,
    ) -> Self {
        let waiting = match transport.operator() {
            Some(operator) => operator.behind(&group.name).await.ok(),
            None => None,
        };
        Self {
            group: group.name,
            event: route.entry.event.type_name,
            filter: group.filter,
            concurrency: group.concurrency,
            waiting,
        }
    }
}

impl fmt::Display for Served {
    /// `billing_charge handles orders.placed on orders.*.placed, 16 at once, 3 waiting`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, event, filter, concurrency, waiting } = self;
        write!(f, "{group} handles {event} on {filter}, {concurrency} at once, ")?;
        match waiting {
            Some(waiting) => write!(f, "{waiting} waiting"),
            None => f.write_str("nobody knows how many waiting"),
        }
    }
}

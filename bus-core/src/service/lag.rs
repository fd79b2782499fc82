//! How far the groups are behind, asked now and then for whoever reads the numbers.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::telemetry::Watched;
use crate::transport::{GroupName, Transport};

/// How long a broker may take to say it; what it said before is not shown meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks for each group in turn, for ever, and shows what was said.
pub(super) async fn follow(
    transport: Arc<dyn Transport>,
    groups: Vec<(GroupName, Arc<Watched>)>,
    every: Duration,
) {
    loop {
        for (name, watched) in &groups {
            let Some(operator) = transport.operator() else { return };
            let asked = timeout(PATIENCE, operator.lag(name)).await;
            watched.set_lag(asked.ok().and_then(Result::ok));
        }
        sleep(every).await;
    }
}

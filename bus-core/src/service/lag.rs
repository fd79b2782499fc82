//! How far the groups are behind, asked now and then for whoever reads the numbers.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{sleep, timeout};

use crate::operator::Operator;
use crate::telemetry::Watched;
use crate::transport::{GroupName, Transport};

/// How long a broker may take to say it; what it said before is not shown meanwhile.
const PATIENCE: Duration = Duration::from_secs(5);

/// How many groups are asked for at once.
const AT_ONCE: usize = 16;

/// Asks for each group, for ever, and shows what was said.
pub(super) async fn follow(
    transport: Arc<dyn Transport>,
    groups: Vec<(GroupName, Arc<Watched>)>,
    every: Duration,
) {
    loop {
        let Some(operator) = transport.operator() else { return };
        for some in groups.chunks(AT_ONCE) {
            let mut asked = FuturesUnordered::new();
            for (name, watched) in some {
                asked.push(ask(operator, name, watched));
            }
            while asked.next().await.is_some() {}
        }
        sleep(every).await;
    }
}

async fn ask(operator: &dyn Operator, name: &GroupName, watched: &Watched) {
    let lag = timeout(PATIENCE, operator.lag(name)).await;
    watched.set_lag(lag.ok().and_then(Result::ok));
}

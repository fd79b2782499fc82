//! How far a group is behind.

use std::time::Duration;

use tokio::time::Instant;

use super::answer::{ack, give_up, retry};
use super::bench::{Bench, behind};
use crate::operator::{Lag, OperatorError};

const MINUTE: Duration = Duration::from_secs(60);

/// What no worker has seen waits, and nothing else does.
pub async fn the_lag_counts_what_waits(bench: Bench) {
    if bench.operator().is_none() {
        return;
    }
    let mut left = bench.join("charge").await;
    left.stop();
    left.flush().await;
    for number in 0..7 {
        bench.publish(&number.to_string()).await;
    }
    let lag = bench.lag_becomes("charge", |lag| lag.waiting == 7).await;
    assert_eq!((counts(lag), said_behind(&bench).await), ((7, 0, 0, 0), Some(7)));
}

/// Deliveries that are not answered are in flight.
pub async fn the_lag_counts_what_is_in_flight(bench: Bench) {
    if bench.operator().is_none() {
        return;
    }
    let mut member = bench.join("charge").await;
    for text in ["a", "b", "c"] {
        bench.publish(text).await;
    }
    let open = member.take(3).await;
    let lag = bench.lag_becomes("charge", |lag| lag.in_flight == 3).await;
    assert_eq!(counts(lag), (0, 3, 0, 0));
    for delivery in open {
        ack(delivery).await;
    }
    bench.all_done("charge").await;
}

/// What waits for its next attempt is behind, and no worker has to see to it now.
pub async fn the_lag_counts_what_waits_for_its_next_attempt(bench: Bench) {
    if bench.operator().is_none() {
        return;
    }
    let mut member = bench.join("charge").await;
    bench.publish("waits").await;
    retry(member.runs("waits").await, MINUTE).await;
    member.flush().await;
    // A broker that delays without a copy can not tell this from what is in flight.
    let counted = |lag: Lag| lag.waiting == 0 && lag.delayed + lag.in_flight == 1;
    let lag = bench.lag_becomes("charge", counted).await;
    assert_eq!((behind(lag), said_behind(&bench).await), (1, Some(1)));
}

/// Each group has its own lag; when all is done or given up, it is nothing.
pub async fn the_lag_goes_to_nothing(bench: Bench) {
    if bench.operator().is_none() {
        return;
    }
    let mut charge = bench.join("charge").await;
    drop(bench.join("notify").await);
    for text in ["a", "b"] {
        bench.publish(text).await;
    }
    ack(charge.runs("a").await).await;
    give_up(charge.runs("b").await).await;
    let lag = bench.all_done("charge").await;
    assert_eq!((counts(lag), lag.oldest), ((0, 0, 0, 0), None));
    let lag = bench.lag_becomes("notify", |lag| behind(lag) == 2).await;
    assert_eq!(behind(lag), 2);
}

/// The oldest event that is not done grows older until it is.
pub async fn the_oldest_event_grows_older(bench: Bench) {
    if bench.operator().is_none() {
        return;
    }
    let (quiet, slack) = (bench.settings.quiet, bench.settings.slack + MINUTE / 1000);
    let mut member = bench.join("charge").await;
    assert_eq!(bench.lag("charge").await.oldest, None);
    bench.pass(quiet).await;
    let since = Instant::now();
    bench.publish("old").await;
    bench.pass(quiet).await;
    bench.publish("new").await;
    bench.pass(quiet).await;
    let oldest = bench.lag("charge").await.oldest.unwrap_or_default();
    assert!(oldest + slack >= quiet * 2 && oldest <= since.elapsed() + slack, "{oldest:?}");
    ack(member.runs("old").await).await;
    member.flush().await;
    let younger = |lag: Lag| lag.oldest.is_some_and(|oldest| oldest + quiet / 2 <= since.elapsed());
    bench.lag_becomes("charge", younger).await;
    ack(member.runs("new").await).await;
    assert_eq!(bench.all_done("charge").await.oldest, None);
}

/// A redriven event is not older than it is.
pub async fn a_redriven_event_is_not_older_than_it_is(bench: Bench) {
    if bench.operator().is_none() {
        return;
    }
    let mut member = bench.join("charge").await;
    bench.pass(bench.settings.quiet).await;
    let since = Instant::now();
    bench.publish("rejected").await;
    give_up(member.runs("rejected").await).await;
    member.stop();
    bench.redrive_only("charge").await;
    let lag = bench.lag_becomes("charge", |lag| behind(lag) == 1).await;
    let oldest = lag.oldest.unwrap_or(Duration::MAX);
    assert!(oldest <= since.elapsed() + bench.settings.slack, "{oldest:?}");
}

/// What was delivered more than once is told.
pub async fn the_lag_tells_of_redeliveries(bench: Bench) {
    if bench.operator().is_none() {
        return;
    }
    let mut member = bench.join("charge").await;
    for text in ["fails", "first"] {
        bench.publish(text).await;
    }
    retry(member.runs("fails").await, Duration::ZERO).await;
    let open = member.take(2).await;
    let lag = bench.lag_becomes("charge", |lag| lag.redelivered == 1).await;
    assert_eq!((behind(lag), lag.redelivered), (2, 1));
    drop(open);
}

/// There is no lag of a group that does not exist, which is not the same as none.
pub async fn the_lag_of_an_unknown_group_is_an_error(bench: Bench) {
    let Some(operator) = bench.operator() else { return };
    drop(bench.join("charge").await);
    let group = bench.group_name("nobody");
    let asked = operator.lag(&group).await;
    assert_eq!(asked, Err(OperatorError::NoGroup { group }));
}

/// What the operator says of the group of `charge` that is asked for no more.
async fn said_behind(bench: &Bench) -> Option<u64> {
    bench.operator()?.behind(&bench.group_name("charge")).await.ok()
}

fn counts(lag: Lag) -> (u64, u64, u64, u64) {
    (lag.waiting, lag.in_flight, lag.delayed, lag.redelivered)
}

//! 1, 10, 100 and 1,000 handlers in one service, each on its own subject, and as many events in all.

use anyhow::{Context as _, Result};
use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::contestants::{WINDOW, raw};
use crate::figure::{Bound, Figure};
use crate::ground::Ground;
use crate::numbered::{self, Numbered, STREAM};
use crate::rounds::{Effort, Samples};
use crate::worker::{Said, process};
use benches::event::Placed;

const COUNTS: [usize; 4] = [1, 10, 100, 1000];

/// A server with 1,000 consumers gives out five to ten thousand a second.
const MOST: u64 = 50_000;

pub(crate) async fn measure(effort: Effort) -> Result<Vec<Figure>> {
    let (mut said, mut loops): ([Vec<Said>; 4], Samples) = Default::default();
    let events = effort.events.min(MOST);
    for round in 0..if effort.quick { 1 } else { 3 } {
        for turn in 0..COUNTS.len() {
            let which = (round + turn) % COUNTS.len();
            let one = one(COUNTS[which], events, false).await;
            said[which].push(one.with_context(|| format!("{} handlers", COUNTS[which]))?);
        }
        loops.push(one(COUNTS[3], events, true).await.context("1,000 loops")?.rate);
    }
    let of =
        |which: usize, value: fn(&Said) -> f64| said[which].iter().map(value).collect::<Samples>();
    // What one more costs, so that what all share does not count.
    let each = |value: fn(&Said) -> f64, from: usize, to: usize| {
        let more = of(to, value).median() - of(from, value).median();
        more / (COUNTS[to] - COUNTS[from]) as f64
    };
    let line = |figure, unit, value: fn(&Said) -> f64| {
        let line = Figure::new(figure, unit, &of(3, value));
        let line = line.against("1 handler", &of(0, value)).against("10 handlers", &of(1, value));
        let points = (0..4).map(|which| (COUNTS[which] as f64, of(which, value).median()));
        line.against("100 handlers", &of(2, value)).series(points.collect())
    };
    let start: fn(&Said) -> f64 = |said| said.start_ms;
    let memory: fn(&Said) -> f64 = |said| said.started_kib - said.before_kib;
    let rate: fn(&Said) -> f64 = |said| said.rate;
    let most: fn(&Said) -> f64 = |said| said.peak_kib - said.before_kib;
    let starts = line("many_start", "ms until 1,000 handlers have started", start)
        .demand("ms a handler", each(start, 0, 3), Bound::AtMost(2.0))
        .demand("of it from 100 to 1,000", each(start, 2, 3), Bound::AtMost(2.0));
    let takes = line("many_memory", "KiB for 1,000 handlers", memory)
        .demand("KiB a handler", each(memory, 0, 3), Bound::AtMost(100.0))
        .demand("of it from 100 to 1,000", each(memory, 2, 3), Bound::AtMost(100.0))
        .note(format!(
            "before events are fetched; {:.0} KiB each at most, with up to 64 events fetched ahead",
            each(most, 0, 3)
        ));
    let mut rates = line("many_throughput", "events/s by 1,000 handlers", rate);
    rates = rates.against("raw, 1,000 loops", &loops).note(
        "each of the loops has a consumer as each handler has; the server walks past what is for others",
    );
    rates = rates.of("1 handler", Bound::AtLeast(0.9));
    for which in [1, 2] {
        let ratio = of(which, rate).median() / of(0, rate).median();
        let what = format!("of 1 handler by {}", COUNTS[which]);
        rates = rates.demand(what, ratio, Bound::AtLeast(0.9));
    }
    Ok(vec![starts, takes, rates])
}

/// On a server of its own, so that nobody pays for consumers of others.
async fn one(count: usize, events: u64, by_loops: bool) -> Result<Said> {
    let ground = Ground::new().await?;
    // So the stream is made as the bus makes it.
    ground.bus.publish(&Numbered::<0>(Placed::new(0))).await?;
    ground.raw.get_stream(STREAM).await?.purge().await?;
    let (raw, subjects) = (&ground.raw, (0..count).map(numbered::subject).collect::<Vec<_>>());
    let acks = stream::iter(0..events).map(|number| {
        let subject = subjects[number as usize % count].clone();
        async move {
            let payload = Bytes::from(serde_json::to_vec(&Placed::new(number))?);
            let mut headers = raw::header_map();
            headers.insert("ce-type", subject.as_str());
            headers.insert("ce-subject", subject.as_str());
            anyhow::Ok(raw.publish_with_headers(subject, headers, payload).await?.await?)
        }
    });
    acks.buffered(WINDOW).try_for_each(|_| async { Ok(()) }).await?;
    match process(&ground.url, count, events, by_loops).await {
        Ok(said) => Ok(said),
        Err(error) => Err(error.context(left(&ground).await?)),
    }
}

/// What the server still has for those that did not finish.
async fn left(ground: &Ground) -> Result<String> {
    let stream = ground.raw.get_stream(STREAM).await?;
    let consumers: Vec<_> = stream.consumers().try_collect().await?;
    let undone = consumers.iter().filter(|one| one.num_pending > 0 || one.num_ack_pending > 0);
    let undone: Vec<_> = undone
        .map(|one| format!("{} {}+{}", one.name, one.num_pending, one.num_ack_pending))
        .collect();
    let (few, all, of) = (undone.iter().take(5), undone.len(), consumers.len());
    let few = few.cloned().collect::<Vec<_>>().join(", ");
    Ok(format!("{all} of {of} consumers have undone events (not delivered + not acked): {few}"))
}

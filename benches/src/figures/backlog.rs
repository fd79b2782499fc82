//! How much waits does not matter: memory while it is drained, and the time to the first event.

use anyhow::Result;

use crate::figure::{Bound, Figure};
use crate::ground::Ground;
use crate::rounds::{Effort, Samples};
use crate::worker::{Said, process};

const WAITING: [u64; 4] = [1, 10_000, 100_000, 1_000_000];

pub(crate) async fn measure(effort: Effort) -> Result<Vec<Figure>> {
    let rounds = if effort.quick { 1 } else { 3 };
    let (mut said, mut raw): ([Vec<Said>; 4], [Vec<Said>; 4]) = Default::default();
    for (which, events) in WAITING.into_iter().enumerate() {
        let ground = Ground::new().await?;
        ground.fill(events).await?;
        for _ in 0..rounds {
            said[which].push(process(&ground.url, 0, events, false).await?);
            ground.settled("worker_handle").await?;
            // Between them it would say no more.
            if [0, 3].contains(&which) {
                raw[which].push(process(&ground.url, 0, events, true).await?);
                ground.settled("worker_handle").await?;
            }
        }
    }
    let of =
        |which: usize, value: fn(&Said) -> f64| said[which].iter().map(value).collect::<Samples>();
    let points = |value: fn(&Said) -> f64| {
        (0..4).map(|which| (WAITING[which] as f64, of(which, value).median())).collect()
    };
    let peak: fn(&Said) -> f64 = |said| said.peak_kib / 1024.0;
    let first: fn(&Said) -> f64 = |said| said.first_ms;
    let takes = Figure::new("backlog_memory", "MiB at most, 1 M events waiting", &of(3, peak));
    let takes = takes.against("1 event waiting", &of(0, peak)).series(points(peak));
    let takes = takes.demand("MiB", of(3, peak).median(), Bound::AtMost(64.0));
    let starts = Figure::new("backlog_first", "ms to the first of 1 M events", &of(3, first));
    let starts = starts.against("1 event waiting", &of(0, first)).series(points(first));
    let starts = starts.against("raw, 1 M", &raw[3].iter().map(first).collect());
    let starts = starts.against("raw, 1 event", &raw[0].iter().map(first).collect());
    Ok(vec![takes, starts.of("1 event waiting", Bound::AtMost(2.0))])
}

//! One handler that only decodes, 64 at once.

use anyhow::Result;
use futures_util::FutureExt;

use crate::contestants::{apalis, ours, raw, ruststream};
use crate::figure::{Bound, Figure};
use crate::ground::Ground;
use crate::rounds::{Contestant, Effort, rounds};

const CONTESTANTS: &[Contestant] = &[
    ("ours", |ground, name, events| ours::consume(ground, name, events).boxed()),
    ("raw one by one", |ground, name, events| raw::one_by_one(ground, name, events).boxed()),
    ("raw spawned", |ground, name, events| raw::spawned(ground, name, events).boxed()),
    ("ruststream", |ground, name, events| ruststream::consume(ground, name, events).boxed()),
    ("apalis", |ground, name, events| apalis::consume(ground, name, events).boxed()),
    ("raw, no acks", |ground, name, events| raw::without_acks(ground, name, events).boxed()),
];

const NOTE: &str = "from the first to the last event handled; acks unconfirmed, and all arrived";

pub(crate) async fn measure(effort: Effort) -> Result<Vec<Figure>> {
    let ground = Ground::new().await?;
    ground.fill(effort.events).await?;
    let line = on(&ground, "consume", CONTESTANTS, effort).await?;
    let line = line.of("raw spawned", Bound::AtLeast(1.3));
    let line = line.of("raw one by one", Bound::AtLeast(0.9));
    let line = line.of("ruststream", Bound::AtLeast(1.0)).of("apalis", Bound::AtLeast(1.0));
    Ok(vec![line.note(format!("{NOTE}; without any it is what the client can bring at most"))])
}

/// By us and the loops alone, on these servers.
pub(crate) async fn beside_raw(
    ground: &Ground,
    figure: &'static str,
    effort: Effort,
) -> Result<Figure> {
    ground.fill(effort.events).await?;
    let line = on(ground, figure, &CONTESTANTS[..3], effort).await?;
    Ok(line.of("raw one by one", Bound::AtLeast(0.9)).note(NOTE))
}

async fn on(
    ground: &Ground,
    figure: &'static str,
    contestants: &[Contestant],
    effort: Effort,
) -> Result<Figure> {
    let samples = rounds(ground, effort, contestants).await?;
    Ok(Figure::beside(figure, "events/s", &samples))
}

//! `publish_all` into file storage, with all headers of an envelope.

use anyhow::Result;
use futures_util::FutureExt;

use crate::contestants::{ours, raw, ruststream};
use crate::figure::{Bound, Figure};
use crate::ground::Ground;
use crate::rounds::{Contestant, Effort, rounds};

const CONTESTANTS: &[Contestant] = &[
    ("ours", |ground, name, events| ours::publish(ground, name, events).boxed()),
    ("raw", |ground, name, events| raw::publish(ground, name, events).boxed()),
    ("ruststream", |ground, name, events| ruststream::publish(ground, name, events).boxed()),
];

pub(crate) async fn measure(effort: Effort) -> Result<Vec<Figure>> {
    let ground = Ground::new().await?;
    Ok(vec![on(&ground, "publish_all", 0.95, CONTESTANTS, effort).await?])
}

/// By us and the loop alone, on these servers.
pub(crate) async fn beside_raw(
    ground: &Ground,
    figure: &'static str,
    least: f64,
    effort: Effort,
) -> Result<Figure> {
    on(ground, figure, least, &CONTESTANTS[..2], effort).await
}

async fn on(
    ground: &Ground,
    figure: &'static str,
    least: f64,
    contestants: &[Contestant],
    effort: Effort,
) -> Result<Figure> {
    let samples = rounds(ground, effort, contestants).await?;
    let line = Figure::beside(figure, "events/s", &samples);
    let note = "4,096 in flight, file storage; the loops make an id and a time for each event too";
    Ok(line.of("raw", Bound::AtLeast(least)).note(note))
}

//! Contestants take turns, so that whatever the machine does meanwhile befalls all of them.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use futures_util::future::BoxFuture;

use crate::ground::Ground;

/// One run of a contestant: on this ground, under a name that nothing else has, with as many events.
pub(crate) type Run = for<'a> fn(&'a Ground, &'a str, u64) -> BoxFuture<'a, Result<f64>>;

/// Who runs, by name.
pub(crate) type Contestant = (&'static str, Run);

/// How much is done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Events in one run.
    pub(crate) events: u64,
    /// Runs of each contestant.
    pub(crate) rounds: usize,
    /// Whether somebody waits for it.
    pub(crate) quick: bool,
}

/// What was measured in the rounds of one contestant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Samples(Vec<f64>);

impl Samples {
    /// One more round.
    pub(crate) fn push(&mut self, value: f64) {
        self.0.push(value);
    }

    /// The value in the middle.
    pub(crate) fn median(&self) -> f64 {
        self.sorted().get(self.0.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// The least and the most.
    pub(crate) fn spread(&self) -> (f64, f64) {
        let sorted = self.sorted();
        let at = |value: Option<&f64>| value.copied().unwrap_or(f64::NAN);
        (at(sorted.first()), at(sorted.last()))
    }

    fn sorted(&self) -> Vec<f64> {
        let mut sorted = self.0.clone();
        sorted.sort_by(f64::total_cmp);
        sorted
    }
}

impl FromIterator<f64> for Samples {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self(values.into_iter().collect())
    }
}

/// Lets each run once in every round, another one first each time.
pub(crate) async fn rounds(
    ground: &Ground,
    effort: Effort,
    contestants: &[Contestant],
) -> Result<BTreeMap<&'static str, Samples>> {
    let mut samples = BTreeMap::<_, Samples>::new();
    for round in 0..effort.rounds {
        for turn in 0..contestants.len() {
            let (name, run) = contestants[(turn + round) % contestants.len()];
            let unique = format!("{}-{round}", name.replace([' ', ','], "-"));
            let value = run(ground, &unique, effort.events).await;
            samples.entry(name).or_default().push(value.with_context(|| name.to_owned())?);
        }
    }
    Ok(samples)
}

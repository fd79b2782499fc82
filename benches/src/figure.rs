//! One line of the table, and what it has to reach.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::rounds::Samples;

/// What was measured, beside whom, and whether that is enough.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Figure {
    /// Its name.
    pub(crate) figure: &'static str,
    /// Of `ours` and `against`.
    pub(crate) unit: &'static str,
    /// The median of our rounds.
    pub(crate) ours: f64,
    /// The medians of the others.
    pub(crate) against: BTreeMap<&'static str, f64>,
    /// Of the demand that is nearest to be missed, or missed by most.
    pub(crate) ratio: f64,
    /// All demands, in words.
    pub(crate) target: String,
    /// Whether all demands are met by the medians that are shown.
    pub(crate) met: bool,
    /// What is demanded, one by one.
    pub(crate) demands: Vec<Demand>,
    /// The least and the most of the rounds of each.
    pub(crate) spread: BTreeMap<&'static str, (f64, f64)>,
    /// What else is to be known.
    pub(crate) note: String,
    /// How it grows, for a plot.
    pub(crate) series: Vec<(f64, f64)>,
}

/// A bound of one value.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Demand {
    /// What is bounded.
    pub(crate) what: String,
    /// Its value.
    pub(crate) value: f64,
    /// At least, or at most.
    pub(crate) bound: Bound,
    /// Whether the value is within it.
    pub(crate) met: bool,
}

/// How a value is bounded.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bound {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

impl Demand {
    /// 1 where it is just met, less where it is missed.
    fn margin(&self) -> f64 {
        match self.bound {
            Bound::AtLeast(bound) => self.value / bound,
            Bound::AtMost(bound) => (bound + f64::EPSILON) / (self.value + f64::EPSILON),
        }
    }
}

impl Figure {
    /// What was measured of us.
    pub(crate) fn new(figure: &'static str, unit: &'static str, ours: &Samples) -> Self {
        Self {
            figure,
            unit,
            ours: ours.median(),
            against: BTreeMap::new(),
            ratio: f64::NAN,
            target: String::new(),
            met: true,
            demands: Vec::new(),
            spread: BTreeMap::from([("ours", ours.spread())]),
            note: String::new(),
            series: Vec::new(),
        }
    }

    /// What was measured of us and of all others, by name.
    pub(crate) fn beside(
        figure: &'static str,
        unit: &'static str,
        samples: &BTreeMap<&'static str, Samples>,
    ) -> Self {
        let others = samples.iter().filter(|(name, _)| **name != "ours");
        let ours = Self::new(figure, unit, &samples["ours"]);
        others.fold(ours, |line, (name, samples)| line.against(name, samples))
    }

    /// What was measured of another.
    pub(crate) fn against(mut self, name: &'static str, samples: &Samples) -> Self {
        self.against.insert(name, samples.median());
        self.spread.insert(name, samples.spread());
        self
    }

    /// Demands so much of another's median.
    pub(crate) fn of(self, name: &'static str, bound: Bound) -> Self {
        let other = self.against.get(name).copied().unwrap_or(f64::NAN);
        let ratio = self.ours / other;
        self.demand(format!("of {name}"), ratio, bound)
    }

    /// Demands something of a value.
    pub(crate) fn demand(mut self, what: impl Into<String>, value: f64, bound: Bound) -> Self {
        // What is not a number meets nothing.
        let met = match bound {
            Bound::AtLeast(bound) => value >= bound,
            Bound::AtMost(bound) => value <= bound,
        };
        self.demands.push(Demand { what: what.into(), value, bound, met });
        self.met = self.demands.iter().all(|demand| demand.met);
        let nearest = self.demands.iter().min_by(|a, b| a.margin().total_cmp(&b.margin()));
        self.ratio = nearest.map_or(f64::NAN, |demand| demand.value);
        self.target = self.demands.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
        self
    }

    /// How it grows.
    pub(crate) fn series(mut self, points: Vec<(f64, f64)>) -> Self {
        self.series = points;
        self
    }

    /// Says what else is to be known.
    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }
}

impl std::fmt::Display for Demand {
    /// `≥ 0.95 of raw`
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.bound {
            Bound::AtLeast(bound) => write!(f, "≥ {bound} {}", self.what),
            Bound::AtMost(bound) => write!(f, "≤ {bound} {}", self.what),
        }
    }
}

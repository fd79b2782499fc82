//! What a stop did with the work at hand.

use std::fmt;

/// What became of everything the service held when it was stopped; the three add up to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Report {
    /// Ran to an end and were answered.
    pub finished: u64,
    /// Were given back at once, without counting an attempt.
    pub handed_back: u64,
    /// Come again after their lease: their handler blocked its thread, or the answer was lost.
    pub abandoned: u64,
}

impl std::ops::AddAssign for Report {
    fn add_assign(&mut self, other: Self) {
        self.finished += other.finished;
        self.handed_back += other.handed_back;
        self.abandoned += other.abandoned;
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { finished, handed_back, abandoned } = self;
        write!(f, "{finished} finished, {handed_back} handed back, {abandoned} abandoned")
    }
}

//! How many faults a test made, and by which seed: said at its end, and written down for a sum
//! over all tests.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{env, hash};

use bus_nats::dev_server::target;

/// Sets the seed, so that a run can be repeated.
pub const SEED: &str = "BUS_FAULT_SEED";

/// Where each test writes its line, in the target folder.
pub const FILE: &str = "faults-injected.txt";

/// What a test does to others. Says it when it is dropped; clones count together.
#[derive(Clone, Debug)]
pub struct Injected(Arc<Account>);

#[derive(Debug)]
struct Account {
    test: String,
    seed: u64,
    faults: Mutex<BTreeMap<String, usize>>,
    not_tried: Mutex<Vec<String>>,
    random: Random,
}

impl Injected {
    /// For the test of this name; the seed is that of the environment, or any.
    pub fn begin(test: &str) -> Self {
        let seed = env::var(SEED).ok().and_then(|seed| seed.parse().ok());
        Self::seeded(test, seed.unwrap_or_else(any))
    }

    /// With this seed.
    pub fn seeded(test: &str, seed: u64) -> Self {
        let (faults, not_tried, random) = (Mutex::default(), Mutex::default(), Random::new(seed));
        Self(Arc::new(Account { test: test.to_owned(), seed, faults, not_tried, random }))
    }

    /// One fault was made.
    pub fn note(&self, fault: &str) {
        self.add(fault, 1);
    }

    /// So many faults were made.
    pub fn add(&self, fault: &str, count: usize) {
        if count > 0 {
            *lock(&self.0.faults).entry(fault.to_owned()).or_default() += count;
        }
    }

    /// A fault that can not be made here, and why.
    pub fn not_tried(&self, reason: &str) {
        lock(&self.0.not_tried).push(reason.to_owned());
    }

    /// The seed of all that is random.
    pub fn seed(&self) -> u64 {
        self.0.seed
    }

    /// The test's random numbers.
    pub fn random(&self) -> Random {
        self.0.random.clone()
    }
}

impl Account {
    fn line(&self) -> String {
        let faults = lock(&self.faults);
        let each: Vec<_> = faults.iter().map(|(fault, count)| format!("{fault} {count}")).collect();
        let mut line = format!("faults injected: {}", faults.values().sum::<usize>());
        if !each.is_empty() {
            let _ = write!(line, " ({})", each.join(", "));
        }
        let _ = write!(line, ", seed {}", self.seed);
        for reason in lock(&self.not_tried).iter() {
            let _ = write!(line, ", not tried: {reason}");
        }
        line
    }

    fn write(&self, line: &str) -> io::Result<()> {
        if cfg!(test) {
            // Those of this file make no faults.
            return Ok(());
        }
        let path = target().map_err(io::Error::other)?.join(FILE);
        let mut file = File::options().create(true).append(true).open(path)?;
        // In one piece: tests run side by side.
        file.write_all(format!("{}: {line}\n", self.test).as_bytes())
    }
}

impl Drop for Account {
    #[expect(clippy::print_stdout, reason = "what a test did belongs into its log")]
    fn drop(&mut self) {
        let line = self.line();
        println!("{line}");
        if let Err(error) = self.write(&line) {
            println!("this could not be written down: {error}");
        }
    }
}

/// Numbers that look random and are the same for the same seed. Clones draw from one row.
#[derive(Clone, Debug)]
pub struct Random(Arc<Mutex<u64>>);

impl Random {
    /// The row of this seed.
    pub fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(seed)))
    }

    /// SplitMix64.
    pub fn draw(&self) -> u64 {
        let mut state = lock(&self.0);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&self, end: u64) -> u64 {
        self.draw() % end
    }

    /// True with this probability.
    pub fn chance(&self, probability: f64) -> bool {
        self.fraction() < probability
    }

    /// Any time from nothing to `most`.
    pub fn time(&self, most: Duration) -> Duration {
        most.mul_f64(self.fraction())
    }

    fn fraction(&self) -> f64 {
        (self.draw() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// The keys of a hash map's hasher are random.
fn any() -> u64 {
    hash::BuildHasher::hash_one(&hash::RandomState::new(), 0) % 1_000_000
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_counts_each_fault_and_says_what_was_not_tried() {
        let injected = Injected::seeded("chaos::injected", 42);
        assert_eq!(injected.0.line(), "faults injected: 0, seed 42");
        let other = injected.clone();
        other.note("server killed");
        other.add("frame dropped", 2);
        other.add("nothing", 0);
        assert_eq!(
            injected.0.line(),
            "faults injected: 3 (frame dropped 2, server killed 1), seed 42"
        );
        lock(&injected.0.faults).clear();
        injected.not_tried("no root");
        assert_eq!(injected.0.line(), "faults injected: 0, seed 42, not tried: no root");
    }

    #[test]
    fn a_seed_gives_the_same_numbers_again() {
        let row = |seed| {
            let random = Random::new(seed);
            (0..100).map(|_| random.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(row(7), row(7));
        assert_ne!(row(7), row(8));
        assert!(row(7).iter().any(|n| *n < 200) && row(7).iter().any(|n| *n > 800));
        let random = Random::new(1);
        let hits = (0..10_000).filter(|_| random.chance(0.05)).count();
        assert!((400..600).contains(&hits), "{hits}");
    }
}

use std::collections::VecDeque;
use std::time::Duration;

use super::{Change, Circuit, Sign, State};
use crate::breaker::Breaker;
use crate::envelope::mix;

const MS: Duration = Duration::from_millis(1);

fn circuit(concurrency: usize) -> Circuit {
    Circuit::new(Breaker::new(), concurrency)
}

/// One run after the other, each of its own event.
fn runs(circuit: &mut Circuit, signs: impl IntoIterator<Item = Sign>) -> Vec<Change> {
    let runs = signs.into_iter().zip(0..).filter_map(|(sign, event)| {
        let era = circuit.begin();
        circuit.end(era, event, sign, MS * event as u32)
    });
    runs.collect()
}

fn times(sign: Sign, count: usize) -> impl Iterator<Item = Sign> {
    std::iter::repeat_n(sign, count)
}

fn opened(circuit: &mut Circuit) {
    let changes = runs(circuit, times(Sign::Fails, 20));
    assert!(matches!(changes[..], [Change::Opened { .. }]), "{changes:?}");
}

#[test]
fn it_opens_when_more_than_half_of_twenty_events_failed() {
    let mut outage = circuit(16);
    assert!(runs(&mut outage, times(Sign::Fails, 19)).is_empty() && outage.admits());
    let last = outage.end(0, 99, Sign::Fails, MS);
    let pause = Duration::from_secs(1);
    assert_eq!(last, Some(Change::Opened { pause, again: false, failed: 20, of: 20 }));
    assert!(!outage.admits());

    let half = || [Sign::Works, Sign::Fails].into_iter().cycle().take(1_000);
    assert!(runs(&mut circuit(16), half()).is_empty());
    let more = runs(&mut circuit(16), half().chain([Sign::Fails]));
    assert!(matches!(more[..], [Change::Opened { failed: 51, of: 100, .. }]), "{more:?}");
}

#[test]
fn an_event_counts_once_and_by_its_last_run() {
    let mut poison = circuit(16);
    for run in 0..1_000 {
        assert_eq!(poison.end(0, run % 19, Sign::Fails, MS), None);
    }
    let mut mended = circuit(16);
    for event in 0..19 {
        mended.end(0, event, Sign::Fails, MS);
        mended.end(0, event, Sign::Works, MS);
    }
    assert_eq!((mended.end(0, 20, Sign::Fails, MS), mended.window.counts()), (None, (1, 20)));
}

#[test]
fn old_failures_and_neutral_runs_say_nothing() {
    let mut old = circuit(16);
    assert!(runs(&mut old, times(Sign::Fails, 19)).is_empty());
    assert_eq!(old.end(0, 99, Sign::Fails, Duration::from_secs(601)), None);
    let neutral = times(Sign::Rejects, 100).chain(times(Sign::Nothing, 100));
    let mut business = circuit(16);
    assert!(runs(&mut business, neutral.chain(times(Sign::Fails, 19))).is_empty());
}

#[test]
fn three_failed_probes_of_different_events_open_it_again_for_twice_as_long() {
    let mut circuit = circuit(16);
    opened(&mut circuit);
    let mut pauses = Vec::new();
    for _ in 0..7 {
        circuit.half_open();
        for event in [1, 1, 2, 2] {
            let era = circuit.begin();
            assert!(!circuit.admits(), "one at a time");
            assert_eq!(circuit.end(era, event, Sign::Fails, MS), None);
        }
        let era = circuit.begin();
        let Some(Change::Opened { pause, again: true, .. }) = circuit.end(era, 3, Sign::Fails, MS)
        else {
            panic!("it is not open again")
        };
        pauses.push(pause.as_secs());
    }
    assert_eq!(pauses, [2, 4, 8, 16, 30, 30, 30]);
}

#[test]
fn a_success_ramps_up_by_healthy_rounds_and_then_closes() {
    let mut circuit = circuit(12);
    opened(&mut circuit);
    circuit.half_open();
    let mut at_once = Vec::new();
    let closed = loop {
        let eras: Vec<_> =
            std::iter::from_fn(|| circuit.admits().then(|| circuit.begin())).take(99).collect();
        at_once.push(eras.len());
        // One in four may be poison, and a verdict is as good as a success here.
        let signs = [Sign::Works, Sign::Rejects, Sign::Works, Sign::Fails].into_iter().cycle();
        let ends = eras.iter().zip(signs).zip(0..);
        let changes: Vec<_> = ends
            .filter_map(|((era, sign), event)| circuit.end(*era, event, sign, MS * 120))
            .collect();
        if let Some(Change::Closed { after, failed }) = changes.last() {
            break (*after, *failed);
        }
    };
    assert_eq!(at_once, [1, 2, 4, 8, 12]);
    assert_eq!(closed, (MS * 101, 26));
    assert!(circuit.is_closed() && circuit.admits());
    let forgotten = runs(&mut circuit, times(Sign::Fails, 19)).is_empty();
    assert!(forgotten, "what failed before it opened counts no more");
}

#[test]
fn a_round_in_which_most_fail_opens_it_again() {
    let mut circuit = circuit(16);
    opened(&mut circuit);
    circuit.half_open();
    let changes = runs(&mut circuit, [Sign::Works, Sign::Fails, Sign::Fails]);
    let again = Change::Opened { pause: Duration::from_secs(2), again: false, failed: 20, of: 20 };
    assert_eq!(changes, [Change::Ramps, again]);
}

#[test]
fn runs_that_began_before_it_opened_say_nothing_afterwards() {
    let mut circuit = circuit(16);
    let before = circuit.begin();
    opened(&mut circuit);
    circuit.half_open();
    let probe = circuit.begin();
    assert_eq!(circuit.end(before, 1, Sign::Works, MS), None);
    assert!(!circuit.admits(), "the probe still runs");
    assert_eq!(circuit.end(probe, 2, Sign::Nothing, MS), None);
    assert!(circuit.wants_a_probe(), "that said nothing");
}

/// A handler whose runs take turns by a seed, and that fails in an outage.
struct World {
    circuit: Circuit,
    seed: u64,
    running: VecDeque<(u64, u64)>,
    events: u64,
    failures: usize,
}

impl World {
    fn draw(&mut self, below: u64) -> u64 {
        self.seed = mix(self.seed.wrapping_add(1));
        self.seed % below
    }

    fn allowed(&self) -> usize {
        match self.circuit.state {
            State::Closed => self.circuit.concurrency,
            State::Open => 0,
            State::HalfOpen(_) => 1,
            State::Ramping { limit, .. } => limit,
        }
    }

    /// As many runs of this era begin as may, and one ends.
    fn step(&mut self, outage: bool, now: Duration) {
        self.circuit.half_open();
        let ours = |running: &VecDeque<(u64, u64)>, era| {
            running.iter().filter(|(other, _)| *other == era).count()
        };
        while self.circuit.admits() && self.running.len() < self.circuit.concurrency {
            let era = self.circuit.begin();
            self.events += 1;
            self.running.push_back((era, self.events));
            assert!(ours(&self.running, self.circuit.era) <= self.allowed());
        }
        let at = self.draw(self.running.len().max(1) as u64) as usize;
        let Some((era, event)) = self.running.remove(at) else { return };
        let sign = match (outage, self.draw(20)) {
            (_, 0) => Sign::Nothing,
            (_, 1) => Sign::Rejects,
            (true, _) | (false, 2) => Sign::Fails,
            (false, _) => Sign::Works,
        };
        self.failures += usize::from(sign == Sign::Fails);
        self.circuit.end(era, event, sign, now);
    }
}

#[test]
fn whatever_happens_it_allows_no_more_than_it_says_opens_soon_and_recovers() {
    for seed in 0..2_000 {
        let concurrency = 1 + mix(seed) as usize % 40;
        let mut world = World {
            circuit: circuit(concurrency),
            seed,
            running: VecDeque::new(),
            events: 0,
            failures: 0,
        };
        let healthy = world.draw(200);
        (0..healthy).for_each(|step| world.step(false, MS * step as u32));
        assert!(world.circuit.is_closed(), "seed {seed}: one in twenty failed, and it opened");
        world.failures = 0;
        while world.circuit.is_closed() {
            world.step(true, MS * 200);
            assert!(world.failures <= 20.max(healthy.min(50) as usize + 1), "seed {seed}");
        }
        let outage = world.draw(500);
        (0..outage).for_each(|_| world.step(true, MS * 200));
        let mut steps = 0;
        while !world.circuit.is_closed() {
            world.step(false, MS * 400);
            steps += 1;
            assert!(steps < 2_000, "seed {seed}: it does not recover");
        }
    }
}

//! The retry policy: pure, bounded, and spread by its jitter.

use std::time::Duration;

use bus_core::prelude::*;
use bus_core::retry::draw;
use proptest::prelude::*;

#[test]
fn the_default_is_five_attempts_up_to_five_minutes() {
    let delays: Vec<_> = (1..=5).map(|n| Retry::DEFAULT.decide(Verdict::Retry, n, 1.0)).collect();
    let again = |seconds| Decision::Again { after: Duration::from_secs(seconds) };
    assert_eq!(delays, [again(1), again(4), again(16), again(64), Decision::GiveUp]);
    assert_eq!(Retry::DEFAULT.attempts(9).bound(7), Duration::from_secs(300));
    assert_eq!(Retry::default(), Retry::DEFAULT);
}

#[test]
fn fixed_is_to_the_point_and_never_is_never() {
    let fixed = Retry::fixed(MINUTE).attempts(3);
    assert_eq!(fixed.decide(Verdict::Retry, 2, 0.0), Decision::Again { after: MINUTE });
    assert_eq!(fixed.decide(Verdict::Retry, 3, 0.0), Decision::GiveUp);
    assert_eq!(Retry::never().decide(Verdict::Retry, 1, 0.5), Decision::GiveUp);
    assert_eq!(fixed.attempts(0).max_attempts(), 1);
}

#[test]
fn fast_and_then_slow_is_one_policy() {
    let policy = Retry::exponential(SECOND, MINUTE).attempts(3).then(MINUTE, HOUR, 4);
    let bounds: Vec<u64> = (1..=7).map(|attempt| policy.bound(attempt).as_secs()).collect();
    assert_eq!(bounds, [1, 4, 60, 240, 960, 3600, 3600]);
    assert_eq!(policy.max_attempts(), 7);
    assert!(matches!(policy.decide(Verdict::Retry, 6, 0.5), Decision::Again { .. }));
    assert_eq!(policy.decide(Verdict::Retry, 7, 0.5), Decision::GiveUp);
    assert_eq!(policy.then(MINUTE, HOUR, 0), Retry::exponential(SECOND, MINUTE).attempts(3));
}

#[test]
fn the_error_can_say_when_but_not_how_often() {
    let after = Duration::from_secs(90);
    let decide = |attempt| Retry::DEFAULT.decide(Verdict::RetryAfter(after), attempt, 0.1);
    assert_eq!((decide(1), decide(5)), (Decision::Again { after }, Decision::GiveUp));
    assert_eq!(Retry::DEFAULT.decide(Verdict::Reject, 1, 0.1), Decision::Reject);
}

#[test]
fn the_jitter_spreads_what_failed_together() {
    let mut buckets = [0u32; 10];
    for _ in 0..10_000 {
        let draw = draw(&EventId::now(), 1);
        assert!((0.0..1.0).contains(&draw));
        buckets[(draw * 10.0) as usize] += 1;
    }
    assert!(buckets.iter().all(|count| (850..1150).contains(count)), "{buckets:?}");
    let id = EventId::now();
    assert_eq!(draw(&id, 1), draw(&id, 1));
    assert_ne!(draw(&id, 1), draw(&id, 2));
}

fn durations() -> impl Strategy<Value = Duration> {
    (0..=u64::MAX / 2, 0..1_000_000_000u32).prop_map(|(secs, nanos)| Duration::new(secs, nanos))
}

proptest! {
    #[test]
    fn a_decision_is_bounded_and_never_panics(
        first in durations(), ceiling in durations(), factor in any::<u32>(),
        attempts in any::<u32>(), attempt in any::<u32>(), draw in any::<f64>(),
    ) {
        let retry = Retry::exponential(first, ceiling).factor(factor).attempts(attempts);
        match retry.decide(Verdict::Retry, attempt, draw) {
            Decision::Again { after } => {
                prop_assert!(attempt < retry.max_attempts());
                // One rounding of an f64 is allowed.
                prop_assert!(after.as_secs_f64() <= ceiling.as_secs_f64() * (1.0 + f64::EPSILON));
            }
            Decision::GiveUp => prop_assert!(attempt >= retry.max_attempts()),
            Decision::Reject => prop_assert!(false, "nothing rejected it"),
        }
    }

    #[test]
    fn bounds_grow_up_to_the_ceiling(first in 1..10_000u64, factor in 1..10u32, attempt in 1..60u32) {
        let ceiling = MINUTE;
        let retry = Retry::exponential(Duration::from_millis(first), ceiling).factor(factor);
        prop_assert!(retry.bound(attempt) <= retry.bound(attempt + 1));
        prop_assert!(retry.bound(attempt) <= ceiling);
        prop_assert_eq!(retry.bound(1), Duration::from_millis(first).min(ceiling));
    }
}

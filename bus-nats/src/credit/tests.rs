use super::*;

const LEASE: Duration = Duration::from_secs(30);

/// So many arrive, and are done.
fn settle(credit: &mut Credit, count: usize) {
    for _ in 0..count {
        credit.hold();
        credit.settled();
    }
}

#[test]
fn a_handler_at_rest_is_given_what_it_can_run() {
    let mut credit = Credit::new(16, LEASE, Instant::now());
    assert_eq!((credit.ask(false), credit.ask(false)), (Some(16), None));
    for _ in 0..16 {
        credit.arrived();
        credit.hold();
    }
    assert_eq!(credit.ask(false), None);
    assert!(credit.settled(), "one place is free, and nothing is on its way");
    assert_eq!((credit.ask(false), credit.is_asking()), (Some(1), true));
    assert!(!credit.settled(), "one is on its way, and one more is not worth it");
}

#[test]
fn the_credit_follows_the_pace_between_two_limits() {
    let now = Instant::now();
    let mut credit = Credit::new(16, LEASE, now);
    let mut drain = |count: usize, look: u32| {
        settle(&mut credit, count);
        credit.look(now + LOOK * look);
        credit.limit
    };
    assert_eq!(drain(50, 1), 500, "what is drained in a second");
    assert_eq!(drain(100_000, 2), MOST);
    assert!(drain(0, 3) < 1 << 30);
    assert_eq!((4..40).map(|look| drain(0, look)).last(), Some(16));
    assert!(credit.rests());
}

#[test]
fn a_credit_that_is_drained_at_once_grows_and_does_not_wait_for_a_look() {
    let now = Instant::now();
    let mut credit = Credit::new(16, LEASE, now);
    let mut drain = |count: usize, micros: u64| {
        settle(&mut credit, count);
        credit.look(now + Duration::from_micros(micros));
        credit.limit
    };
    assert_eq!(drain(15, 100), 16, "not all of it");
    assert_eq!((drain(1, 200), drain(64, 300)), (64, 256));
    assert_eq!(drain(120, 100_400), 1_992, "200 in 100.4 ms, at a look");
    assert_eq!((drain(1_992, 120_000), drain(4_096, 130_000)), (MOST, MOST));
}

#[test]
fn a_lease_too_short_for_more_is_not_filled_though_all_is_drained() {
    let now = Instant::now();
    let mut credit = Credit::new(4, Duration::from_secs(1), now);
    for _ in 0..4 {
        credit.settled();
    }
    credit.look(now + Duration::from_millis(80));
    assert_eq!(credit.limit, 5, "a tenth of a second, at 50 in a second");
}

#[test]
fn runs_that_end_together_are_not_taken_for_a_faster_pace() {
    let now = Instant::now();
    let mut credit = Credit::new(4, LEASE, now);
    for look in 1..100 {
        // Four at once, each for two looks.
        settle(&mut credit, (look % 2) as usize * 4);
        credit.look(now + LOOK * look);
        assert!(look < 10 || (18..=24).contains(&credit.limit), "{}", credit.limit);
    }
}

#[test]
fn a_short_lease_is_not_filled_with_what_waits() {
    let now = Instant::now();
    let mut credit = Credit::new(1, Duration::from_secs(1), now);
    assert_eq!((0..100).filter(|_| credit.settled()).count(), 1);
    credit.look(now + LOOK);
    assert_eq!(credit.limit, 100, "a tenth of a second");
}

#[test]
fn an_idle_handler_is_given_one_more_than_it_says_that_it_can_run() {
    let mut credit = Credit::new(1, LEASE, Instant::now());
    assert_eq!(credit.ask(true), Some(1));
    credit.arrived();
    credit.hold();
    assert_eq!((credit.ask(false), credit.idle()), (None, true));
    assert_eq!((credit.ask(true), credit.idle(), credit.ask(true)), (Some(1), false, None));
}

#[test]
fn what_does_not_come_is_asked_for_again() {
    let mut credit = Credit::new(8, LEASE, Instant::now());
    assert_eq!(credit.ask(false), Some(8));
    credit.give_up(5);
    assert_eq!(credit.ask(false), Some(5));
    credit.give_up(usize::MAX);
    assert_eq!(credit.ask(false), Some(8));
}

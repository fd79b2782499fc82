use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::task::noop_waker;

use super::Gate;
use crate::breaker::{Breaker, Change, Sign};

fn admits(gate: &Gate) -> Poll<Option<Change>> {
    gate.poll_admit(&mut Context::from_waker(&noop_waker()))
}

#[test]
fn a_run_that_tells_nothing_gives_its_place_back() {
    let gate = Gate::new(Breaker::new().minimum(1), 4);
    assert_eq!(admits(&gate), Poll::Ready(None));
    gate.pass(gate.begin()).end(1, Sign::Fails, None);
    let (pause, again) = (Duration::from_secs(1), false);
    let opened = Change::Opened { pause, again, failed: 1, of: 1 };
    assert_eq!(admits(&gate), Poll::Ready(Some(opened)));
    assert_eq!(admits(&gate), Poll::Pending, "a change is told once");
    gate.half_open();
    assert_eq!(admits(&gate), Poll::Ready(None));
    let era = gate.begin();
    assert_eq!(admits(&gate), Poll::Pending, "one probe at a time");
    drop(gate.pass(era));
    assert!(gate.wants_a_probe() && admits(&gate) == Poll::Ready(None));
    gate.pass(gate.begin()).end(2, Sign::Works, None);
    assert_eq!(admits(&gate), Poll::Ready(Some(Change::Ramps)));
}

#[test]
fn one_that_is_off_asks_nobody_and_remembers_nothing() {
    let gate = Gate::new(Breaker::off().minimum(1), 4);
    for event in 0..100 {
        gate.pass(gate.begin()).end(event, Sign::Fails, None);
    }
    assert!(admits(&gate) == Poll::Ready(None) && gate.is_calm() && gate.last().is_empty());
}

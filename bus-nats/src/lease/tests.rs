//! What is held, without a server and without a clock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, SystemTime};

use async_nats::Subject;
use bus_core::delivery::History;
use bus_core::settle::SettleError;
use bytes::Bytes;
use tokio::time::Instant;

use super::{Arrival, Kind, Leases, Order, Original};
use crate::headers::Flat;
use crate::runs::{Origin, Runs};

mod again;

const LEASE: Duration = Duration::from_secs(3);
const TIMEOUT: Duration = Duration::from_secs(10);

struct Bench {
    leases: Leases,
    begun: Instant,
}

impl Bench {
    fn new() -> Self {
        let begun = Instant::now();
        Self { leases: Leases::new(8, LEASE, TIMEOUT, begun), begun }
    }

    fn after(&self, millis: u64) -> Instant {
        self.begun + Duration::from_millis(millis)
    }

    /// The `delivered`-th delivery of an event.
    fn arrive(&mut self, sequence: u64, delivered: u32, millis: u64) -> Option<u64> {
        let now = self.after(millis);
        self.leases.arrive(arrival(sequence, delivered), now)
    }

    /// The tokens of what is yielded.
    fn yielded(&mut self) -> Vec<u64> {
        self.yielded_at(0)
    }

    fn yielded_at(&mut self, millis: u64) -> Vec<u64> {
        let (mut taken, now) = (VecDeque::new(), self.after(millis));
        self.leases.next(&mut taken, Waker::noop(), now);
        taken.into_iter().map(|yielded| yielded.token).collect()
    }

    fn orders(&mut self) -> Vec<Order> {
        let mut orders = Vec::new();
        self.leases.take_orders(&mut orders, &mut Vec::new());
        orders
    }

    fn renew(&mut self, millis: u64) -> (usize, Vec<Order>) {
        let now = self.after(millis);
        (self.leases.renew(now, true), self.orders())
    }
}

fn origin(sequence: u64) -> Origin {
    Origin { stream: Arc::from("ORDERS"), sequence, stored: SystemTime::UNIX_EPOCH, redrives: 0 }
}

fn reply(sequence: u64, delivered: u32) -> Subject {
    Subject::from(format!("{sequence}.{delivered}"))
}

fn arrival(sequence: u64, delivered: u32) -> Arrival {
    let original = Original {
        origin: origin(sequence),
        subject: Subject::from("orders.placed"),
        headers: Flat::default(),
        payload: Bytes::new(),
    };
    Arrival {
        kind: Kind::Events,
        sequence,
        asked: true,
        reply: reply(sequence, delivered),
        original: Arc::new(original),
        history: History::default(),
        letter: None,
        again: delivered > 1,
        deliveries: delivered.into(),
        since: SystemTime::UNIX_EPOCH,
    }
}

#[test]
fn what_waits_is_renewed_after_a_third_of_its_lease_and_then_again() {
    let mut bench = Bench::new();
    bench.arrive(1, 1, 0);
    let progress = vec![Order::Progress(reply(1, 1))];
    assert_eq!(bench.renew(999), (0, vec![]));
    assert_eq!(bench.renew(1_000), (0, progress.clone()));
    assert_eq!(bench.renew(1_900), (0, vec![]));
    assert_eq!(bench.renew(2_000), (0, progress.clone()));
    // For as long as it waits, and not just for as long as a run may take.
    assert_eq!(bench.renew(1_000_000), (0, progress));
}

#[test]
fn a_run_is_renewed_up_to_its_time_out_then_noted_and_then_given_away() {
    let mut bench = Bench::new();
    bench.arrive(1, 1, 0);
    let token = bench.yielded()[0];
    let now = bench.after(0);
    assert_eq!(bench.leases.begin(token, now), Ok(None));
    for at in [2_900, 5_800, 8_700, 9_900] {
        assert_eq!(bench.renew(at), (0, vec![Order::Progress(reply(1, 1))]));
    }
    assert_eq!(bench.renew(10_200), (0, vec![]), "its own answer is due");
    let noted = Order::Note(origin(1), Runs::new(1, None));
    assert_eq!(bench.renew(10_300), (1, vec![noted]));
    assert_eq!(bench.renew(12_800), (0, vec![]));
    assert!(!bench.leases.is_empty(), "up to the end of its lease an answer counts");
    assert_eq!(bench.renew(12_900), (0, vec![]));
    assert_eq!(bench.leases.ack(token).err(), Some(SettleError::Expired));
}

#[test]
fn what_comes_again_while_it_is_held_stays_where_it_is() {
    let mut bench = Bench::new();
    bench.arrive(1, 1, 0);
    let token = bench.yielded()[0];
    assert_eq!(bench.arrive(1, 2, 3_100), None);
    assert!(bench.yielded().is_empty(), "no second run");
    bench.leases.ack(token).unwrap();
    assert_eq!(bench.orders(), [Order::Ack(Kind::Events, reply(1, 2))], "the newest is answered");
}

#[test]
fn what_comes_again_after_its_run_took_too_long_is_run_again() {
    let mut bench = Bench::new();
    bench.arrive(1, 1, 0);
    let late = bench.yielded()[0];
    let now = bench.after(0);
    bench.leases.begin(late, now).unwrap();
    bench.renew(10_300);
    let again = bench.arrive(1, 2, 12_000).unwrap();
    assert_eq!(bench.leases.ack(late).err(), Some(SettleError::Expired));
    bench.leases.looked_up(again, Some((Runs::new(1, None), 5)));
    assert_eq!(bench.yielded(), [again]);
    bench.orders();
    bench.leases.ack(again).unwrap();
    assert_eq!(bench.orders(), [Order::Ack(Kind::Events, reply(1, 2)), Order::Forget(5)]);
}

#[test]
fn only_what_came_before_is_noted_before_it_runs() {
    let mut bench = Bench::new();
    bench.arrive(1, 1, 0);
    let again = bench.arrive(2, 2, 0).unwrap();
    bench.leases.looked_up(again, Some((Runs::new(3, None), 5)));
    let (tokens, now) = (bench.yielded(), bench.after(0));
    assert_eq!(bench.leases.begin(tokens[0], now), Ok(None));
    let runs = Some(Runs::new(4, None));
    let noted = Some(super::Before { origin: origin(2), runs, letter: None });
    assert_eq!(bench.leases.begin(tokens[1], now), Ok(noted));
}

#[test]
fn a_run_that_nobody_answers_counts_and_one_that_never_began_does_not() {
    let mut bench = Bench::new();
    for sequence in [1, 2] {
        bench.arrive(sequence, 1, 0);
    }
    let (tokens, now) = (bench.yielded(), bench.after(0));
    bench.leases.begin(tokens[0], now).unwrap();
    bench.leases.abandon(tokens[0]);
    bench.leases.abandon(tokens[1]);
    assert_eq!(bench.orders(), [Order::Note(origin(1), Runs::new(1, None))]);
    assert!(bench.leases.is_empty());
}

#[test]
fn a_release_undoes_what_was_noted_of_its_run() {
    let mut bench = Bench::new();
    bench.arrive(1, 1, 0);
    let again = bench.arrive(2, 2, 0).unwrap();
    bench.leases.looked_up(again, Some((Runs::new(3, None), 5)));
    let (tokens, now) = (bench.yielded(), bench.after(0));
    for token in &tokens {
        bench.leases.begin(*token, now).unwrap();
    }
    assert_eq!(bench.leases.release(tokens[0], now), Ok(None));
    assert_eq!(bench.orders(), [Order::Release(reply(1, 1))]);
    let undo = Some((origin(2), Runs::new(3, None)));
    assert_eq!(bench.leases.release(tokens[1], now), Ok(undo));
    assert!(bench.orders().is_empty(), "not before that is done");
}

#[test]
fn a_stop_hands_back_what_nobody_has_seen_and_what_comes_later() {
    let mut bench = Bench::new();
    for sequence in 1..=3 {
        bench.arrive(sequence, 1, 0);
    }
    let looked_up = bench.arrive(4, 2, 0).unwrap();
    assert_eq!(bench.leases.stop(), 3);
    bench.arrive(5, 1, 0);
    bench.leases.looked_up(looked_up, None);
    let released: Vec<_> = [1, 2, 3].map(|sequence| Order::Release(reply(sequence, 1))).into();
    let later = [Order::Release(reply(5, 1)), Order::Release(reply(4, 2))];
    assert_eq!(bench.orders(), [released, later.into()].concat());
    assert!(bench.leases.is_empty() && bench.yielded().is_empty());
}

#[test]
fn an_answer_under_way_is_renewed_and_holds_up_a_flush() {
    let mut bench = Bench::new();
    bench.arrive(1, 1, 0);
    let token = bench.yielded()[0];
    assert!(bench.leases.is_answered());
    let now = bench.after(0);
    bench.leases.claim(token, now).unwrap();
    assert!(!bench.leases.is_answered());
    assert_eq!(bench.renew(60_000), (0, vec![Order::Progress(reply(1, 1))]));
    assert_eq!(bench.leases.settle(token, true, now), Ok(reply(1, 1)));
    assert!(bench.leases.is_answered() && bench.leases.is_empty());
}

#[test]
fn the_keeper_is_called_once_for_many_answers() {
    let mut bench = Bench::new();
    for sequence in 1..=3 {
        bench.arrive(sequence, 1, 0);
    }
    assert!(bench.leases.calls().keeper, "there is something to renew");
    bench.orders();
    assert!(!bench.leases.rests() && !bench.leases.calls().keeper);
    for token in bench.yielded() {
        bench.leases.ack(token).unwrap();
    }
    assert!(bench.leases.calls().keeper && !bench.leases.calls().keeper);
    assert_eq!(bench.orders().len(), 3);
}

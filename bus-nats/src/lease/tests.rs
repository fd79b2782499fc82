//! What a member holds, step by step.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bus_core::delivery::History;
use bus_core::settle::SettleError;
use bytes::Bytes;
use tokio::time::Instant;

use super::{Arrival, Kind, Leases, Order, Original};
use crate::runs::Origin;

const LEASE: Duration = Duration::from_secs(30);

fn leases() -> Leases {
    Leases::new(1, LEASE, LEASE, Instant::now())
}

/// The delivery of an event, by its sequence.
fn arrival(sequence: u64, delivered: u64, stored: u64) -> Arrival {
    let stored = SystemTime::UNIX_EPOCH + Duration::from_secs(stored);
    let origin = Origin { stream: "ORDERS".into(), sequence, stored, redrives: 0 };
    let (subject, payload) = ("orders.placed".into(), Bytes::new());
    let original = Arc::new(Original { origin, subject, headers: None, payload });
    let reply = format!("$JS.ACK.{delivered}").into();
    let (kind, again) = (Kind::Events, delivered > 1);
    Arrival { kind, sequence, asked: true, reply, original, history: History::default(), again }
}

fn orders(leases: &mut Leases) -> Vec<Order> {
    let mut orders = Vec::new();
    leases.take_orders(&mut orders);
    orders
}

#[test]
fn what_comes_again_stays_with_its_run_however_often_the_server_says_that_it_came() {
    let (mut leases, now) = (leases(), Instant::now());
    for delivered in [1, 2, 1] {
        assert_eq!(leases.arrive(arrival(7, delivered, 0), now), None);
        assert_eq!((leases.held.len(), leases.ready.len()), (1, 1));
    }
}

#[test]
fn what_comes_again_to_a_member_that_stops_stays_with_its_run() {
    let (mut leases, now) = (leases(), Instant::now());
    leases.arrive(arrival(7, 1, 0), now);
    leases.ready.clear();
    leases.begin(0, now).unwrap();
    leases.stop();
    leases.arrive(arrival(7, 2, 0), now);
    assert_eq!(orders(&mut leases), [], "nobody else is given it");
    leases.ack(0).unwrap();
    assert_eq!(orders(&mut leases), [Order::Ack(Kind::Events, "$JS.ACK.2".into())]);
}

#[test]
fn another_event_of_the_same_sequence_takes_the_place_of_the_first() {
    let (mut leases, now) = (leases(), Instant::now());
    leases.arrive(arrival(7, 1, 0), now);
    leases.arrive(arrival(7, 1, 1), now);
    assert_eq!(leases.ack(0).err(), Some(SettleError::Expired));
    assert!(leases.ack(1).is_ok() && leases.held.is_empty() && leases.places.is_empty());
}

#[test]
fn what_is_held_of_a_consumer_that_is_gone_can_not_be_answered() {
    let (mut leases, now) = (leases(), Instant::now());
    leases.arrive(arrival(7, 1, 0), now);
    leases.arrive(Arrival { kind: Kind::Copies, ..arrival(7, 1, 0) }, now);
    leases.lose(Kind::Events);
    assert_eq!((leases.ready.len(), leases.held.len(), leases.places.len()), (1, 1, 1));
    assert_eq!(leases.claim(0).err(), Some(SettleError::Expired));
    assert_eq!(orders(&mut leases), []);
}

#[test]
fn a_run_whose_answer_failed_is_noted() {
    let (mut leases, now) = (leases(), Instant::now());
    leases.arrive(arrival(7, 1, 0), now);
    leases.begin(0, now).unwrap();
    leases.claim(0).unwrap();
    leases.abandon(0);
    assert!(matches!(orders(&mut leases)[..], [Order::Note(..)]));
}

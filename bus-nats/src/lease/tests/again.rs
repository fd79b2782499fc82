//! What comes again, and what is gone.

use bus_core::envelope::TraceParent;

use super::*;

#[test]
fn what_comes_again_stays_with_its_run_however_often_the_server_says_that_it_came() {
    let mut bench = Bench::new();
    for delivered in [1, 2, 1] {
        assert_eq!(bench.arrive(7, delivered, 0), None);
        assert_eq!((bench.leases.held.len(), bench.leases.ready.len()), (1, 1));
    }
}

#[test]
fn what_comes_again_to_a_member_that_stops_stays_with_its_run() {
    let mut bench = Bench::new();
    bench.arrive(7, 1, 0);
    let (token, now) = (bench.yielded()[0], bench.after(0));
    bench.leases.begin(token, now).unwrap();
    bench.leases.stop();
    bench.arrive(7, 2, 0);
    assert!(bench.orders().is_empty(), "nobody else is given it");
    bench.leases.ack(token).unwrap();
    assert_eq!(bench.orders(), [Order::Ack(Kind::Events, reply(7, 2))]);
}

#[test]
fn another_event_of_the_same_sequence_takes_the_place_of_the_first() {
    let mut bench = Bench::new();
    bench.arrive(7, 1, 0);
    let old = bench.yielded()[0];
    let mut other = arrival(7, 1);
    let origin = Origin { stored: SystemTime::UNIX_EPOCH + LEASE, ..origin(7) };
    let (subject, payload) = (Subject::from("orders.placed"), Bytes::new());
    other.original = Arc::new(Original { origin, subject, headers: Flat::default(), payload });
    let now = bench.after(0);
    bench.leases.arrive(other, now);
    assert_eq!(bench.leases.ack(old).err(), Some(SettleError::Expired));
    let token = bench.yielded()[0];
    assert!(bench.leases.ack(token).is_ok());
    assert!(bench.leases.held.is_empty() && bench.leases.places.is_empty());
}

#[test]
fn what_is_held_of_a_consumer_that_is_gone_can_not_be_answered() {
    let mut bench = Bench::new();
    bench.arrive(7, 1, 0);
    let (copy, now) = (Arrival { kind: Kind::Copies, ..arrival(7, 1) }, bench.after(0));
    bench.leases.arrive(copy, now);
    bench.leases.lose(Kind::Events);
    let Leases { ready, held, places, .. } = &bench.leases;
    assert_eq!((ready.len(), held.len(), places.len()), (1, 1, 1));
    assert_eq!(bench.leases.claim(0, now).err(), Some(SettleError::Expired));
    assert!(bench.orders().is_empty());
}

#[test]
fn a_run_whose_answer_failed_is_noted() {
    let mut bench = Bench::new();
    bench.arrive(7, 1, 0);
    let (token, now) = (bench.yielded()[0], bench.after(0));
    bench.leases.begin(token, now).unwrap();
    bench.leases.claim(token, now).unwrap();
    bench.leases.abandon(token);
    assert_eq!(bench.orders(), [Order::Note(origin(7), Runs::new(1, None))]);
}

#[test]
fn what_could_not_be_renewed_is_somebody_elses_and_only_an_ack_can_not_harm_them() {
    let mut bench = Bench::new();
    for sequence in 1..=3 {
        bench.arrive(sequence, 1, 0);
    }
    let (tokens, late) = (bench.yielded(), bench.after(3_000));
    assert_eq!(bench.leases.renew(late, false), 0);
    assert!(bench.orders().is_empty(), "it would only lie about");
    assert_eq!(bench.leases.claim(tokens[0], late).err(), Some(SettleError::Expired));
    assert_eq!(bench.leases.release(tokens[1], late).err(), Some(SettleError::Expired));
    assert!(bench.leases.ack(tokens[2]).is_ok());
    assert_eq!(bench.orders(), [Order::Ack(Kind::Events, reply(3, 1))]);
    assert!(bench.leases.is_empty(), "nobody will answer again");
    assert!(bench.arrive(1, 2, 3_100).is_some(), "given to us once more, it is ours once more");
}

#[test]
fn a_run_that_did_not_begin_is_no_attempt() {
    let mut bench = Bench::new();
    let (copy, now) = (Arrival { letter: Some(5), ..arrival(7, 1) }, bench.after(0));
    bench.leases.arrive(copy, now);
    let token = bench.yielded()[0];
    assert!(bench.leases.begin(token, now).unwrap().is_some(), "a mark is to be put first");
    // However long that takes: no run is overdue that has not begun.
    assert_eq!(bench.renew(2_000_000).0, 0);
    bench.orders();
    bench.leases.abandon(token);
    assert!(bench.orders().is_empty());
}

#[test]
fn signs_of_life_of_what_could_not_be_renewed_are_no_flood() {
    let mut bench = Bench::new();
    bench.arrive(1, 1, 0);
    let sent: usize = (0..30).map(|tenth| bench.renew(5_000 + tenth * 100).1.len()).sum();
    assert!((3..=4).contains(&sent), "{sent} in one lease");
}

#[test]
fn what_waited_beyond_its_lease_is_not_begun_until_it_comes_again() {
    let mut bench = Bench::new();
    bench.arrive(1, 1, 0);
    bench.arrive(2, 1, 2_500);
    assert_eq!(bench.yielded_at(3_000), [1], "the first may be somebody else's");
    assert!(bench.orders().is_empty(), "there is nobody to tell");
    let again = bench.arrive(1, 2, 3_100).unwrap();
    bench.leases.looked_up(again, None);
    assert_eq!(bench.yielded_at(3_100), [again]);
}

#[test]
fn a_lease_that_was_over_is_not_had_again_by_a_late_sign_of_life() {
    let mut bench = Bench::new();
    bench.arrive(1, 1, 0);
    let token = bench.yielded()[0];
    let now = bench.after(0);
    assert_eq!(bench.leases.begin(token, now), Ok(None));
    assert_eq!(bench.renew(9_000), (0, vec![Order::Progress(reply(1, 1))]));
    let now = bench.after(9_010);
    assert_eq!(bench.leases.claim(token, now).err(), Some(SettleError::Expired));
}

#[test]
fn a_run_that_is_handed_back_or_lost_keeps_the_span_before() {
    let (mut bench, span) = (Bench::new(), TraceParent::new(7, 7, 1));
    let found = Runs::new(3, None).previous(span);
    let token = bench.arrive(1, 2, 0).unwrap();
    bench.leases.looked_up(token, Some((found, 5)));
    let (_, now) = (bench.yielded(), bench.after(0));
    let noted = bench.leases.begin(token, now).unwrap().unwrap().runs;
    assert_eq!(noted, Some(Runs::new(4, None).previous(span)));
    assert_eq!(bench.leases.release(token, now), Ok(Some((origin(1), found))));
}

#[test]
fn what_was_to_wait_could_come_since_it_was_due() {
    let (mut bench, due) = (Bench::new(), SystemTime::UNIX_EPOCH + LEASE);
    for (sequence, noted) in [(1, None), (2, Some(due))] {
        let token = bench.arrive(sequence, 2, 0).unwrap();
        bench.leases.looked_up(token, Some((Runs::new(1, None).due(noted), 5)));
    }
    let (mut taken, now) = (VecDeque::new(), bench.after(0));
    bench.leases.next(&mut taken, Waker::noop(), now);
    let since: Vec<_> = taken.iter().filter_map(|yielded| yielded.place().since).collect();
    assert_eq!(since, [SystemTime::UNIX_EPOCH, due]);
}

//! One member of a group in a case, and what arrives there.

use std::fmt::Display;
use std::future::poll_fn;
use std::panic::Location;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::settings::Settings;
use crate::delivery::Delivery;
use crate::transport::Deliveries;

/// Tokio's timers round up to a millisecond, and so may a broker's.
const ROUNDING: Duration = Duration::from_millis(2);

/// One member of a group.
pub(super) struct Member {
    deliveries: Box<dyn Deliveries>,
    deadline: Duration,
    slack: Duration,
}

impl Member {
    pub(super) fn new(deliveries: Box<dyn Deliveries>, settings: &Settings) -> Self {
        Self { deliveries, deadline: settings.deadline, slack: settings.slack + ROUNDING }
    }

    /// The next delivery, whatever it is.
    #[track_caller]
    pub(super) fn next(&mut self) -> impl Future<Output = Delivery> {
        self.arrival(self.deadline, Location::caller())
    }

    /// The next delivery, which has to be of this event.
    #[track_caller]
    pub(super) fn receives(&mut self, expected: &str) -> impl Future<Output = Delivery> {
        let at = Location::caller();
        async move {
            let delivery = self.arrival(self.deadline, at).await;
            if text(&delivery) != expected {
                fail(at, &format!("`{}` arrived instead of `{expected}`", text(&delivery)));
            }
            delivery
        }
    }

    /// The same, and its run begins.
    #[track_caller]
    pub(super) fn runs(&mut self, expected: &str) -> impl Future<Output = Delivery> {
        let (at, received) = (Location::caller(), self.receives(expected));
        async move {
            let delivery = received.await;
            delivery.begin().await.unwrap_or_else(|error| fail(at, &error));
            delivery
        }
    }

    /// The next delivery, which has to come `after` since `since`: not before, and not much later.
    #[track_caller]
    pub(super) fn due(
        &mut self,
        since: Instant,
        after: Duration,
        expected: &str,
    ) -> impl Future<Output = Delivery> {
        self.due_between(since, after, after, expected)
    }

    /// The next delivery, which has to come between two times since `since`.
    #[track_caller]
    pub(super) fn due_between(
        &mut self,
        since: Instant,
        first: Duration,
        last: Duration,
        expected: &str,
    ) -> impl Future<Output = Delivery> {
        let (at, slack) = (Location::caller(), self.slack);
        async move {
            let delivery = self.arrival(last + self.deadline, at).await;
            let took = since.elapsed();
            if text(&delivery) != expected || took < first || took > last + slack {
                let (arrived, took) = (text(&delivery), spoken(took));
                let expected = due(arrived, expected, first, last);
                fail(at, &format!("`{arrived}` came after {took}, expected {expected}"));
            }
            delivery
        }
    }

    /// This many deliveries, in the order of their arrival.
    #[track_caller]
    pub(super) fn take(&mut self, count: usize) -> impl Future<Output = Vec<Delivery>> {
        let at = Location::caller();
        async move {
            let mut taken = Vec::with_capacity(count);
            while taken.len() < count {
                taken.push(self.arrival(self.deadline, at).await);
            }
            taken
        }
    }

    /// Nothing arrives for this long.
    #[track_caller]
    pub(super) fn hears_nothing_for(&mut self, time: Duration) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            match timeout(time, poll_fn(|cx| self.deliveries.poll_next(cx))).await {
                Err(_) => {}
                Ok(None) => fail(at, &"the subscription ended"),
                Ok(Some(delivery)) => {
                    fail(at, &format!("`{}` arrived, and nothing should", text(&delivery)));
                }
            }
        }
    }

    /// After its stop a member may end or stay silent.
    #[track_caller]
    pub(super) fn yields_no_more_for(&mut self, time: Duration) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            let next = timeout(time, poll_fn(|cx| self.deliveries.poll_next(cx))).await;
            if let Ok(Some(delivery)) = next {
                fail(at, &format!("`{}` arrived after the stop", text(&delivery)));
            }
        }
    }

    /// Looks once whether something is there.
    pub(super) async fn glance(&mut self) -> Option<Delivery> {
        let looked = poll_fn(|cx| Poll::Ready(self.deliveries.poll_next(cx))).await;
        if let Poll::Ready(delivery) = looked { delivery } else { None }
    }

    pub(super) fn stop(&mut self) -> u64 {
        self.deliveries.stop()
    }

    #[track_caller]
    pub(super) fn flush(&mut self) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            match timeout(self.deadline, poll_fn(|cx| self.deliveries.poll_flush(cx))).await {
                Ok(flushed) => flushed.unwrap_or_else(|error| fail(at, &error)),
                Err(_) => fail(at, &"the flush does not end"),
            }
        }
    }

    async fn arrival(&mut self, within: Duration, at: &Location<'_>) -> Delivery {
        match timeout(within, poll_fn(|cx| self.deliveries.poll_next(cx))).await {
            Ok(Some(delivery)) => delivery,
            Ok(None) => fail(at, &"the subscription ended"),
            Err(_) => fail(at, &format!("nothing arrived within {}", spoken(within))),
        }
    }
}

/// This many deliveries by two members together, as they come.
#[track_caller]
pub(super) fn gather(
    one: &mut Member,
    other: &mut Member,
    count: usize,
) -> impl Future<Output = (Vec<Delivery>, Vec<Delivery>)> {
    let at = Location::caller();
    async move {
        let (mut ones, mut others) = (Vec::new(), Vec::new());
        while ones.len() + others.len() < count {
            // Turns, so that neither is always asked first.
            let (first, second, from_first, from_second) = if ones.len() <= others.len() {
                (&mut *one, &mut *other, &mut ones, &mut others)
            } else {
                (&mut *other, &mut *one, &mut others, &mut ones)
            };
            tokio::select! {
                biased;
                delivery = first.arrival(first.deadline, at) => from_first.push(delivery),
                delivery = second.arrival(second.deadline, at) => from_second.push(delivery),
            }
        }
        (ones, others)
    }
}

/// What was expected instead: the event where it is another one, and its time.
fn due(arrived: &str, expected: &str, first: Duration, last: Duration) -> String {
    let event = if arrived == expected { String::new() } else { format!("`{expected}` ") };
    if first == last {
        return format!("{event}after {}", spoken(first));
    }
    format!("{event}between {} and {}", spoken(first), spoken(last))
}

/// A time with a space before its unit.
fn spoken(time: Duration) -> String {
    let text = format!("{time:?}");
    let unit = text.trim_start_matches(|part: char| part.is_ascii_digit() || part == '.');
    format!("{} {unit}", text.trim_end_matches(unit))
}

/// The payload of a delivery in a case.
pub(super) fn text(delivery: &Delivery) -> &str {
    std::str::from_utf8(&delivery.envelope().payload).unwrap_or("bytes")
}

/// Payloads in the order of their arrival.
pub(super) fn texts(deliveries: &[Delivery]) -> Vec<&str> {
    deliveries.iter().map(text).collect()
}

/// Fails the case, and names the line of the case rather than of the bench.
#[expect(clippy::panic, reason = "a case has no other way to fail")]
pub(super) fn fail(at: &Location<'_>, why: &dyn Display) -> ! {
    panic!("{at}: {why}")
}

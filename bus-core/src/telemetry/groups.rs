//! The numbers that are read when somebody asks: of each group, and of the connection.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};
use tokio::sync::watch;

use super::names::{attribute as a, metric as m};
use crate::operator::Lag;
use crate::transport::{Group, Health, Meters};

/// What is shown of one group, for as long as somebody holds it.
pub(crate) struct Watched {
    attributes: Vec<KeyValue>,
    meters: Arc<Meters>,
    /// Runs that began, less those that ended.
    active: Box<dyn Fn() -> u64 + Send + Sync>,
    /// Closed 0, half-open 1, open 2.
    breaker: AtomicU64,
    lag: Mutex<Option<Lag>>,
}

/// The groups of one bus.
#[derive(Default)]
pub(super) struct Groups(Mutex<Vec<Weak<Watched>>>);

/// One number of a group, where it is known.
type Number = fn(&Watched) -> Option<u64>;

/// Of two replicas in one process: what each has adds up, what the broker says is the same.
type Both = fn(u64, u64) -> u64;

impl Watched {
    pub(crate) fn new(
        group: &Group,
        template: &'static str,
        active: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Arc<Self> {
        let name = Arc::<str>::from(group.name.as_str());
        Arc::new(Self {
            attributes: vec![KeyValue::new(a::GROUP, name), KeyValue::new(a::TEMPLATE, template)],
            meters: Arc::clone(&group.meters),
            active: Box::new(active),
            breaker: AtomicU64::new(0),
            lag: Mutex::default(),
        })
    }

    /// What the broker said last; `None` if it does not say.
    pub(crate) fn set_lag(&self, lag: Option<Lag>) {
        *lock(&self.lag) = lag;
    }

    /// Its circuit breaker is closed.
    pub(crate) fn closed(&self) {
        self.breaker.store(0, Ordering::Relaxed);
    }

    /// Its circuit breaker is half-open.
    pub(crate) fn probes(&self) {
        self.breaker.store(1, Ordering::Relaxed);
    }

    /// Its circuit breaker is open.
    pub(crate) fn opened(&self) {
        self.breaker.store(2, Ordering::Relaxed);
    }

    fn lag(&self, number: impl Fn(Lag) -> u64) -> Option<u64> {
        lock(&self.lag).map(number)
    }
}

/// Name, unit, what it is, of replicas, of one.
const GAUGES: [(&str, &str, &str, Both, Number); 10] = [
    (m::LAG, "{message}", "All that a group has not done: scale by it", u64::max, |group| {
        group.lag(|lag| lag.behind())
    }),
    (m::PENDING, "{message}", "Events that no worker has seen", u64::max, |group| {
        group.lag(|lag| lag.waiting)
    }),
    (m::ACK_PENDING, "{message}", "Deliveries that are not settled", u64::max, |group| {
        group.lag(|lag| lag.in_flight)
    }),
    (m::DELAYED, "{message}", "Events that wait for their next attempt", u64::max, |group| {
        group.lag(|lag| lag.delayed)
    }),
    (m::REDELIVERED, "{message}", "Of all these, delivered before", u64::max, |group| {
        group.lag(|lag| lag.redelivered)
    }),
    (m::OLDEST, "s", "The age of the oldest event that is not done", u64::max, |group| {
        lock(&group.lag).and_then(|lag| lag.oldest).map(|age| age.as_secs())
    }),
    (m::ACTIVE, "{message}", "Runs under way", u64::saturating_add, |group| Some((group.active)())),
    (m::BREAKER, "1", "Circuit breaker: 0 closed, 1 half-open, 2 open", u64::max, |group| {
        Some(group.breaker.load(Ordering::Relaxed))
    }),
    (m::CREDIT, "{message}", "Deliveries that it wants to hold", u64::saturating_add, |group| {
        group.meters.read().map(|[credit, ..]| credit)
    }),
    (m::HELD, "{message}", "Deliveries that it holds", u64::saturating_add, |group| {
        group.meters.read().map(|[_, held, _]| held)
    }),
];

/// Name, what it is, of one.
const COUNTERS: [(&str, &str, Number); 2] = [
    (m::RENEWALS, "Leases that were renewed", |group| {
        group.meters.read().map(|[.., renewals]| renewals)
    }),
    (m::UNREADABLE, "Events that could not be read, and gave up", |group| {
        Some(group.meters.read_unreadable())
    }),
];

fn show_connection(meter: &Meter, health: &Arc<watch::Receiver<Health>>, common: &[KeyValue]) {
    let (health, common) = (Arc::downgrade(health), common.to_vec());
    let up = move |told: &dyn AsyncInstrument<u64>| {
        let Some(health) = health.upgrade() else { return };
        told.observe(u64::from(*health.borrow() == Health::Ready), &common);
    };
    let gauge = meter.u64_observable_gauge(m::UP).with_unit("1");
    let gauge = gauge.with_description("Whether the transport can do its work");
    let _gauge = gauge.with_callback(up).build();
}

impl Groups {
    pub(super) fn add(&self, group: &Arc<Watched>) {
        let mut groups = lock(&self.0);
        groups.retain(|group| group.strong_count() > 0);
        groups.push(Arc::downgrade(group));
    }

    /// Says whether anybody will ask. The connection is shown for as long as the bus holds `health`.
    pub(super) fn show(
        self: &Arc<Self>,
        meter: &Meter,
        health: &Arc<watch::Receiver<Health>>,
        common: &[KeyValue],
    ) -> bool {
        // A stand-in for an SDK drops what it will never ask. So the groups are held by us alone.
        for (name, unit, what, both, number) in GAUGES {
            let groups = Arc::clone(self);
            let observe = move |told: &dyn AsyncInstrument<u64>| groups.each(told, both, number);
            let gauge = meter.u64_observable_gauge(name).with_unit(unit).with_description(what);
            let _gauge = gauge.with_callback(observe).build();
        }
        for (name, what, number) in COUNTERS {
            let groups = Arc::clone(self);
            let observe = move |told: &dyn AsyncInstrument<u64>| {
                groups.each(told, u64::saturating_add, number);
            };
            let counter = meter.u64_observable_counter(name).with_unit("{message}");
            let _counter = counter.with_description(what).with_callback(observe).build();
        }
        show_connection(meter, health, common);
        // Under a name of its own, for whoever has a view that leaves out all of ours.
        let (asked, groups) = (meter.u64_observable_gauge(m::ASKED), Arc::clone(self));
        let _gauge = asked.with_callback(move |_| drop(Arc::clone(&groups))).build();
        Arc::strong_count(self) > 1
    }

    fn each(&self, told: &dyn AsyncInstrument<u64>, both: Both, number: Number) {
        // Not under the lock: what is told may do as it likes.
        let groups: Vec<_> = lock(&self.0).iter().filter_map(Weak::upgrade).collect();
        let mut sums: Vec<(&[KeyValue], u64)> = Vec::with_capacity(groups.len());
        for group in &groups {
            let Some(number) = number(group) else { continue };
            match sums.iter_mut().find(|(attributes, _)| *attributes == group.attributes) {
                Some((_, sum)) => *sum = both(*sum, number),
                None => sums.push((&group.attributes, number)),
            }
        }
        sums.into_iter().for_each(|(attributes, sum)| told.observe(sum, attributes));
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subject::Subject;
    use crate::transport::GroupName;

    #[test]
    fn groups_that_are_gone_take_no_room() {
        let groups = Groups::default();
        let name = GroupName::new("billing", "charge").unwrap();
        let group = Group::new(name, (&Subject::literal("orders.placed")).into());
        for _ in 0..100 {
            groups.add(&Watched::new(&group, "orders.placed", || 0));
        }
        assert_eq!(lock(&groups.0).len(), 1);
    }
}

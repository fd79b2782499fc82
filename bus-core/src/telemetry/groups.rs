//! The numbers that are read when somebody asks: of each group, and of the connection.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{AsyncInstrument, Meter};

use super::names::{attribute as a, metric as m};
use crate::operator::Lag;
use crate::transport::{Group, Health, Meters, Transport};

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

    /// Of its circuit breaker.
    pub(crate) fn breaker(&self, opened: bool) {
        self.breaker.store(if opened { 2 } else { 0 }, Ordering::Relaxed);
    }

    /// Its circuit breaker is half-open.
    pub(crate) fn probes(&self) {
        self.breaker.store(1, Ordering::Relaxed);
    }

    fn lag(&self, number: impl Fn(Lag) -> u64) -> Option<u64> {
        lock(&self.lag).map(number)
    }
}

/// Name, unit, what it is.
const GAUGES: [(&str, &str, &str, Number); 10] = [
    (m::LAG, "{message}", "All that a group has not done: scale by it", |group| {
        group.lag(|lag| lag.behind())
    }),
    (m::PENDING, "{message}", "Events that no worker has seen", |group| {
        group.lag(|lag| lag.waiting)
    }),
    (m::ACK_PENDING, "{message}", "Deliveries that are not settled", |group| {
        group.lag(|lag| lag.in_flight)
    }),
    (m::DELAYED, "{message}", "Events that wait for their next attempt", |group| {
        group.lag(|lag| lag.delayed)
    }),
    (m::REDELIVERED, "{message}", "Of all these, delivered before", |group| {
        group.lag(|lag| lag.redelivered)
    }),
    (m::OLDEST, "s", "The age of the oldest event that is not done", |group| {
        lock(&group.lag).and_then(|lag| lag.oldest).map(|age| age.as_secs())
    }),
    (m::ACTIVE, "{message}", "Runs under way", |group| Some((group.active)())),
    (m::BREAKER, "1", "Circuit breaker: 0 closed, 1 half-open, 2 open", |group| {
        Some(group.breaker.load(Ordering::Relaxed))
    }),
    (m::CREDIT, "{message}", "Deliveries that it wants to hold", |group| {
        group.meters.read().map(|[credit, ..]| credit)
    }),
    (m::HELD, "{message}", "Deliveries that it holds", |group| {
        group.meters.read().map(|[_, held, _]| held)
    }),
];

impl Groups {
    pub(super) fn add(&self, group: &Arc<Watched>) {
        let mut groups = lock(&self.0);
        groups.retain(|group| group.strong_count() > 0);
        groups.push(Arc::downgrade(group));
    }

    /// Says whether anybody will ask.
    pub(super) fn show(
        self: &Arc<Self>,
        meter: &Meter,
        transport: &Arc<dyn Transport>,
        common: &[KeyValue],
    ) -> bool {
        // A stand-in for an SDK drops what it will never ask. So the groups are held by us alone.
        for (name, unit, what, number) in GAUGES {
            let groups = Arc::clone(self);
            let observe = move |told: &dyn AsyncInstrument<u64>| groups.each(told, number);
            let gauge = meter.u64_observable_gauge(name).with_unit(unit).with_description(what);
            let _gauge = gauge.with_callback(observe).build();
        }
        let groups = Arc::clone(self);
        let renewals = move |told: &dyn AsyncInstrument<u64>| {
            groups.each(told, |group| group.meters.read().map(|[.., renewals]| renewals));
        };
        let counter = meter.u64_observable_counter(m::RENEWALS).with_unit("{message}");
        let counter = counter.with_description("Leases that were renewed");
        let _counter = counter.with_callback(renewals).build();
        let (health, common) = (transport.health(), common.to_vec());
        let up = move |told: &dyn AsyncInstrument<u64>| {
            told.observe(u64::from(*health.borrow() == Health::Ready), &common);
        };
        let gauge = meter.u64_observable_gauge(m::UP).with_unit("1");
        let gauge = gauge.with_description("Whether the transport can do its work");
        let _gauge = gauge.with_callback(up).build();
        Arc::strong_count(self) > 1
    }

    fn each(&self, told: &dyn AsyncInstrument<u64>, number: Number) {
        for group in lock(&self.0).iter().filter_map(Weak::upgrade) {
            if let Some(number) = number(&group) {
                told.observe(number, &group.attributes);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

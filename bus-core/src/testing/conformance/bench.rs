//! What a case is given: a transport, a second connection, time, and events to publish.

use std::panic::Location;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::member::{Member, fail};
use super::settings::Settings;
use crate::envelope::{Envelope, EventId};
use crate::operator::{DeadLetter, Lag, Operator};
use crate::subject::{Filter, Subject};
use crate::transport::{Deliveries, Group, GroupName, Transport, TransportError};

/// What a case is given. It has a domain of its own, so that cases may share a broker.
pub struct Bench {
    pub(super) transport: Arc<dyn Transport>,
    pub(super) elsewhere: Arc<dyn Transport>,
    pub(super) settings: Settings,
    started: Instant,
}

impl Bench {
    /// A bench for one case.
    pub fn new(transport: Arc<dyn Transport>, settings: Settings) -> Self {
        let elsewhere = Arc::clone(&transport);
        Self { transport, elsewhere, settings, started: Instant::now() }
    }

    /// Takes a second, independent connection to the same broker, as another process would have.
    /// Without one the first is used twice.
    pub fn elsewhere(mut self, transport: Arc<dyn Transport>) -> Self {
        self.elsewhere = transport;
        self
    }

    pub(super) fn subject(&self, rest: &str) -> Subject {
        match Subject::parse(format!("{}.{rest}", self.settings.domain)) {
            Ok(subject) => subject,
            Err(error) => fail(Location::caller(), &error),
        }
    }

    pub(super) fn filter(&self, rest: &str) -> Filter {
        match Filter::parse(format!("{}.{rest}", self.settings.domain)) {
            Ok(filter) => filter,
            Err(error) => fail(Location::caller(), &error),
        }
    }

    /// An event on the subject that groups of the bench receive.
    pub(super) fn event(&self, text: &str) -> Envelope {
        self.event_on(self.subject("placed"), text)
    }

    pub(super) fn event_on(&self, subject: Subject, text: &str) -> Envelope {
        let mut envelope = Envelope::new(EventId::now(), "placed", subject, text.to_owned());
        envelope.source = Arc::from("conformance");
        envelope.time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_225_600_123);
        envelope
    }

    /// Publishes an event whose payload is this text.
    #[track_caller]
    pub(super) fn publish(&self, text: &str) -> impl Future<Output = ()> + Send + use<> {
        self.send(self.event(text))
    }

    #[track_caller]
    pub(super) fn send(&self, envelope: Envelope) -> impl Future<Output = ()> + Send + use<> {
        let (at, published) = (Location::caller(), self.transport.publish(envelope));
        async move { published.await.unwrap_or_else(|error| fail(at, &error)) }
    }

    /// Publishes an event that comes after this time.
    #[track_caller]
    pub(super) fn send_after(
        &self,
        envelope: Envelope,
        delay: Duration,
    ) -> impl Future<Output = ()> + Send + use<> {
        let due = self.now() + delay;
        let (at, stored) = (Location::caller(), self.transport.publish_at(envelope, due));
        async move { stored.await.unwrap_or_else(|error| fail(at, &error)) }
    }

    pub(super) fn group_name(&self, handler: &str) -> GroupName {
        let name = GroupName::new(&self.settings.domain, handler);
        name.unwrap_or_else(|error| fail(Location::caller(), &error))
    }

    /// A group of the bench with a lease that no case waits for.
    pub(super) fn group(&self, handler: &str) -> Group {
        Group::new(self.group_name(handler), Filter::from(&self.subject("placed")))
    }

    /// A group of the bench whose lease is short.
    pub(super) fn leased(&self, handler: &str) -> Group {
        Group { lease: self.settings.lease, ..self.group(handler) }
    }

    #[track_caller]
    pub(super) fn join(&self, handler: &str) -> impl Future<Output = Member> {
        self.subscribe(self.group(handler))
    }

    #[track_caller]
    pub(super) fn subscribe(&self, group: Group) -> impl Future<Output = Member> {
        let at = Location::caller();
        async move { self.member(self.transport.subscribe(group).await, at) }
    }

    /// A member in another process.
    #[track_caller]
    pub(super) fn subscribe_elsewhere(&self, group: Group) -> impl Future<Output = Member> {
        let at = Location::caller();
        async move { self.member(self.elsewhere.subscribe(group).await, at) }
    }

    fn member(
        &self,
        joined: Result<Box<dyn Deliveries>, TransportError>,
        at: &'static Location<'static>,
    ) -> Member {
        Member::new(joined.unwrap_or_else(|error| fail(at, &error)), &self.settings)
    }

    /// What the broker's clock shows.
    pub(super) fn now(&self) -> SystemTime {
        self.settings.epoch + self.started.elapsed()
    }

    /// Lets time pass, where that is what the case is about.
    pub(super) async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }

    /// The transport's operator; `None` where the settings say that there is none.
    pub(super) fn operator(&self) -> Option<&dyn Operator> {
        let operator = self.transport.operator();
        assert_eq!(operator.is_some(), self.settings.operator, "the settings say the opposite");
        operator
    }

    /// Whether the settings say that nothing can wait; then the transport has to say so, too.
    pub(super) async fn delays_nothing(&self) -> bool {
        if self.settings.delayed {
            return false;
        }
        let event = self.event("refused");
        let cancelled = self.transport.cancel(event.subject.domain(), &event.id).await;
        let stored = self.transport.publish_at(event, self.now() + Duration::from_secs(1)).await;
        let (stored, cancelled) = (stored.err(), cancelled.err());
        for refused in [&stored, &cancelled] {
            let unsupported = matches!(refused, Some(TransportError::Unsupported { .. }));
            assert!(unsupported, "the settings say that it can not, and it says {refused:?}");
        }
        true
    }

    /// Whether there was something to cancel, by another connection than the publisher's.
    #[track_caller]
    pub(super) fn cancel(&self, id: &EventId) -> impl Future<Output = bool> + Send + use<> {
        let (at, cancelled) =
            (Location::caller(), self.elsewhere.cancel(&self.settings.domain, id));
        async move { cancelled.await.unwrap_or_else(|error| fail(at, &error)) }
    }

    /// How far a group is behind; nothing where there is no operator.
    #[track_caller]
    pub(super) fn lag(&self, handler: &str) -> impl Future<Output = Lag> {
        let (at, group) = (Location::caller(), self.group_name(handler));
        async move {
            let Some(operator) = self.operator() else { return Lag::default() };
            operator.lag(&group).await.unwrap_or_else(|error| fail(at, &error))
        }
    }

    /// Waits until the lag is as described: an answer may be on its way.
    #[track_caller]
    pub(super) fn lag_becomes(
        &self,
        handler: &str,
        described: impl Fn(Lag) -> bool,
    ) -> impl Future<Output = Lag> {
        let (at, end) = (Location::caller(), Instant::now() + self.settings.deadline);
        async move {
            loop {
                let lag = self.lag(handler).await;
                if described(lag) || !self.settings.operator {
                    return lag;
                }
                if Instant::now() > end {
                    fail(at, &format!("the lag of `{handler}` stays {lag:?}"));
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    }

    /// Waits until nothing of a group is left to be done.
    #[track_caller]
    pub(super) fn all_done(&self, handler: &str) -> impl Future<Output = Lag> {
        self.lag_becomes(handler, |lag| behind(lag) == 0)
    }

    /// The dead letters of a group.
    #[track_caller]
    pub(super) fn dead_letters(&self, handler: &str) -> impl Future<Output = Vec<DeadLetter>> {
        let (at, group) = (Location::caller(), self.group_name(handler));
        async move {
            let Some(operator) = self.operator() else { return Vec::new() };
            let letters = operator.dead_letters(Some(&group), usize::MAX).await;
            letters.unwrap_or_else(|error| fail(at, &error))
        }
    }

    /// Sends the only dead letter of a group back.
    #[track_caller]
    pub(super) fn redrive_only(&self, handler: &str) -> impl Future<Output = ()> {
        let at = Location::caller();
        async move {
            let Some(operator) = self.operator() else { return };
            let letters = self.dead_letters(handler).await;
            let [letter] = letters.as_slice() else {
                fail(at, &format!("`{handler}` has not one dead letter but {letters:?}"));
            };
            operator.redrive(&letter.id, None).await.unwrap_or_else(|error| fail(at, &error));
        }
    }
}

/// All that is not done.
pub(super) fn behind(lag: Lag) -> u64 {
    lag.waiting + lag.in_flight + lag.delayed
}

//! Every name that leaves the process, so that a change of the conventions is a change here.
//!
//! Those under `messaging.` and `cloudevents.` are OpenTelemetry's (v1.44); those under `bus.` are
//! ours, and low in cardinality wherever a metric has them.

/// The instrumentation scope.
pub(super) const SCOPE: &str = "bus-core";

pub(super) mod attribute {
    pub(crate) const SYSTEM: &str = "messaging.system";
    pub(crate) const OPERATION: &str = "messaging.operation.name";
    pub(crate) const OPERATION_TYPE: &str = "messaging.operation.type";
    pub(crate) const DESTINATION: &str = "messaging.destination.name";
    pub(crate) const TEMPLATE: &str = "messaging.destination.template";
    pub(crate) const MESSAGE_ID: &str = "messaging.message.id";
    pub(crate) const CONVERSATION_ID: &str = "messaging.message.conversation_id";
    pub(crate) const GROUP: &str = "messaging.consumer.group.name";
    pub(crate) const ADDRESS: &str = "server.address";
    pub(crate) const PORT: &str = "server.port";
    pub(crate) const ERROR_TYPE: &str = "error.type";
    pub(crate) const EVENT_SOURCE: &str = "cloudevents.event_source";
    pub(crate) const EVENT_TYPE: &str = "cloudevents.event_type";
    pub(crate) const HANDLER: &str = "bus.handler";
    pub(crate) const ATTEMPT: &str = "bus.attempt";
    pub(crate) const MAX_ATTEMPTS: &str = "bus.max_attempts";
    pub(crate) const WAIT: &str = "bus.message.wait";
    pub(crate) const OUTCOME: &str = "bus.outcome";
    pub(crate) const REDELIVERED: &str = "bus.redelivered";
    pub(crate) const REDRIVES: &str = "bus.redrive.count";
    pub(crate) const RETRY_DELAY: &str = "bus.retry.delay";
    pub(crate) const PUBLISH_DELAY: &str = "bus.publish.delay";
    pub(crate) const REASON: &str = "bus.dead_letter.reason";
    pub(crate) const LETTER: &str = "bus.dead_letter.id";
    pub(crate) const LINK: &str = "bus.link";
}

/// Of `bus.link`.
pub(super) mod link {
    pub(crate) const CREATION: &str = "creation";
    pub(crate) const PREVIOUS: &str = "previous_attempt";
    pub(crate) const ORIGIN: &str = "origin";
    pub(crate) const DEAD_LETTER: &str = "dead_letter";
}

pub(super) mod operation {
    pub(crate) const PUBLISH: &str = "publish";
    pub(crate) const PROCESS: &str = "process";
    pub(crate) const ACK: &str = "ack";
    pub(crate) const RELEASE: &str = "release";
    pub(crate) const RETRY: &str = "retry";
    pub(crate) const DEAD_LETTER: &str = "dead_letter";
    pub(crate) const REDRIVE: &str = "redrive";
}

/// Of `messaging.operation.type`.
pub(super) mod kind {
    pub(crate) const SEND: &str = "send";
    pub(crate) const PROCESS: &str = "process";
    pub(crate) const SETTLE: &str = "settle";
}

pub(super) mod event {
    pub(crate) const RETRY: &str = "bus.retry.scheduled";
    pub(crate) const PANIC: &str = "bus.handler.panicked";
    pub(crate) const DECODE: &str = "bus.decode.failed";
}

pub(super) mod metric {
    pub(crate) const OPERATION: &str = "messaging.client.operation.duration";
    pub(crate) const SENT: &str = "messaging.client.sent.messages";
    pub(crate) const CONSUMED: &str = "messaging.client.consumed.messages";
    pub(crate) const PROCESS: &str = "messaging.process.duration";
    pub(crate) const WAIT: &str = "bus.message.wait";
    pub(crate) const OUTCOMES: &str = "bus.process.outcomes";
    pub(crate) const ACTIVE: &str = "bus.process.active";
    pub(crate) const DEAD_LETTERS: &str = "bus.dead_letters";
    pub(crate) const ATTEMPTS: &str = "bus.attempts";
    pub(crate) const SKEW: &str = "bus.clock_skew";
    pub(crate) const LAG: &str = "bus.consumer.lag";
    pub(crate) const PENDING: &str = "bus.consumer.pending";
    pub(crate) const ACK_PENDING: &str = "bus.consumer.ack_pending";
    pub(crate) const DELAYED: &str = "bus.consumer.delayed";
    pub(crate) const REDELIVERED: &str = "bus.consumer.redelivered";
    pub(crate) const OLDEST: &str = "bus.consumer.oldest_age";
    pub(crate) const BREAKER: &str = "bus.breaker.state";
    pub(crate) const CREDIT: &str = "bus.lease.credit";
    pub(crate) const HELD: &str = "bus.lease.held";
    pub(crate) const RENEWALS: &str = "bus.lease.renewals";
    pub(crate) const UNREADABLE: &str = "bus.dead_letters.unreadable";
    /// Is never told.
    pub(crate) const ASKED: &str = "bus_core_is_asked";
    pub(crate) const UP: &str = "bus.connection.up";
}

/// Seconds, as the conventions for messaging have them.
pub(super) const SECONDS: [f64; 14] =
    [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0];

/// Seconds that an event waits: from a millisecond to a day.
pub(super) const WAITS: [f64; 15] = [
    0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0, 86_400.0,
];

/// Attempts.
pub(super) const COUNTS: [f64; 8] = [1.0, 2.0, 3.0, 4.0, 5.0, 7.0, 10.0, 20.0];

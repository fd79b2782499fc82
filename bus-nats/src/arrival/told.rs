//! What the server says of a message: it stands in the subject to which its answer goes.

use std::time::{Duration, SystemTime};

/// In front of all of them.
const ANSWERS: &str = "$JS.ACK.";

/// Where a message stands, and how often it was delivered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Told<'a> {
    pub(super) stream: &'a str,
    pub(super) sequence: u64,
    pub(super) stored: SystemTime,
    /// This time counted.
    pub(super) deliveries: u64,
}

impl<'a> Told<'a> {
    /// Both forms of ADR-15 of NATS: stream, consumer, deliveries, the two sequences, the time in
    /// nanoseconds, and what follows; or the same behind a domain and an account. The client's own reader
    /// takes ten times as long, of each event.
    pub(super) fn read(reply: &'a str) -> Option<Self> {
        let tokens = reply.strip_prefix(ANSWERS)?;
        let before = match tokens.bytes().filter(|byte| *byte == b'.').count() {
            6 => 0,
            8.. => 2,
            _ => return None,
        };
        let mut tokens = tokens.split('.').skip(before);
        let mut next = || tokens.next();
        let (stream, _consumer) = (next()?, next()?);
        let (deliveries, sequence) = (next()?.parse().ok()?, next()?.parse().ok()?);
        let (_of_consumer, nanos) = (next()?, next()?.parse().ok()?);
        let stored = SystemTime::UNIX_EPOCH.checked_add(Duration::from_nanos(nanos))?;
        Some(Self { stream, sequence, stored, deliveries })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STORED: SystemTime = SystemTime::UNIX_EPOCH;

    fn told() -> Option<Told<'static>> {
        let stored = STORED + Duration::from_nanos(1_605_139_610_113_260_000);
        Some(Told { stream: "ORDERS", sequence: 20, stored, deliveries: 3 })
    }

    #[test]
    fn both_forms_say_the_same() {
        let before = "$JS.ACK.ORDERS.billing_charge.3.20.18.1605139610113260000.7";
        let domain = "$JS.ACK._.ACC.ORDERS.billing_charge.3.20.18.1605139610113260000.7";
        let token = "$JS.ACK.hub.ACC.ORDERS.billing_charge.3.20.18.1605139610113260000.7.later";
        for reply in [before, domain, token] {
            assert_eq!(Told::read(reply), told(), "{reply}");
        }
    }

    #[test]
    fn what_is_no_subject_of_an_answer_says_nothing() {
        let odd = [
            "",
            "_INBOX.x.1",
            "$JS.ACK.",
            "$JS.ACK.ORDERS.billing_charge.3.20.18.1605139610113260000",
            "$JS.ACK._.ORDERS.billing_charge.3.20.18.1605139610113260000.7",
            "$JS.ACK.ORDERS.billing_charge.x.20.18.1605139610113260000.7",
            "$JS.ACK.ORDERS.billing_charge.3.-1.18.1605139610113260000.7",
            "$JS.ACK.ORDERS.billing_charge.3.20.18.99999999999999999999.7",
        ];
        for reply in odd {
            assert_eq!(Told::read(reply), None, "{reply}");
        }
    }
}

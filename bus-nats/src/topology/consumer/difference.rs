//! A consumer as it stands beside what it has to be, in words.

use async_nats::jetstream::consumer::Info;

use super::{EVENTS, Wanted};

impl Wanted {
    /// What would lose events, or run them otherwise than promised.
    pub(super) fn fixed(&self, found: &Info) -> Vec<String> {
        let (found, wanted) = (&found.config, &self.config);
        let filter = match found.filter_subjects.as_slice() {
            [] => found.filter_subject.clone(),
            several => several.join(", "),
        };
        let mut differences = Differences::default();
        differences.add("filter_subject", &filter, &wanted.filter_subject);
        differences.add("ack_policy", &found.ack_policy, &wanted.ack_policy);
        differences.add("max_deliver", &found.max_deliver, &wanted.max_deliver);
        differences.add("backoff", &found.backoff, &wanted.backoff);
        differences.0
    }

    /// What a new build of the service may bring.
    pub(super) fn soft(&self, found: &Info) -> Vec<String> {
        let (found, wanted) = (&found.config, &self.config);
        let mut differences = Differences::default();
        differences.add("ack_wait", &found.ack_wait, &wanted.ack_wait);
        if found.max_ack_pending != -1 {
            differences.add("max_ack_pending", &found.max_ack_pending, &wanted.max_ack_pending);
        }
        if let Some(events) = wanted.metadata.get(EVENTS) {
            differences.add("metadata", &found.metadata.get(EVENTS), &Some(events));
        }
        differences.0
    }
}

#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn add<T: PartialEq + std::fmt::Debug>(&mut self, field: &str, found: &T, wanted: &T) {
        if found != wanted {
            self.0.push(format!("{field} is {found:?}, {wanted:?} is wanted"));
        }
    }
}

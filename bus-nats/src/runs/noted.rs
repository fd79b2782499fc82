//! What is noted of an event's runs.

use std::time::{Duration, SystemTime};

use bus_core::delivery::History;
use bus_core::envelope::TraceParent;
use serde::{Deserialize, Serialize};

/// A server writes down in whole seconds when a delivery is due; killed, it gives it too early.
const ROUNDING: Duration = Duration::from_secs(1);

/// What is noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Runs {
    attempts: u32,
    /// Nanoseconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_failure: Option<u64>,
    /// There is to be no other run before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    due: Option<u64>,
    /// The span of the run that failed last.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "span")]
    previous: Option<TraceParent>,
}

impl Runs {
    /// So many runs, the first failure among them at a time.
    pub(crate) fn new(attempts: u32, first_failure: Option<SystemTime>) -> Self {
        Self { attempts, first_failure: first_failure.map(nanos), due: None, previous: None }
    }

    /// The next run is to be at this time or later.
    pub(crate) fn due(self, time: Option<SystemTime>) -> Self {
        Self { due: time.map(nanos), ..self }
    }

    /// The run that failed last had this span.
    pub(crate) fn previous(self, span: Option<TraceParent>) -> Self {
        Self { previous: span, ..self }
    }

    /// When the next run was due, where it was to wait.
    pub(crate) fn since(self) -> Option<SystemTime> {
        self.due.map(time)
    }

    /// By how much it is too early; clocks that differ by more than a rounding are not believed.
    pub(super) fn early(self, now: SystemTime) -> Duration {
        let early = self.due.unwrap_or_default().saturating_sub(nanos(now));
        Duration::from_nanos(early).min(ROUNDING)
    }

    /// What a history says of them.
    pub(crate) fn of(history: History) -> Self {
        Self::new(history.attempts, history.first_failure).previous(history.previous)
    }

    /// The same, and one more that begins.
    pub(crate) fn one_more(history: History) -> Self {
        Self { attempts: history.next_attempt(), ..Self::of(history) }
    }

    /// The same as a delivery's history says it.
    pub(crate) fn apply(self, history: &mut History) {
        // What a copy brings along may be younger than what is noted.
        if self.attempts > history.attempts {
            history.previous = self.previous.or(history.previous);
        }
        if self.attempts >= history.attempts {
            history.attempts = self.attempts;
            history.first_failure = self.first_failure.map(time).or(history.first_failure);
        }
    }
}

/// As in its header; what is malformed is not there.
mod span {
    use bus_core::envelope::TraceParent;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(
        span: &Option<TraceParent>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match span {
            Some(span) => serializer.collect_str(span),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<TraceParent>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        Ok(text.as_deref().and_then(TraceParent::parse))
    }
}

pub(super) fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

fn time(nanos: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn span() -> Option<TraceParent> {
        TraceParent::parse(SPAN)
    }

    fn history(attempts: u32, previous: Option<TraceParent>) -> History {
        let mut history = History::default();
        (history.attempts, history.previous) = (attempts, previous);
        history
    }

    #[test]
    fn a_note_is_read_whether_it_names_a_span_or_not() {
        let read = |text: &str| serde_json::from_str::<Runs>(text).unwrap();
        let noted = Runs::new(2, None).previous(span());
        let text = serde_json::to_string(&noted).unwrap();
        assert_eq!(text, format!(r#"{{"attempts":2,"previous":"{SPAN}"}}"#));
        assert_eq!(read(&text), noted);
        let without = serde_json::to_string(&Runs::new(2, None)).unwrap();
        assert_eq!(without, r#"{"attempts":2}"#, "as before there were spans");
        for none in [r#"{"attempts":2}"#, r#"{"attempts":2,"previous":"x","later":[1]}"#] {
            assert_eq!(read(none), Runs::new(2, None));
        }
    }

    #[test]
    fn the_span_before_is_that_of_the_younger_run() {
        let younger = TraceParent::new(1, 1, 0);
        let applied = |runs: Runs, mut history: History| {
            runs.apply(&mut history);
            (history.attempts, history.previous)
        };
        let noted = Runs::of(history(2, span()));
        assert_eq!(applied(noted, history(0, None)), (2, span()));
        assert_eq!(applied(noted, history(1, younger)), (2, span()));
        // A copy tells how a run ended whose begin was noted.
        assert_eq!(applied(noted, history(2, younger)), (2, younger));
        assert_eq!(applied(noted, history(3, younger)), (3, younger));
        // A run that never ended has no span, and the one before it is known.
        let crashed = Runs::one_more(history(2, span()));
        assert_eq!(applied(crashed, history(2, span())), (3, span()));
    }
}

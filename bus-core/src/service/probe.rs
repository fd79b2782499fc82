//! Health as values.

use std::collections::BTreeMap;
use std::fmt::{self, Display};

use tokio::sync::watch;
use tokio::time::Instant;

/// The health of a service, to be served by whatever web server there is. Clones see the same.
#[derive(Clone, Debug)]
pub struct Probe {
    state: watch::Sender<State>,
}

#[derive(Clone, Debug)]
struct State {
    phase: Phase,
    /// Why not, by what is not ready.
    reasons: BTreeMap<String, String>,
    /// Circuit breakers that are open, by their groups.
    open: BTreeMap<String, Open>,
    /// Engine tasks that ended without having been told to.
    dead: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    Running,
    Stopping,
    /// For good: it has stopped, or did not start.
    Over,
}

/// Why a circuit breaker is open, and when it probes next.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Open {
    why: String,
    next: Instant,
}

/// Whether a service does its work now.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Readiness {
    /// Whether every group receives events.
    pub ready: bool,
    /// Why not, in words, sorted.
    pub reasons: Vec<String>,
}

impl Probe {
    pub(super) fn new() -> Self {
        let (reasons, open) = (BTreeMap::new(), BTreeMap::new());
        let state = State { phase: Phase::Starting, reasons, open, dead: Vec::new() };
        Self { state: watch::Sender::new(state) }
    }

    /// Whether the service does its work now, and why not. Not ready before it has started, while
    /// the broker is away or a circuit breaker is open, and from the beginning of a stop.
    pub fn readiness(&self) -> Readiness {
        self.state.borrow().readiness()
    }

    /// Whether the process is worth keeping: a broker that is away does not change that, an engine
    /// task that died does.
    pub fn is_alive(&self) -> bool {
        self.state.borrow().dead.is_empty()
    }

    /// Waits until the service is ready, or never will be: it has stopped, or did not start.
    pub async fn ready(&self) {
        let mut changes = self.state.subscribe();
        // An error would say that the sender is gone, and we hold it.
        let over = |state: &State| state.phase == Phase::Over;
        let _ = changes.wait_for(|state| state.readiness().ready || over(state)).await;
    }

    pub(super) fn running(&self) {
        self.state.send_modify(|state| state.phase = Phase::Running);
    }

    pub(super) fn stopping(&self) {
        self.state.send_if_modified(|state| {
            let before = state.phase;
            if before != Phase::Over {
                state.phase = Phase::Stopping;
            }
            before != state.phase
        });
    }

    pub(super) fn stopped(&self) {
        self.state.send_modify(|state| state.phase = Phase::Over);
    }

    pub(super) fn failed(&self, error: &impl Display) {
        self.unready("start", error.to_string());
        self.stopped();
    }

    pub(super) fn unready(&self, who: &str, reason: impl Into<String>) {
        let reason = reason.into();
        self.state.send_if_modified(|state| {
            state.reasons.insert(who.to_owned(), reason.clone()).as_ref() != Some(&reason)
        });
    }

    pub(super) fn restored(&self, who: &str) {
        self.state.send_if_modified(|state| state.reasons.remove(who).is_some());
    }

    /// The circuit breaker of a group is open until `next`, and then probes.
    pub(super) fn opened(&self, who: &str, why: &str, next: Instant) {
        let open = Open { why: why.to_owned(), next };
        self.state.send_modify(|state| drop(state.open.insert(who.to_owned(), open)));
    }

    /// The circuit breaker of a group is not known to have a reason to be open any more.
    pub(super) fn mended(&self, who: &str) {
        self.state.send_if_modified(|state| state.open.remove(who).is_some());
    }

    pub(super) fn died(&self, who: &str) {
        self.state.send_modify(|state| state.dead.push(who.to_owned()));
    }
}

impl State {
    fn readiness(&self) -> Readiness {
        let mut reasons: Vec<_> =
            self.reasons.iter().map(|(who, reason)| format!("{who}: {reason}")).collect();
        reasons.extend(self.open.iter().map(|(who, open)| format!("{who}: {open}")));
        reasons.extend(self.dead.iter().map(|who| format!("{who}: its engine died")));
        match self.phase {
            Phase::Starting => reasons.push("the service is starting".to_owned()),
            Phase::Running => {}
            Phase::Stopping => reasons.push("the service is stopping".to_owned()),
            Phase::Over => reasons.push("the service does not run".to_owned()),
        }
        Readiness { ready: reasons.is_empty(), reasons }
    }
}

impl Display for Open {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pause = self.next.saturating_duration_since(Instant::now());
        match pause.as_millis().div_ceil(1000) {
            0 => write!(f, "its circuit breaker is half-open: {}; it probes", self.why),
            seconds => {
                write!(f, "its circuit breaker is open: {}; next probe in {seconds} s", self.why)
            }
        }
    }
}

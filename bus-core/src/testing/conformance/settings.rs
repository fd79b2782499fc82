//! What the cases have to know of a transport and of the place where it runs.

use std::time::{Duration, SystemTime};

use crate::envelope::EventId;
use crate::subject::Subject;

/// What the cases have to know of a transport and of the place where it runs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The first token of every subject and the service of every group. A new one for every
    /// case, so that cases do not disturb each other on a shared server.
    pub domain: String,
    /// The lease in cases that wait for the end of one: as short as the transport allows.
    pub lease: Duration,
    /// How much later than asked something may come: a retry, a lease, a copy in another place.
    pub slack: Duration,
    /// How long nothing has to arrive before a case believes that nothing will.
    pub quiet: Duration,
    /// How long a case waits for what has to arrive before it fails.
    pub deadline: Duration,
    /// The longest time that a case may let pass on purpose; what takes longer is not tried.
    pub longest: Duration,
    /// How long an id is remembered, where that is less than `longest`.
    pub duplicate_window: Option<Duration>,
    /// Whether there is an operator. Where there is none, cases that need one check only that.
    pub operator: bool,
    /// Whether events can wait for their time. Where they can not, cases that need it check only
    /// that this is said.
    pub delayed: bool,
    /// A subject that nothing stores, where the transport has such.
    pub uncovered: Option<Subject>,
    /// What the broker's clock shows when the bench is made; the machine's time unless told.
    ///
    /// Under paused time the machine's clock hardly moves while a case lets hours pass. So the
    /// transport has to take the time from tokio's clock: this epoch, and what has
    /// [elapsed](tokio::time::Instant::elapsed) since. One that reads `SystemTime::now` once, when
    /// it is made, and adds what has elapsed since needs no other epoch than the default.
    pub epoch: SystemTime,
}

impl Settings {
    /// For a transport under tokio's paused time, where a day costs nothing and nothing is late.
    pub fn paused() -> Self {
        Self {
            slack: Duration::ZERO,
            quiet: Duration::from_secs(10),
            deadline: Duration::from_secs(600),
            longest: Duration::from_secs(24 * 60 * 60),
            ..Self::default()
        }
    }
}

impl Default for Settings {
    /// For a real server near by.
    fn default() -> Self {
        Self {
            domain: fresh_domain(),
            lease: Duration::from_secs(1),
            slack: Duration::from_secs(1),
            quiet: Duration::from_millis(500),
            deadline: Duration::from_secs(30),
            longest: Duration::from_secs(10),
            duplicate_window: None,
            operator: true,
            delayed: true,
            uncovered: None,
            epoch: SystemTime::now(),
        }
    }
}

/// Fits a subject's first token as well as the name of a service.
fn fresh_domain() -> String {
    // The end of a UUIDv7 is the random part.
    let id = EventId::now().to_string();
    format!("conformance-{}", id.rsplit('-').next().unwrap_or(&id))
}

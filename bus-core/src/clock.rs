//! One clock for everything that waits, and the ids that are made by it.

#[cfg(feature = "testing")]
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::envelope::{EventId, mix};

/// Where tests begin: 2026-01-01T00:00:00Z.
const TEST_EPOCH: Duration = Duration::from_secs(1_767_225_600);

/// When a wait ends; one that is too long to be told ends in 30 years, as tokio itself has it.
pub(crate) fn after(wait: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(wait).unwrap_or_else(|| now + Duration::from_secs(86_400 * 365 * 30))
}

/// What time it is, and the next id. Clones share one state.
#[derive(Clone, Debug)]
pub(crate) struct Clock(Arc<Kind>);

#[derive(Debug)]
enum Kind {
    /// The time of the machine, random ids.
    System { start: Instant, wall: SystemTime },
    /// The time of tokio, which a test can pause; ids from a seed.
    Seeded { start: Instant, ids: Mutex<u64> },
    /// Moved by hand, in nanoseconds; ids from a seed.
    #[cfg(feature = "testing")]
    Manual { now: AtomicU64, ids: Mutex<u64> },
}

impl Clock {
    pub(crate) fn system() -> Self {
        Self(Arc::new(Kind::System { start: Instant::now(), wall: SystemTime::now() }))
    }

    pub(crate) fn seeded(seed: u64) -> Self {
        Self(Arc::new(Kind::Seeded { start: Instant::now(), ids: Mutex::new(mix(seed)) }))
    }

    #[cfg(feature = "testing")]
    pub(crate) fn manual(seed: u64) -> Self {
        Self(Arc::new(Kind::Manual { now: AtomicU64::new(0), ids: Mutex::new(mix(seed)) }))
    }

    /// Time since the clock was made; never goes back.
    pub(crate) fn elapsed(&self) -> Duration {
        match &*self.0 {
            Kind::System { start, .. } | Kind::Seeded { start, .. } => start.elapsed(),
            #[cfg(feature = "testing")]
            Kind::Manual { now, .. } => Duration::from_nanos(now.load(Ordering::SeqCst)),
        }
    }

    /// Whether a hand moves it, and so nothing that runs by the time of the machine.
    pub(crate) fn is_manual(&self) -> bool {
        match &*self.0 {
            Kind::System { .. } | Kind::Seeded { .. } => false,
            #[cfg(feature = "testing")]
            Kind::Manual { .. } => true,
        }
    }

    /// The time of day.
    pub(crate) fn wall(&self) -> SystemTime {
        match &*self.0 {
            Kind::System { .. } => SystemTime::now(),
            _ => SystemTime::UNIX_EPOCH + TEST_EPOCH + self.elapsed(),
        }
    }

    /// The time of day when so much had [elapsed](Self::elapsed); `None` if there is no such time.
    pub(crate) fn wall_at(&self, elapsed: Duration) -> Option<SystemTime> {
        match &*self.0 {
            Kind::System { wall, .. } => wall.checked_add(elapsed),
            _ => (SystemTime::UNIX_EPOCH + TEST_EPOCH).checked_add(elapsed),
        }
    }

    /// When tokio's clock will show `at`; `None` if it never will, or only a hand moves the clock.
    pub(crate) fn instant(&self, at: Duration) -> Option<Instant> {
        match &*self.0 {
            Kind::System { start, .. } | Kind::Seeded { start, .. } => start.checked_add(at),
            #[cfg(feature = "testing")]
            Kind::Manual { .. } => None,
        }
    }

    /// Moves a manual clock; others move by themselves.
    #[cfg(feature = "testing")]
    pub(crate) fn advance(&self, by: Duration) {
        if let Kind::Manual { now, .. } = &*self.0 {
            let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
            let later = |now: u64| Some(now.saturating_add(by));
            // The closure never refuses.
            let _ = now.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later);
        }
    }

    pub(crate) fn next_id(&self) -> EventId {
        let ids = match &*self.0 {
            Kind::System { .. } => return EventId::now(),
            Kind::Seeded { ids, .. } => ids,
            #[cfg(feature = "testing")]
            Kind::Manual { ids, .. } => ids,
        };
        let mut bits = ids.lock().unwrap_or_else(PoisonError::into_inner);
        *bits = bits.wrapping_add(1);
        let random = (u128::from(mix(*bits)) << 64 | u128::from(mix(!*bits))).to_be_bytes();
        let millis = TEST_EPOCH.saturating_add(self.elapsed()).as_millis();
        let millis = u64::try_from(millis).unwrap_or(u64::MAX);
        let (_, tail) = random.split_at(6);
        let mut bytes = [0; 10];
        bytes.copy_from_slice(tail);
        uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid().into()
    }
}

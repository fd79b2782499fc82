//! The conformance cases on the in-process transport, under paused time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bus_core::Subject;
use bus_core::memory::{Memory, MemoryConfig};
use bus_core::testing::conformance::{Bench, CASES, Settings};

/// Where the clock of a seeded broker begins: 2026-01-01T00:00:00Z.
const EPOCH: Duration = Duration::from_secs(1_767_225_600);

fn bench(config: MemoryConfig, settings: Settings) -> Bench {
    let settings = Settings {
        duplicate_window: Some(config.duplicate_window),
        epoch: SystemTime::UNIX_EPOCH + EPOCH,
        ..settings
    };
    let memory = Memory::seeded(config, 1);
    Bench::new(Arc::new(memory.clone()), settings).elsewhere(Arc::new(memory))
}

async fn default() -> Bench {
    bench(MemoryConfig::default(), Settings::paused())
}

bus_core::conformance! {
    #[tokio::test(start_paused = true)]
    default
}

/// A broker as it is configured where leases end although a handler runs.
mod with_fixed_leases {
    use super::*;

    async fn fixed() -> Bench {
        let config = MemoryConfig { renew: false, ..MemoryConfig::default() };
        bench(config, Settings::paused())
    }

    bus_core::conformance! {
        #[tokio::test(start_paused = true)]
        fixed
    }
}

/// A broker that stores the events of one domain only, so that there are some it does not store.
mod with_one_domain {
    use super::*;

    async fn one_domain() -> Bench {
        let uncovered = Some(Subject::literal("elsewhere.placed"));
        let settings = Settings { uncovered, ..Settings::paused() };
        let domains = Some(vec![settings.domain.clone()]);
        bench(MemoryConfig { domains, ..MemoryConfig::default() }, settings)
    }

    bus_core::conformance! {
        #[tokio::test(start_paused = true)]
        one_domain;
        an_uncovered_subject_is_refused,
        an_event_published_before_its_group_reaches_it,
        a_redrive_reaches_the_failed_group_only,
    }
}

/// The settings for a server, in real time: some cases that let little of it pass.
mod in_real_time {
    use super::*;

    async fn real_time() -> Bench {
        Bench::new(Arc::new(Memory::new()), Settings::default())
    }

    bus_core::conformance!(
        real_time;
        a_delay_of_milliseconds_is_kept,
        a_group_may_start_at_a_time,
        an_id_is_stored_once,
        events_arrive_in_the_order_of_publishing,
    );
}

#[test]
fn there_are_many_cases() {
    assert!(CASES.len() >= 100, "{} cases", CASES.len());
}

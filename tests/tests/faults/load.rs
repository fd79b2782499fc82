//! Jobs, published at an even pace.

use std::time::Duration;

use bus_core::prelude::*;
use tests::jobs::{Does, Job};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval};

/// A publisher at work.
pub(crate) struct Load {
    stop: watch::Sender<bool>,
    task: JoinSet<Published>,
}

/// What became of the publishes, by the jobs' numbers.
#[derive(Default)]
pub(crate) struct Published {
    /// Those that are stored, and when they were sent.
    pub(crate) stored: Vec<(u32, Instant)>,
    /// Those of which that is not known.
    pub(crate) failed: Vec<PublishError>,
}

impl Published {
    pub(crate) fn numbers(&self) -> Vec<u32> {
        self.stored.iter().map(|(number, _)| *number).collect()
    }
}

impl Load {
    /// Publishes one job each `pause`, from number 0 on; none waits for the one before.
    pub(crate) fn start(
        bus: &Bus,
        pause: Duration,
        does: impl Fn(u32) -> Does + Send + 'static,
    ) -> Self {
        Self::from(0, bus, pause, does)
    }

    /// The same from another number on.
    pub(crate) fn from(
        first: u32,
        bus: &Bus,
        pause: Duration,
        does: impl Fn(u32) -> Does + Send + 'static,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (bus, mut task) = (bus.clone(), JoinSet::new());
        task.spawn(async move {
            let (mut publishes, mut ticks) = (JoinSet::new(), interval(pause));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            for number in first.. {
                ticks.tick().await;
                if *stopped.borrow() {
                    break;
                }
                let (sent, publish) =
                    (Instant::now(), bus.publish(&Job { number, does: does(number) }));
                publishes.spawn(async move { publish.await.map(|_| (number, sent)) });
            }
            let mut published = Published::default();
            for result in publishes.join_all().await {
                match result {
                    Ok(stored) => published.stored.push(stored),
                    Err(error) => published.failed.push(error),
                }
            }
            published.stored.sort_unstable();
            published
        });
        Self { stop, task }
    }

    /// Publishes no more, and waits for what is under way.
    pub(crate) async fn end(mut self) -> Published {
        self.stop.send_replace(true);
        self.task.join_next().await.unwrap().unwrap()
    }
}

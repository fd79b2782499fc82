//! Whether the transport can do its work, and what keeps it from it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bus_core::sabotage::{Sabotage, planted};
use bus_core::transport::Health;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use crate::lock::lock;

/// Ready for as long as it is connected and nothing is amiss. Clones are one.
#[derive(Clone, Debug)]
pub(crate) struct Condition(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    tell: watch::Sender<Health>,
    /// What the state says of it, without its lock: read for each publish that finds an answer.
    unanswered: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Why there is no connection.
    down: Option<String>,
    /// Until when it is believed that publishes find no answer.
    unanswered: Option<Instant>,
    /// What else is amiss, how often, and what was said of it last.
    troubles: BTreeMap<String, (usize, String)>,
}

impl Condition {
    /// Of a connection that was just made.
    pub(crate) fn ready() -> Self {
        let tell = watch::Sender::new(Health::Ready);
        let (unanswered, state) = (AtomicBool::new(false), Mutex::default());
        Self(Arc::new(Inner { tell, unanswered, state }))
    }

    pub(crate) fn subscribe(&self) -> watch::Receiver<Health> {
        self.0.tell.subscribe()
    }

    /// There is a connection; what found no answer over another one says nothing of it.
    pub(crate) fn up(&self) {
        self.0.change(|state| (state.down, state.unanswered) = (None, None));
    }

    pub(crate) fn down(&self, reason: &str) {
        if !planted(Sabotage::LooksHealthy) {
            self.0.change(|state| state.down = Some(reason.to_owned()));
        }
    }

    /// A publish found no answer: so does a server whose disk is full.
    pub(crate) fn unanswered(&self) {
        self.0.change(|state| state.unanswered = Some(Instant::now() + BELIEVED));
    }

    /// A publish found an answer.
    pub(crate) fn answered(&self) {
        if self.0.unanswered.load(Ordering::Acquire) {
            self.0.change(|state| state.unanswered = None);
        }
    }

    /// Something is amiss until the guard is dropped, and what else is amiss under this name.
    pub(crate) fn trouble(&self, what: String, reason: String) -> Trouble {
        self.0.change(|state| {
            let (count, last) = state.troubles.entry(what.clone()).or_default();
            *count += 1;
            *last = reason;
        });
        Trouble { inner: Arc::clone(&self.0), what }
    }
}

/// How long it counts that a publish found no answer, where there is no other.
const BELIEVED: Duration = Duration::from_secs(30);

/// How often it is looked whether what was told is still true.
const LOOK: Duration = Duration::from_secs(1);

/// The client tells of its connection by a bounded queue, and drops what finds no place there: what is
/// so at two looks in a row, and was not told, is told here.
pub(crate) async fn check(is_up: impl Fn() -> bool, condition: Condition) {
    let mut before = None;
    loop {
        sleep(LOOK).await;
        let is_up = is_up();
        let (told, unanswered) = {
            let state = lock(&condition.0.state);
            (state.down.is_none(), state.unanswered)
        };
        if unanswered.is_some_and(|until| Instant::now() >= until) {
            condition.answered();
        }
        let untold = (is_up != told).then_some(is_up);
        match untold {
            Some(true) if before == untold => condition.up(),
            Some(false) if before == untold => condition.down("there is no connection"),
            _ => {}
        }
        before = untold;
    }
}

impl Inner {
    fn change(&self, change: impl FnOnce(&mut State)) {
        // Told under the lock, so that the last word is the last change.
        let mut state = lock(&self.state);
        change(&mut state);
        self.unanswered.store(state.unanswered.is_some(), Ordering::Release);
        let troubles = state.troubles.iter().map(|(what, (_, last))| format!("{what}: {last}"));
        let silent = state.unanswered.map(|_| "publishes find no answer".to_owned());
        let reasons: Vec<_> = state.down.iter().cloned().chain(silent).chain(troubles).collect();
        let health = match reasons.as_slice() {
            [] => Health::Ready,
            reasons => Health::Unready { reason: reasons.join("; ") },
        };
        self.tell.send_if_modified(|told| {
            let changed = *told != health;
            *told = health;
            changed
        });
    }
}

/// Something is amiss.
#[derive(Debug)]
pub(crate) struct Trouble {
    inner: Arc<Inner>,
    what: String,
}

impl Drop for Trouble {
    fn drop(&mut self) {
        self.inner.change(|state| {
            if let Some((count, _)) = state.troubles.get_mut(&self.what) {
                *count -= 1;
                if *count == 0 {
                    state.troubles.remove(&self.what);
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_ready_when_it_is_connected_and_the_last_trouble_is_over() {
        let condition = Condition::ready();
        let health = condition.subscribe();
        let is = |reason: &str| {
            let now = health.borrow();
            *now == Health::Unready { reason: reason.to_owned() }
        };
        let trouble = |reason: &str| condition.trouble("letters".to_owned(), reason.to_owned());
        let first = trouble("no room");
        condition.down("lost");
        assert!(is("lost; letters: no room"));
        let second = trouble("no stream");
        condition.up();
        assert!(is("letters: no stream"));
        drop(first);
        assert!(is("letters: no stream"));
        drop(second);
        assert_eq!(*health.borrow(), Health::Ready);
    }

    #[tokio::test(start_paused = true)]
    async fn a_publish_without_an_answer_counts_until_there_is_one_and_not_for_ever() {
        let condition = Condition::ready();
        let health = condition.subscribe();
        let is_ready = || *health.borrow() == Health::Ready;
        let look = async {
            condition.unanswered();
            assert!(!is_ready());
            condition.answered();
            assert!(is_ready());
            condition.unanswered();
            condition.down("lost");
            condition.up();
            assert!(is_ready());
            condition.unanswered();
            sleep(BELIEVED - LOOK).await;
            assert!(!is_ready());
            sleep(LOOK * 3).await;
            assert!(is_ready());
        };
        tokio::select! {
            () = look => {}
            () = check(|| true, condition.clone()) => {}
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_told_is_seen_and_what_was_told_a_moment_ago_is_believed() {
        let (condition, up) = (Condition::ready(), AtomicBool::new(true));
        let health = condition.subscribe();
        let look = async {
            condition.down("lost");
            sleep(LOOK * 3 / 2).await;
            assert_ne!(*health.borrow(), Health::Ready, "it may not be up yet");
            sleep(LOOK).await;
            assert_eq!(*health.borrow(), Health::Ready);
            up.store(false, Ordering::Relaxed);
            sleep(LOOK * 5 / 2).await;
            assert_ne!(*health.borrow(), Health::Ready);
        };
        tokio::select! {
            () = look => {}
            () = check(|| up.load(Ordering::Relaxed), condition.clone()) => {}
        }
    }
}

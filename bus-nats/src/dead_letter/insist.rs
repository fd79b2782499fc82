//! Storing a dead letter until it is stored: what stands in its way is mostly mended by somebody.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bus_core::settle::{Failed, Reason};
use tokio::sync::Mutex;
use tokio::time::sleep;
use tracing::{info, warn};

use super::{NotStored, store};
use crate::connection::jitter;
use crate::health::Trouble;
use crate::lane::Lane;
use crate::lease::Original;

/// The first pause between two tries; doubles up to [`LAST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LAST_PAUSE: Duration = Duration::from_secs(4);

/// Whether letters of a member can not be stored now. Their events stay unsettled and are renewed,
/// and each holds a place among the answers of its handler, so there is an end to how many they are.
#[derive(Debug, Default)]
pub(crate) struct Stuck {
    is: AtomicBool,
    /// While it is so they are tried one after the other: one for all that wait.
    turn: Mutex<()>,
}

/// Done when the letter is safe, or at the stop of the member, with what stood in its way.
pub(crate) async fn insist(
    lane: &Lane,
    original: &Original,
    reason: Reason,
    failed: Failed,
) -> Result<(), NotStored> {
    let stuck = &lane.stuck;
    let (mut pause, mut trouble) = (FIRST_PAUSE, None);
    loop {
        // Given on after each try: one that will never be stored is not to keep the others from it.
        let mut turn = None;
        if stuck.is.load(Ordering::Acquire) {
            let Some(ours) = lane.stop.run_until_cancelled(stuck.turn.lock()).await else {
                return Err(NotStored::Others);
            };
            turn = Some(ours);
        }
        let stored = store(&lane.shared, lane.name(), original, reason, failed.clone()).await;
        let Err(error) = stored else {
            if turn.is_some() && stuck.is.swap(false, Ordering::AcqRel) {
                info!(group = %lane.name(), "dead letters can be stored again");
            }
            return Ok(());
        };
        let rest = pause / 2 + jitter(pause / 2);
        // The new one first: readiness is not to flicker.
        let newer = tell(lane, original, &error, rest);
        drop(trouble.replace(newer));
        match error {
            // That is a matter of this letter, and nobody has to wait for it.
            NotStored::TooLarge { .. } => drop(turn.take()),
            _ => stuck.is.store(true, Ordering::Release),
        }
        if lane.stop.run_until_cancelled(sleep(rest)).await.is_none() {
            return Err(error);
        }
        pause = (pause * 2).min(LAST_PAUSE);
    }
}

/// The transport is not ready until this is dropped.
fn tell(lane: &Lane, original: &Original, error: &NotStored, rest: Duration) -> Trouble {
    let (group, id) = (lane.name(), original.id());
    warn!(%group, %id, %error, ?rest, "the dead letter can not be stored, its event is kept");
    let what = format!("the dead letters of `{group}` can not be stored");
    lane.shared.signals.health.trouble(what, error.to_string())
}

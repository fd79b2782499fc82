//! Up to where groups are done, as far as this process has seen: a consumer that was deleted goes
//! on from there.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_nats::jetstream::consumer::Info;
use bus_core::transport::GroupName;

/// The last floor that was seen of each group.
#[derive(Debug, Default)]
pub(crate) struct Floors(Mutex<BTreeMap<GroupName, u64>>);

impl Floors {
    /// Everything up to this sequence is done.
    pub(crate) fn saw(&self, group: &GroupName, info: &Info) {
        let floor = info.ack_floor.stream_sequence;
        self.lock().entry(group.clone()).and_modify(|last| *last = floor).or_insert(floor);
    }

    pub(crate) fn of(&self, group: &GroupName) -> Option<u64> {
        self.lock().get(group).copied()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<GroupName, u64>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

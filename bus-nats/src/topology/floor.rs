//! Up to where groups are done, as far as this process has seen: a consumer that was deleted goes
//! on from there, and never silently from the beginning or from now.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};
use std::time::SystemTime;

use async_nats::jetstream::{consumer, stream};
use bus_core::transport::GroupName;

use crate::lock::lock;

/// Which stream it is, and up to where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Extent {
    created: SystemTime,
    last: u64,
}

impl Extent {
    pub(crate) fn of(info: &stream::Info) -> Self {
        Self { created: info.created.into(), last: info.state.last_sequence }
    }
}

/// Up to where a group is done, in which stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Floor {
    created: SystemTime,
    sequence: u64,
}

/// Where a group goes on whose consumer is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Resume {
    /// It is not known here: it is a new group.
    New,
    /// Behind this sequence.
    After(u64),
    /// With the first event: the stream was made anew, and the group has seen nothing of it.
    Anew,
    /// The same stream ends before that sequence: it was restored from a copy.
    Unknown { done: u64, last: u64 },
}

/// The last floor that was seen of each group of this process.
#[derive(Debug, Default)]
pub(crate) struct Floors(Mutex<BTreeMap<GroupName, Floor>>);

impl Floors {
    /// Everything up to the consumer's floor is done.
    pub(crate) fn saw(&self, group: &GroupName, stream: Extent, info: &consumer::Info) {
        let (created, sequence) = (stream.created, info.ack_floor.stream_sequence);
        self.lock().insert(group.clone(), Floor { created, sequence });
    }

    pub(crate) fn resume(&self, group: &GroupName, stream: Extent) -> Resume {
        match self.lock().get(group) {
            None => Resume::New,
            Some(floor) => resume(*floor, stream),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<GroupName, Floor>> {
        lock(&self.0)
    }
}

fn resume(floor: Floor, stream: Extent) -> Resume {
    if floor.created != stream.created {
        Resume::Anew
    } else if floor.sequence > stream.last {
        Resume::Unknown { done: floor.sequence, last: stream.last }
    } else {
        Resume::After(floor.sequence)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_group_goes_on_behind_what_it_has_done_in_the_same_stream_only() {
        let (created, sequence) = (SystemTime::UNIX_EPOCH, 7);
        let later = created + Duration::from_secs(1);
        let go_on = |created, last| {
            resume(Floor { created: SystemTime::UNIX_EPOCH, sequence }, Extent { created, last })
        };
        assert_eq!(go_on(created, 9), Resume::After(7));
        assert_eq!(go_on(created, 7), Resume::After(7));
        assert_eq!(go_on(created, 6), Resume::Unknown { done: 7, last: 6 });
        assert_eq!(go_on(later, 9), Resume::Anew);
    }
}

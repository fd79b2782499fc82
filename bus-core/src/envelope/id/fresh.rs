//! New ids, without a system call for the randomness of each.

use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use uuid::{Builder, Uuid};

/// What counts within one millisecond: `rand_a` of a UUIDv7 (RFC 9562, 6.2, method 1).
const COUNT_BITS: u32 = 12;

/// Milliseconds since 1970 and the count of the newest id of this process.
static NEWEST: AtomicU64 = AtomicU64::new(0);

/// A UUIDv7, later than all before it. More than 4,096 in a millisecond are ahead of their time.
pub(super) fn uuid() -> Uuid {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let now = u64::try_from(since.as_millis()).unwrap_or_default() << COUNT_BITS;
    let after = |newest: u64| now.max(newest.wrapping_add(1));
    let later = |newest: u64| Some(after(newest));
    // The closure never refuses.
    let newest = NEWEST.fetch_update(Ordering::Relaxed, Ordering::Relaxed, later);
    let tick = after(newest.unwrap_or_else(|newest| newest));
    let count = tick as u16 & ((1 << COUNT_BITS) - 1);
    let mut bytes = [0; 10];
    bytes[..2].copy_from_slice(&count.to_be_bytes());
    bytes[2..].copy_from_slice(&random(since).to_be_bytes());
    Builder::from_unix_timestamp_millis(tick >> COUNT_BITS, &bytes).into_uuid()
}

/// 64 bits: the standard library takes keys for its hash from the system once a thread, and never the
/// same twice. A process that is forked, or copied with its machine, has them twice; so the time is in it.
fn random(now: Duration) -> u64 {
    RandomState::new().hash_one(now.subsec_nanos())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::thread;

    use super::*;

    #[test]
    fn ids_of_one_thread_ascend_and_those_of_many_differ() {
        let made = || {
            let ids: Vec<_> = (0..20_000).map(|_| uuid()).collect();
            assert!(ids.is_sorted_by(|one, next| one < next));
            ids
        };
        let threads: Vec<_> = (0..4).map(|_| thread::spawn(made)).collect();
        let ids = threads.into_iter().flat_map(|thread| thread.join().unwrap());
        let ids: BTreeSet<_> = ids.collect();
        assert_eq!(ids.len(), 80_000);
        let tails: BTreeSet<_> = ids.iter().map(|id| id.as_u64_pair().1).collect();
        assert_eq!(tails.len(), 80_000, "what other processes do not share");
    }

    #[test]
    fn an_id_is_of_version_7_and_of_now() {
        let id = uuid();
        assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
        let (seconds, _) = id.get_timestamp().unwrap().to_unix();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        assert!(now.abs_diff(seconds) <= 1, "{seconds} is not {now}");
    }
}

//! Which domains are known to have a stream. It is made before the first event is sent: events
//! that nothing takes would be sent again later, each after a pause of its own and so in another
//! order.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use bus_core::transport::TransportError;
use tokio::sync;

use crate::lock::lock;

/// The most domains that are remembered; those beyond find their stream when they miss it.
const MOST: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Domains(Mutex<BTreeMap<String, Arc<Domain>>>);

#[derive(Debug, Default)]
struct Domain {
    is_known: AtomicBool,
    /// Held while its stream is made; given on in the order of asking.
    turn: sync::Mutex<()>,
    waiting: AtomicUsize,
}

impl Domains {
    /// Makes the stream of a domain known, where it is not. Whoever comes meanwhile waits, and goes
    /// on in the order of coming.
    pub(crate) async fn know<F>(&self, name: &str, make: impl FnOnce() -> F)
    where
        F: Future<Output = Result<(), TransportError>>,
    {
        let Some(domain) = self.entry(name) else { return };
        let _waits = Waits::for_turn(&domain.waiting);
        let _turn = domain.turn.lock().await;
        // What can not be made now is missed by the publish, which says so.
        if !domain.is_known.load(Ordering::Acquire) && make().await.is_ok() {
            domain.is_known.store(true, Ordering::Release);
        }
    }

    /// Whether nothing has to be waited for: not even those who came before and still wait, for who
    /// comes now is not to overtake them.
    pub(crate) fn knows(&self, name: &str) -> bool {
        let is_free = |domain: &Arc<Domain>| {
            domain.is_known.load(Ordering::Acquire) && domain.waiting.load(Ordering::Acquire) == 0
        };
        self.lock().get(name).is_some_and(is_free)
    }

    fn entry(&self, name: &str) -> Option<Arc<Domain>> {
        let mut domains = self.lock();
        if let Some(domain) = domains.get(name) {
            return Some(Arc::clone(domain));
        }
        if domains.len() >= MOST {
            return None;
        }
        Some(Arc::clone(domains.entry(name.to_owned()).or_default()))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Domain>>> {
        lock(&self.0)
    }
}

/// One who waits, until it is dropped.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn for_turn(waiting: &'a AtomicUsize) -> Self {
        waiting.fetch_add(1, Ordering::AcqRel);
        Self(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn who_comes_when_it_is_known_does_not_overtake_those_who_still_wait() {
        let (domains, (made, makes)) = (Domains::default(), oneshot::channel::<()>());
        let make = || async {
            let _ = makes.await;
            Ok(())
        };
        let (first, none) = (domains.know("orders", make), || async { Ok(()) });
        let (mut first, mut second) = (pin!(first), pin!(domains.know("orders", none)));
        assert!(first.as_mut().now_or_never().is_none());
        assert!(second.as_mut().now_or_never().is_none());
        made.send(()).unwrap();
        assert!(first.as_mut().now_or_never().is_some());
        assert!(!domains.knows("orders"), "the second is to go on before a third");
        assert!(second.as_mut().now_or_never().is_some());
        assert!(domains.knows("orders"));
    }
}

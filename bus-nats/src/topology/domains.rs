//! Which domains are known to have a stream. It is made before the first event is sent: events
//! that nothing takes would be sent again later, each after a pause of its own and so in another
//! order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use bus_core::transport::TransportError;
use tokio::sync::OnceCell;

use crate::lock::lock;

/// The most domains that are remembered; those beyond find their stream when they miss it.
const MOST: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Domains(Mutex<BTreeMap<String, Arc<OnceCell<()>>>>);

impl Domains {
    /// Makes the stream of a domain known, where it is not. Whoever comes meanwhile waits, and goes
    /// on in the order of coming.
    pub(crate) async fn know<F>(&self, domain: &str, make: impl FnOnce() -> F)
    where
        F: Future<Output = Result<(), TransportError>>,
    {
        if let Some(known) = self.entry(domain) {
            // What can not be made now is missed by the publish, which says so.
            let _ = known.get_or_try_init(make).await;
        }
    }

    pub(crate) fn knows(&self, domain: &str) -> bool {
        self.lock().get(domain).is_some_and(|known| known.initialized())
    }

    fn entry(&self, domain: &str) -> Option<Arc<OnceCell<()>>> {
        let mut domains = self.lock();
        if let Some(known) = domains.get(domain) {
            return Some(Arc::clone(known));
        }
        if domains.len() >= MOST {
            return None;
        }
        Some(Arc::clone(domains.entry(domain.to_owned()).or_default()))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<OnceCell<()>>>> {
        lock(&self.0)
    }
}

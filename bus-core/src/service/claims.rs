//! Which service runs which handler, over all services of this process.

use std::sync::{Arc, Mutex, PoisonError};

use crate::handler::{Entry, Site};
use crate::service::error::StartError;
use crate::transport::Transport;

/// One line for each declared handler that runs.
static CLAIMS: Mutex<Vec<Claim>> = Mutex::new(Vec::new());

struct Claim {
    transport: usize,
    site: Site,
    service: String,
}

/// The handlers that one service runs; free again when it is dropped.
pub(super) struct Claims {
    transport: usize,
    service: String,
    sites: Vec<Site>,
}

impl Claims {
    /// Two services that run one handler on one transport would both handle each event. Replicas,
    /// which share the name, compete and may.
    pub(super) fn take(
        transport: &Arc<dyn Transport>,
        service: &str,
        entries: &[Entry],
    ) -> Result<Self, StartError> {
        let transport = transport.identity();
        let mut claims = CLAIMS.lock().unwrap_or_else(PoisonError::into_inner);
        for entry in entries {
            let other = claims.iter().find(|claim| {
                claim.transport == transport
                    && Some(claim.site) == entry.site
                    && claim.service != service
            });
            if let Some(other) = other {
                let (handler, other) = (entry.to_string(), other.service.clone());
                return Err(StartError::Claimed { handler, other });
            }
        }
        let sites: Vec<_> = entries.iter().filter_map(|entry| entry.site).collect();
        claims.extend(sites.iter().map(|site| Claim {
            transport,
            site: *site,
            service: service.to_owned(),
        }));
        Ok(Self { transport, service: service.to_owned(), sites })
    }
}

impl Drop for Claims {
    fn drop(&mut self) {
        let mut claims = CLAIMS.lock().unwrap_or_else(PoisonError::into_inner);
        for site in &self.sites {
            let mine = |claim: &Claim| {
                claim.transport == self.transport
                    && claim.site == *site
                    && claim.service == self.service
            };
            if let Some(at) = claims.iter().position(mine) {
                claims.swap_remove(at);
            }
        }
    }
}

//! How a connection is secured.

use std::error::Error;
use std::io;

use async_nats::rustls::crypto::{CryptoProvider, ring};
use async_nats::{ConnectErrorKind, ConnectOptions, ServerAddr, rustls};

use crate::config::Tls;

/// In a build with several providers rustls chooses none, and panics. What the application chose
/// before stays.
pub(super) fn choose_provider() {
    if CryptoProvider::get_default().is_none() {
        // Somebody else may be faster, and that is as good.
        let _ = ring::default_provider().install_default();
    }
}

pub(super) fn options(
    options: ConnectOptions,
    tls: &Tls,
    servers: &[ServerAddr],
) -> ConnectOptions {
    let always = tls.required || tls.first || servers.iter().all(ServerAddr::tls_required);
    let mut options = options.require_tls(always);
    if !always {
        // A server names others of its cluster, whom nobody allowed to be talked to in plain text.
        options = options.ignore_discovered_servers();
    }
    if tls.first {
        options = options.tls_first();
    }
    if let Some(roots) = &tls.roots {
        options = options.add_root_certificates(roots.clone());
    }
    if let Some((certificate, key)) = &tls.identity {
        options = options.add_client_certificate(certificate.clone(), key.clone());
    }
    options
}

/// Whether one side did not like what the other showed. The client says so of its own files only.
pub(super) fn is_cause(error: &async_nats::ConnectError) -> bool {
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    let inner = source.and_then(io::Error::get_ref);
    error.kind() == ConnectErrorKind::Tls || inner.is_some_and(|inner| inner.is::<rustls::Error>())
}

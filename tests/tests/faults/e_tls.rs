//! Family E of the catalogue: certificates that are not, or no longer, to be trusted.

use std::fs;
use std::path::{Path, PathBuf};

use bus_core::prelude::*;
use bus_core::transport::{Health, Transport};
use bus_nats::dev_server::DevServer;
use bus_nats::{ConnectError, NatsConfig, NatsTransport, Tls};
use tests::chaos::injected::Injected;
use tests::chaos::proxy::{Action, Proxy, When};
use tests::jobs::{Does, Job};
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep, timeout};

use crate::{MILLISECOND, PATIENCE};

const JOB: Job = Job { number: 0, does: Does::Sleep(1) };

fn file(name: &str) -> PathBuf {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    home.join("../bus-nats/tests/certificates").join(name)
}

fn lines(certificate: &str) -> String {
    let (pem, key) = (file(&format!("{certificate}.pem")), file(&format!("{certificate}.key")));
    format!("tls {{ cert_file: {pem:?}, key_file: {key:?} }}\n")
}

fn server(certificate: &str) -> DevServer {
    block_in_place(|| DevServer::start_with(&lines(certificate))).unwrap()
}

fn config(port: u16) -> NatsConfig {
    let tls = Tls { roots: Some(file("root.pem")), ..Tls::default() };
    let servers = vec![format!("tls://localhost:{port}")];
    NatsConfig { servers, tls, deadline: SECOND * 3, ..NatsConfig::default() }
}

async fn insecure(config: NatsConfig, expected: &str) {
    let begun = Instant::now();
    let error = NatsTransport::connect(config).await.map(drop).unwrap_err();
    println!("{error}");
    assert!(matches!(error, ConnectError::Insecure { .. }), "{error:?}");
    assert!(error.to_string().contains(expected), "{error}");
    assert!(begun.elapsed() < SECOND * 2, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_e4_a_certificate_that_is_not_to_be_trusted_is_refused_at_once_and_in_words() {
    let injected = Injected::begin("fault_e4");
    insecure(config(server("expired").port()), "xpired").await;
    insecure(config(server("elsewhere").port()), "elsewhere.example.com").await;
    injected.add("bad certificate", 2);
    let plain = block_in_place(DevServer::start).unwrap();
    let proxy = Proxy::blind(plain.port()).await.unwrap();
    let told = proxy.rule(When::to_server().payload("CONNECT"), Action::Pass);
    insecure(config(proxy.port()), "corrupt message").await;
    injected.note("server without TLS");
    assert_eq!(told.count(), 0, "nobody is told who we are in plain text");
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_e4_a_certificate_that_changes_is_seen_by_new_connections_only() {
    let injected = Injected::begin("fault_e4_rotated");
    let server = server("server");
    let proxy = Proxy::blind(server.port()).await.unwrap();
    let transport = NatsTransport::connect(config(proxy.port())).await.unwrap();
    let (bus, mut health) = (Bus::new(transport.clone()), transport.health());
    bus.publish(&JOB).await.unwrap();
    let rotate = |certificate| {
        fs::write(server.folder().join("server.conf"), lines(certificate)).unwrap();
        server.signal("HUP").unwrap();
        injected.note("certificate changed");
    };
    rotate("renewed");
    reloaded(&server, 1).await;
    bus.publish(&JOB).await.unwrap();
    NatsTransport::connect(config(server.port())).await.unwrap();
    assert_eq!(proxy.connections(), 1, "the old connection is kept");

    rotate("expired");
    reloaded(&server, 2).await;
    bus.publish(&JOB).await.unwrap();
    proxy.cut();
    let begun = Instant::now();
    let red = health.wait_for(|health| *health != Health::Ready);
    let reason = format!("{:?}", *timeout(SECOND * 10, red).await.unwrap().unwrap());
    println!("not ready after {:?}: {reason}", begun.elapsed());
    sleep(SECOND * 4).await;
    let tries = proxy.connections() - 1;
    println!("{tries} tries in {:?}", begun.elapsed());
    assert!(tries <= 25, "{tries} tries");
    rotate("server");
    reloaded(&server, 3).await;
    let green = health.wait_for(|health| *health == Health::Ready);
    timeout(SECOND * 3, green).await.unwrap().unwrap();
    bus.publish(&JOB).await.unwrap();
}

/// Waits until the server has read its configuration so often.
async fn reloaded(server: &DevServer, times: usize) {
    let begun = Instant::now();
    loop {
        let log = fs::read_to_string(server.folder().join("server.log")).unwrap();
        if log.matches("Reloaded server configuration").count() >= times {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "{log}");
        sleep(10 * MILLISECOND).await;
    }
}

//! Family E of the catalogue: users and permissions that are taken away while somebody works.

use std::fs;

use async_nats::ConnectOptions;
use bus_core::prelude::*;
use bus_nats::dev_server::DevServer;
use bus_nats::{Auth, ConnectError, NatsConfig, NatsTransport, Secret};
use tests::chaos::injected::Injected;
use tests::chaos::proxy::Proxy;
use tests::jobs::{Does, Job, Jobs};
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep, timeout};

use crate::crew::{Crew, are_red, can_fetch};
use crate::{MILLISECOND, PATIENCE};

const BACKLOG: u32 = 3000;

fn users(users: &[(&str, &str)]) -> String {
    let line = |(name, permissions): &(&str, &str)| {
        format!("{{ user: {name}, password: s3cr3t, permissions: {{ {permissions} }} }}\n")
    };
    let users: String = users.iter().map(line).collect();
    format!("authorization {{ users = [\n{users}] }}\n")
}

fn config(port: u16, user: &str) -> NatsConfig {
    let auth = Auth::User { name: user.into(), password: Secret::new("s3cr3t") };
    let servers = vec![format!("nats://127.0.0.1:{port}")];
    NatsConfig { servers, auth, deadline: SECOND * 3, ..NatsConfig::default() }
}

fn reload(server: &DevServer, lines: &str) {
    fs::write(server.folder().join("server.conf"), lines).unwrap();
    server.signal("HUP").unwrap();
}

const ALL: &str = "publish: \">\", subscribe: \">\"";
const NO_PULL: &str = "publish: { deny: [\"$JS.API.CONSUMER.MSG.NEXT.JOBS.>\"] }, subscribe: \">\"";

/// Workers of the user `me` with much to do, on a server that also knows `admin`.
async fn at_work(server: &DevServer, port: u16) -> Crew {
    let bus = Bus::new(NatsTransport::connect(config(server.port(), "admin")).await.unwrap());
    let backlog = (0..BACKLOG).map(|number| Job { number, does: Does::Sleep(20) });
    let backlog: Vec<_> = backlog.collect();
    assert!(bus.publish_all(&backlog).await.iter().all(Result::is_ok));
    let jobs = Jobs { lease: SECOND * 3, concurrency: 2, retry: Retry::DEFAULT };
    let crew = Crew::start((0..3).map(|_| config(port, "me")), &jobs).await;
    crew.all_work(Instant::now(), PATIENCE).await;
    crew
}

/// What is taken away is what readiness says; given back, all work soon.
async fn lost_and_given_back(test: &str, without: &str, says: &str) {
    let injected = Injected::begin(test);
    let both = users(&[("admin", ALL), ("me", ALL)]);
    let server = block_in_place(|| DevServer::start_with(&both)).unwrap();
    let proxy = Proxy::start(server.port()).await.unwrap();
    let crew = at_work(&server, proxy.port()).await;
    reload(&server, without);
    injected.note("right taken away");
    let (begun, before) = (Instant::now(), proxy.connections());
    let reasons = are_red(&crew.probes(), begun + SECOND * 3, begun + SECOND * 4).await;
    println!("not ready: {reasons}");
    assert!(reasons.contains(says), "{reasons}");
    let tries = proxy.connections() - before;
    println!("{tries} connections in {:?}", begun.elapsed());
    assert!(tries <= 3 * 3 * (2 + begun.elapsed().as_secs() as usize), "{tries} connections");
    reload(&server, &both);
    let healed = Instant::now();
    let config = NatsConfig { servers: vec![server.url()], ..NatsConfig::default() };
    let as_me = |options: ConnectOptions| options.user_and_password("me".into(), "s3cr3t".into());
    let fetched = can_fetch(&config, as_me, PATIENCE).await - healed;
    let back = crew.all_work(healed, PATIENCE).await;
    println!("somebody new could fetch after {fetched:?}, all worked after {back:?}");
    assert!(back < fetched + SECOND * 2, "{back:?} after, {fetched:?} was possible");
    for probe in crew.probes() {
        timeout(PATIENCE, probe.ready()).await.unwrap();
    }
    crew.ledger.has_done(&(0..BACKLOG).collect::<Vec<_>>(), PATIENCE).await;
    crew.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_e5_a_user_that_is_revoked_is_what_readiness_says_until_it_is_back() {
    let without = users(&[("admin", ALL)]);
    lost_and_given_back("fault_e5_user", &without, "uthorization").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_e5_a_permission_that_is_revoked_is_what_readiness_says_until_it_is_back() {
    let without = users(&[("admin", ALL), ("me", NO_PULL)]);
    lost_and_given_back("fault_e5_permission", &without, "MSG.NEXT.JOBS").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_e5_wrong_credentials_are_an_error_at_once() {
    let injected = Injected::begin("fault_e5_wrong");
    let lines = users(&[("admin", ALL)]);
    let server = block_in_place(|| DevServer::start_with(&lines)).unwrap();
    let proxy = Proxy::start(server.port()).await.unwrap();
    let begun = Instant::now();
    let error = NatsTransport::connect(config(proxy.port(), "me")).await.map(drop).unwrap_err();
    injected.note("credentials wrong");
    assert!(matches!(error, ConnectError::Refused { .. }), "{error:?}");
    assert!(begun.elapsed() < SECOND * 2 && !format!("{error:?}").contains("s3cr3t"));
    sleep(200 * MILLISECOND).await;
    assert_eq!(proxy.connections(), 1, "it is not tried again");
}

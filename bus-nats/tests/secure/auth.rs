//! Users and tokens: let in, or refused at once.

use bus_core::transport::{Health, Transport};
use std::fs;

use super::*;

pub(crate) fn user(name: &str, password: &str) -> Auth {
    Auth::User { name: name.into(), password: Secret::new(password) }
}

/// The server says no, and is believed at once.
pub(crate) async fn refused(server: &DevServer, auth: Auth) {
    let begun = Instant::now();
    let error = refusal(NatsConfig { auth, ..config(server) }).await;
    assert!(matches!(error, ConnectError::Refused { .. }), "{error:?}");
    let expected = "the server refused us: authorization violation; check `auth`";
    assert_eq!(error.to_string(), expected);
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn a_user_is_known_by_the_password() {
    let users = "authorization { users = [ { user: me, password: s3cr3t } ] }\n";
    let server = DevServer::start_with(users).unwrap();
    publishes(NatsConfig { auth: user("me", "s3cr3t"), ..config(&server) }).await;
    refused(&server, user("me", "not-s3cr3t")).await;
    refused(&server, user("you", "s3cr3t")).await;
    refused(&server, Auth::Token(Secret::new("s3cr3t"))).await;
    refused(&server, Auth::None).await;
}

#[tokio::test]
async fn a_token_is_enough_where_the_server_has_one() {
    let server = DevServer::start_with("authorization { token: s3cr3t }\n").unwrap();
    publishes(NatsConfig { auth: Auth::Token(Secret::new("s3cr3t")), ..config(&server) }).await;
    refused(&server, Auth::Token(Secret::new("not-s3cr3t"))).await;
}

#[tokio::test]
async fn a_password_that_changed_is_what_health_says_until_it_is_right_again() {
    let users = |password| {
        format!("authorization {{ users = [ {{ user: me, password: {password} }} ] }}\n")
    };
    let mut server = DevServer::start_with(&users("s3cr3t")).unwrap();
    let config = NatsConfig { auth: user("me", "s3cr3t"), ..config(&server) };
    let transport = NatsTransport::connect(config).await.unwrap();
    let mut health = transport.health();
    let mut restart_with = |password| {
        fs::write(server.folder().join("server.conf"), users(password)).unwrap();
        server.restart().unwrap();
    };
    restart_with("changed");
    let refused = |health: &Health| matches!(health, Health::Unready { reason } if reason.contains("authorization violation"));
    timeout(PATIENCE, health.wait_for(refused)).await.unwrap().unwrap();
    restart_with("s3cr3t");
    let ready = health.wait_for(|health| *health == Health::Ready);
    timeout(PATIENCE, ready).await.unwrap().unwrap();
    Bus::new(transport).publish(&Placed {}).await.unwrap();
}

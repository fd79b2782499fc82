//! Keys in place of passwords: the server knows the public half only.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ::nkeys::KeyPair;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bus_core::transport::{Health, Transport};
use bus_nats::ConfigError;
use serde_json::{Value, json};

use super::auth::refused;
use super::*;

fn seed(keys: &KeyPair) -> Auth {
    Auth::NKey(Secret::new(keys.seed().unwrap()))
}

#[tokio::test]
async fn a_user_is_known_by_the_nkey() {
    let me = KeyPair::new_user();
    let users = format!("authorization {{ users = [ {{ nkey: {} }} ] }}\n", me.public_key());
    let server = DevServer::start_with(&users).unwrap();
    publishes(NatsConfig { auth: seed(&me), ..config(&server) }).await;
    refused(&server, seed(&KeyPair::new_user())).await;
    let auth = Auth::NKey(Secret::new("s3cr3t"));
    let error = refusal(NatsConfig { auth, ..config(&server) }).await;
    assert!(matches!(error, ConnectError::Config(ConfigError::Seed)), "{error:?}");
}

/// What `nsc` writes: claims, signed by whoever stands above.
fn token(subject: &KeyPair, by: &KeyPair, expires: u64, nats: Value) -> String {
    let encode = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let claims = json!({
        "jti": subject.public_key(), "iat": 1, "exp": expires, "iss": by.public_key(),
        "name": "test", "sub": subject.public_key(), "nats": nats,
    });
    let signed = [encode(json!({ "typ": "JWT", "alg": "ed25519-nkey" })), encode(claims)].join(".");
    let signature = URL_SAFE_NO_PAD.encode(by.sign(signed.as_bytes()).unwrap());
    format!("{signed}.{signature}")
}

/// A server that trusts an operator, who has this account and the system's own.
fn server(account: &KeyPair) -> DevServer {
    let (operator, system) = (KeyPair::new_operator(), KeyPair::new_account());
    let limits = |storage: i64| {
        json!({
            "subs": -1, "data": -1, "payload": -1, "imports": -1, "exports": -1, "conn": -1,
            "leaf": -1, "wildcards": true, "mem_storage": storage, "disk_storage": storage,
            "streams": storage, "consumer": storage,
        })
    };
    let account_token = |account, storage| {
        let claims = json!({ "type": "account", "version": 2, "limits": limits(storage) });
        token(account, &operator, 0, claims)
    };
    let claims = json!({ "type": "operator", "version": 2, "system_account": system.public_key() });
    let lines = format!(
        "operator: {}\nresolver: MEMORY\nresolver_preload: {{ {}: {}, {}: {} }}\n",
        token(&operator, &operator, 0, claims),
        system.public_key(),
        account_token(&system, 0),
        account.public_key(),
        account_token(account, -1),
    );
    DevServer::start_with(&lines).unwrap()
}

fn credentials(server: &DevServer, name: &str, token: &str, seed: &str) -> PathBuf {
    let path = server.folder().join(name);
    let text = format!(
        "-----BEGIN NATS USER JWT-----\n{token}\n------END NATS USER JWT------\n\n\
         -----BEGIN USER NKEY SEED-----\n{seed}\n------END USER NKEY SEED------\n"
    );
    fs::write(&path, text).unwrap();
    path
}

/// The file of a user, signed by an account.
fn user(server: &DevServer, me: &KeyPair, by: &KeyPair, expires: u64) -> Auth {
    let claims = json!({ "type": "user", "version": 2, "subs": -1, "data": -1, "payload": -1 });
    let token = token(me, by, expires, claims);
    Auth::Credentials(credentials(server, "me.creds", &token, &me.seed().unwrap()))
}

/// So many seconds from now, as tokens say it.
fn from_now(seconds: u64) -> u64 {
    let time = SystemTime::now() + Duration::from_secs(seconds);
    time.duration_since(UNIX_EPOCH).unwrap().as_secs()
}

#[tokio::test]
async fn fault_e5_credentials_that_expire_are_what_health_says_and_are_not_tried_in_a_hot_loop() {
    let (account, me) = (KeyPair::new_account(), KeyPair::new_user());
    let server = server(&account);
    let auth = user(&server, &me, &account, from_now(3));
    let transport = NatsTransport::connect(NatsConfig { auth, ..config(&server) }).await.unwrap();
    Bus::new(transport.clone()).publish(&Placed {}).await.unwrap();
    let refused =
        |health: &Health| matches!(health, Health::Unready { reason } if reason.contains("uthori"));
    let mut health = transport.health();
    timeout(Duration::from_secs(10), health.wait_for(refused)).await.unwrap().unwrap();
    let tries = || {
        let log = fs::read_to_string(server.folder().join("server.log")).unwrap();
        log.matches("authentication error").count()
    };
    let before = tries();
    sleep(Duration::from_secs(3)).await;
    let more = tries() - before;
    assert!((1..=20).contains(&more), "{more} tries in 3 s");
}

#[tokio::test]
async fn a_user_is_known_by_a_credentials_file() {
    let (account, me) = (KeyPair::new_account(), KeyPair::new_user());
    let server = server(&account);
    let user = |by: &KeyPair, expires| user(&server, &me, by, expires);
    publishes(NatsConfig { auth: user(&account, 0), ..config(&server) }).await;
    refused(&server, user(&account, 2)).await;
    refused(&server, user(&KeyPair::new_account(), 0)).await;
    publishes(NatsConfig { auth: user(&account, from_now(60)), ..config(&server) }).await;

    for (name, token, seed) in [("no-seed.creds", "a.b.c", "s3cr3t"), ("empty.creds", "", "")] {
        let auth = Auth::Credentials(credentials(&server, name, token, seed));
        let error = refusal(NatsConfig { auth, ..config(&server) }).await;
        assert!(matches!(error, ConnectError::Config(ConfigError::File { .. })), "{error:?}");
    }
}

//! What a server can do: refused below the floor or without JetStream, used for what it can above.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bus_core::prelude::*;
use bus_nats::dev_server::DevServer;
use bus_nats::{ConnectError, NatsConfig, NatsTransport};
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "orders.placed")]
struct Placed {}

fn config(server: &DevServer) -> NatsConfig {
    NatsConfig { servers: vec![server.url()], ..NatsConfig::default() }
}

async fn connect(version: &str) -> (DevServer, Result<NatsTransport, ConnectError>) {
    let server = DevServer::start_version(version).unwrap();
    let connected = NatsTransport::connect(config(&server)).await;
    (server, connected)
}

#[tokio::test]
async fn a_server_below_the_floor_is_refused_by_its_version() {
    let (_server, refused) = connect("2.10.26").await;
    let error = refused.unwrap_err();
    assert!(matches!(&error, ConnectError::TooOld { found } if found == "2.10.26"), "{error:?}");
    assert_eq!(error.to_string(), "nats-server 2.10.26 is too old: 2.12.8 or later is needed");
}

#[tokio::test]
async fn what_a_server_can_do_is_known_by_its_version() {
    for (version, schedules) in [("2.12.8", false), ("2.14.6", true)] {
        let (_server, connected) = connect(version).await;
        let transport = connected.unwrap();
        let capabilities = transport.capabilities();
        assert_eq!(
            (capabilities.version.to_string().as_str(), capabilities.schedules),
            (version, schedules)
        );
        Bus::new(transport).publish(&Placed {}).await.unwrap();
    }
}

#[tokio::test]
async fn a_server_whose_jetstream_nobody_answers_for_is_refused() {
    // As without `-js`, which is how every server of ours is started.
    let server = DevServer::start_with("mappings { \"$JS.API.INFO\": nowhere }\n").unwrap();
    let error = NatsTransport::connect(config(&server)).await.unwrap_err();
    let expected =
        "there is no JetStream for us: nobody answers its API: start the server with `-js`";
    assert_eq!(error.to_string(), expected);
}

//! What a user needs at least, and how a missing permission is told.

use std::fs;

use async_nats::jetstream;
use bus_core::operator::OperatorError;
use bus_core::transport::{GroupName, Transport, TransportError};
use bus_nats::Provision;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};

use super::auth::user;
use super::*;

const INBOX: &str = "_INBOX_bus.>";

/// What the documentation of `Provision::Never` says of a group.
const GROUP: [&str; 9] = [
    "$JS.API.CONSUMER.MSG.NEXT.ORDERS.billing_charge",
    "$JS.API.CONSUMER.MSG.NEXT.BUS_RETRY.billing_charge",
    "$JS.ACK.ORDERS.billing_charge.>",
    "$JS.ACK.BUS_RETRY.billing_charge.>",
    "$JS.API.STREAM.MSG.GET.BUS_RUNS",
    "$JS.API.STREAM.MSG.DELETE.BUS_RUNS",
    "BUS.runs.billing_charge.>",
    "BUS.later.billing_charge.>",
    "BUS.dead.billing_charge.>",
];

/// A server with an administrator, and with users who may publish and subscribe to this.
fn server(users: &[(&str, &[&str], &str)]) -> DevServer {
    let line = |(name, publish, subscribe): &(&str, &[&str], &str)| {
        format!(
            "{{ user: {name}, password: s3cr3t, \
             permissions: {{ publish: {publish:?}, subscribe: {subscribe:?} }} }}\n"
        )
    };
    let users: String = users.iter().map(line).collect();
    let admin = "{ user: admin, password: s3cr3t }\n";
    DevServer::start_with(&format!("authorization {{ users = [\n{admin}{users}] }}\n")).unwrap()
}

fn as_user(server: &DevServer, name: &str, provision: Provision) -> NatsConfig {
    NatsConfig { auth: user(name, "s3cr3t"), provision, ..config(server) }
}

#[tokio::test]
async fn a_producer_needs_its_subjects_and_its_inbox() {
    let server = server(&[("me", &["orders.>"], INBOX)]);
    publishes(as_user(&server, "admin", Provision::Create)).await;
    publishes(as_user(&server, "me", Provision::Never)).await;
}

#[tokio::test]
async fn a_producer_that_may_not_look_is_told_that_nothing_takes_its_events() {
    let server = server(&[("me", &["orders.>"], INBOX)]);
    let config = as_user(&server, "me", Provision::Never);
    let bus = Bus::new(NatsTransport::connect(config).await.unwrap());
    let error = bus.publish(&Placed {}).await.unwrap_err();
    let refused =
        PublishError::Refused(TransportError::NoStream { subject: "orders.placed".into() });
    assert_eq!(error.to_string(), refused.to_string());
}

#[tokio::test]
async fn what_a_connection_misses_is_said_within_a_second() {
    let users: [(_, &[&str], _); 2] =
        [("no-api", &["orders.>"], INBOX), ("no-inbox", &["$JS.API.>"], "none")];
    let server = server(&users);
    let missing = ["Publish to \"$JS.API.INFO\"", "Subscription to \"_INBOX_bus."];
    for ((name, ..), missing) in users.iter().zip(missing) {
        let begun = Instant::now();
        let error = refusal(as_user(&server, name, Provision::Verify)).await;
        assert!(matches!(error, ConnectError::NoJetStream { .. }), "{error:?}");
        assert!(error.to_string().contains(missing), "{error}");
        assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    }
}

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "orders.charged")]
struct Charged {
    what: String,
}

/// What was charged, and in which attempt.
type Run = (String, u32);

/// A good one is done, another fails once, a bad one is done only after it was redriven.
#[handler(retry = Retry::fixed(Duration::from_millis(10)).attempts(3))]
async fn charge(
    order: Charged,
    ctx: Context,
    State(runs): State<UnboundedSender<Run>>,
) -> HandlerResult {
    runs.send((order.what.clone(), ctx.attempt())).unwrap_or_default();
    match order.what.as_str() {
        "twice" if ctx.attempt() == 1 => Err(std::io::Error::other("once more").into()),
        "bad" if ctx.redrives() == 0 => Err(HandlerError::reject("bad")),
        _ => Ok(()),
    }
}

type Started = Result<(Running, UnboundedReceiver<Run>), StartError>;

async fn start(transport: NatsTransport) -> Started {
    let (tell, runs) = mpsc::unbounded_channel::<Run>();
    let service = Service::new("billing", Bus::new(transport)).handlers(handlers![charge]);
    Ok((service.state(tell).start().await?, runs))
}

/// A server on which somebody else made what the group needs.
async fn prepared(users: &[(&str, &[&str], &str)]) -> (DevServer, NatsTransport) {
    let server = server(users);
    let config = as_user(&server, "admin", Provision::Create);
    let admin = NatsTransport::connect(config).await.unwrap();
    let (running, _) = start(admin.clone()).await.unwrap();
    running.stop().await;
    (server, admin)
}

fn denied(started: Started, missing: &str, begun: Instant) {
    let error = started.map(drop).unwrap_err();
    let StartError::Transport(TransportError::Denied { reason }) = &error else {
        unreachable!("{error}")
    };
    assert!(reason.contains(missing), "{reason}");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

async fn next(runs: &mut UnboundedReceiver<Run>) -> Run {
    timeout(PATIENCE, runs.recv()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_group_handles_retries_and_gives_up_with_what_is_written() {
    let (server, admin) = prepared(&[("me", &GROUP, INBOX)]).await;
    let config = as_user(&server, "me", Provision::Never);
    let begun = Instant::now();
    let transport = NatsTransport::connect(config).await.unwrap();
    let (running, mut runs) = start(transport).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    let bus = Bus::new(admin.clone());
    for (what, attempts) in [("good", 1), ("twice", 2), ("bad", 1)] {
        bus.publish(&Charged { what: what.into() }).await.unwrap();
        for attempt in 1..=attempts {
            assert_eq!(next(&mut runs).await, (what.to_owned(), attempt));
        }
    }
    let group = GroupName::new("billing", "charge").unwrap();
    let operator = admin.operator().unwrap();
    let letters = eventually(async || {
        let letters = operator.dead_letters(Some(&group), 10).await.unwrap();
        (!letters.is_empty()).then_some(letters)
    })
    .await;
    assert_eq!(letters.len(), 1);
    operator.redrive(&letters[0].id, None).await.unwrap();
    assert_eq!(next(&mut runs).await, ("bad".to_owned(), 1));
    let context = jetstream::new(admin.client().clone());
    eventually(async || {
        let lag = operator.lag(&group).await.unwrap();
        let noted = context.get_stream("BUS_RUNS").await.unwrap().cached_info().state.messages;
        (lag.behind() == 0 && noted == 0).then_some(())
    })
    .await;
    assert_eq!(running.stop().await.abandoned, 0);
    let log = fs::read_to_string(server.folder().join("server.log")).unwrap();
    let unexpected = |line: &&str| line.contains("Violation") && !line.contains("CONSUMER.INFO");
    assert_eq!(log.lines().find(unexpected), None);
}

#[tokio::test]
async fn a_group_is_told_what_it_misses_within_a_second() {
    let names: Vec<_> = (0..GROUP.len()).map(|missing| format!("without-{missing}")).collect();
    let without = |missing| GROUP.into_iter().filter(|other| *other != missing).collect();
    let permissions: Vec<Vec<_>> = GROUP.into_iter().map(without).collect();
    let users = names.iter().zip(&permissions).map(|(name, all)| (&**name, &**all, INBOX));
    let (server, _admin) = prepared(&users.collect::<Vec<_>>()).await;
    for (name, missing) in names.iter().zip(GROUP) {
        let config = as_user(&server, name, Provision::Never);
        let transport = NatsTransport::connect(config).await.unwrap();
        let begun = Instant::now();
        denied(start(transport).await, missing.trim_end_matches('>'), begun);
    }
}

#[tokio::test]
async fn what_may_not_be_asked_is_said_within_a_second() {
    let streams = ["$JS.API.INFO", "$JS.API.STREAM.>"];
    let (server, _admin) = prepared(&[("me", &streams, INBOX)]).await;
    for provision in [Provision::Create, Provision::Verify] {
        let transport = NatsTransport::connect(as_user(&server, "me", provision)).await.unwrap();
        let group = GroupName::new("billing", "charge").unwrap();
        let begun = Instant::now();
        let lag = transport.operator().unwrap().lag(&group).await;
        assert!(matches!(lag, Err(OperatorError::Unavailable { .. })), "{lag:?}");
        denied(start(transport).await, "$JS.API.CONSUMER.", begun);
    }
}

#[tokio::test]
async fn a_group_that_nobody_made_is_told_so_within_a_second() {
    let server = server(&[("me", &GROUP, INBOX)]);
    let config = as_user(&server, "me", Provision::Never);
    let begun = Instant::now();
    let started = start(NatsTransport::connect(config).await.unwrap()).await;
    let error = started.map(drop).unwrap_err().to_string();
    assert!(error.contains("the consumer `billing_charge` of the stream `"), "{error}");
    assert!(error.contains("does not answer: it is missing, or has no leader"), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
}

#[test]
fn what_a_group_needs_stands_in_the_documentation() {
    let documentation = include_str!("../../src/config.rs");
    for permission in GROUP {
        assert!(documentation.contains(&format!("`{permission}`")), "{permission}");
    }
}

//! Nothing waits for a lease that nobody holds, and nothing is hoarded.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn after_an_outage_nothing_waits_for_its_lease() {
    let mut bench = Bench::new().await;
    let mut group = group(30 * SECOND);
    group.concurrency = 20;
    bench.publish(0..1).await;
    let mut deliveries = bench.subscribe(&group).await;
    next(&mut deliveries).await.settle(Settlement::Ack).await.unwrap();
    bench.server.kill().unwrap();
    sleep(16 * SECOND).await;
    bench.server.restart().unwrap();
    bench.publish(0..400).await;
    let mut seen = BTreeSet::new();
    let begun = Instant::now();
    while seen.len() < 400 && begun.elapsed() < 12 * SECOND {
        if let Some(Some(delivery)) = within(&mut deliveries, SECOND).await {
            seen.insert(text(&delivery));
            delivery.settle(Settlement::Ack).await.unwrap();
        }
    }
    assert_eq!(seen.len(), 400, "the others wait for the end of a lease that nobody holds");
}

#[tokio::test]
async fn a_service_of_many_groups_is_listed_whole() {
    let bench = Bench::new().await;
    bench.publish(0..1).await;
    drop(bench.subscribe(&group(SECOND)).await);
    for number in 0..600 {
        let name = format!("many_h{number}");
        let config = pull::Config {
            durable_name: Some(name.clone()),
            filter_subject: format!("BUS.copies.{name}.>"),
            ..pull::Config::default()
        };
        bench.raw.create_consumer_on_stream(config, "BUS_RETRY").await.unwrap();
    }
    let survey = bench.transport.survey(&Plan::new("many", Vec::new())).await.unwrap();
    assert_eq!(survey.groups.len(), 600);
}

fn users(deny: &str) -> String {
    format!(
        "authorization {{ users = [ {{ user: u, password: p, permissions: {{ publish: \">\", \
         subscribe: {{ allow: \">\", deny: [{deny}] }} }} }} ] }}\n"
    )
}

#[tokio::test]
async fn who_may_hear_again_is_not_deaf_for_ever() {
    let server = DevServer::start_with(&users("\"nothing\"")).unwrap();
    let auth = Auth::User { name: "u".into(), password: Secret::new("p") };
    let servers = vec![server.url()];
    let config = NatsConfig { servers, auth, ..NatsConfig::default() };
    let transport = NatsTransport::connect(config).await.unwrap();
    let publish = async || {
        let subject = Subject::parse("orders.eu.placed").unwrap();
        let envelope = Envelope::new(EventId::now(), "placed", subject, "0");
        transport.publish(envelope).await
    };
    publish().await.unwrap();
    let file = server.folder().join("server.conf");
    std::fs::write(&file, users("\"_INBOX_bus.>\"")).unwrap();
    server.signal("HUP").unwrap();
    sleep(2 * SECOND).await;
    let error = publish().await.unwrap_err();
    assert!(error.to_string().contains("Subscription"), "{error}");
    std::fs::write(&file, users("\"nothing\"")).unwrap();
    server.signal("HUP").unwrap();
    let mut server = server;
    sleep(SECOND).await;
    server.restart().unwrap();
    sleep(4 * SECOND).await;
    assert_eq!(publish().await, Ok(()));
}

#[tokio::test]
async fn a_handler_that_became_slow_keeps_nothing_from_its_neighbours() {
    let bench = Bench::new().await;
    bench.publish(0..3000).await;
    let group = group(3 * SECOND);
    let mut slow = bench.subscribe(&group).await;
    for _ in 0..1500 {
        next(&mut slow).await.settle(Settlement::Ack).await.unwrap();
    }
    let held = next(&mut slow).await;
    held.begin().await.unwrap();
    let other = connect(&bench.server, Provision::Create).await;
    let mut quick = other.subscribe(group.clone()).await.unwrap();
    let mut done = 0;
    while let Some(Some(delivery)) = within(&mut quick, 8 * SECOND).await {
        delivery.settle(Settlement::Ack).await.unwrap();
        done += 1;
    }
    // A few of them are in its hands already.
    assert!(done > 1499 - 80, "{done}: the others wait behind one run of another member");
}

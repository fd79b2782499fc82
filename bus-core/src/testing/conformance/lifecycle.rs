//! Groups are made, joined, left and joined again.

use super::answer::ack;
use super::bench::Bench;
use super::member::{gather, text, texts};
use crate::subject::Filter;
use crate::transport::{Health, Plan, TransportError};

/// A group that starts at the beginning receives what was published before it existed.
pub async fn an_event_published_before_its_group_reaches_it(bench: Bench) {
    bench.publish("early").await;
    let mut member = bench.join("charge").await;
    bench.publish("late").await;
    ack(member.runs("early").await).await;
    ack(member.runs("late").await).await;
}

/// A group outlives its members: joining again does not begin again.
pub async fn a_group_is_made_once(bench: Bench) {
    let mut first = bench.join("charge").await;
    bench.publish("before").await;
    ack(first.runs("before").await).await;
    first.stop();
    first.flush().await;
    drop(first);

    let mut second = bench.join("charge").await;
    bench.publish("after").await;
    ack(second.runs("after").await).await;
}

/// What is published while a group has no member waits for the next one.
pub async fn a_group_without_members_keeps_its_events(bench: Bench) {
    drop(bench.join("charge").await);
    bench.publish("alone").await;
    let mut member = bench.join("charge").await;
    ack(member.runs("alone").await).await;
}

/// Two members of one name are one group, which receives an event once.
pub async fn joining_twice_is_one_group(bench: Bench) {
    let mut first = bench.join("charge").await;
    let mut second = bench.join("charge").await;
    bench.publish("once").await;
    let (ones, others) = gather(&mut first, &mut second, 1).await;
    for delivery in ones.into_iter().chain(others) {
        assert_eq!(text(&delivery), "once");
        ack(delivery).await;
    }
    first.hears_nothing_for(bench.settings.quiet).await;
    second.hears_nothing_for(bench.settings.quiet).await;
}

/// A group that exists is not turned to other subjects: what waits for it would be lost.
pub async fn a_group_does_not_change_its_filter(bench: Bench) {
    let mut member = bench.join("charge").await;
    let mut other = bench.group("charge");
    other.filter = Filter::from(&bench.subject("cancelled"));
    assert!(bench.transport.subscribe(other).await.is_err(), "the filter was changed");
    bench.publish("still here").await;
    ack(member.runs("still here").await).await;
}

/// A transport on which events travel says that it is ready.
pub async fn a_transport_that_works_is_ready(bench: Bench) {
    let mut member = bench.join("charge").await;
    bench.publish("travels").await;
    ack(member.runs("travels").await).await;
    for transport in [&bench.transport, &bench.elsewhere] {
        assert_eq!(*transport.health().borrow(), Health::Ready);
    }
}

/// Publishing, joining and asking tell that nothing would store the events.
pub async fn an_uncovered_subject_is_refused(bench: Bench) {
    let Some(subject) = bench.settings.uncovered.clone() else { return };
    let refused =
        |error: Option<TransportError>| matches!(error, Some(TransportError::NoStream { .. }));
    let filter = Filter::from(&subject);

    let published = bench.transport.publish(bench.event_on(subject, "nowhere")).await;
    assert!(refused(published.err()), "it was published");

    let mut group = bench.group("charge");
    group.filter = filter.clone();
    assert!(refused(bench.transport.subscribe(group).await.err()), "it was joined");

    let plan = Plan::new(bench.settings.domain.as_str(), vec![filter.clone()]);
    let survey = bench.transport.survey(&plan).await;
    assert_eq!(survey.map(|survey| survey.uncovered), Ok(vec![filter]));
}

/// A survey names the groups of a service, and how much waits for each.
pub async fn a_survey_tells_what_waits(bench: Bench) {
    for handler in ["charge", "refund"] {
        let mut member = bench.join(handler).await;
        member.stop();
    }
    bench.publish("waits").await;
    let filters = vec![Filter::from(&bench.subject("placed"))];
    let plan = Plan::new(bench.settings.domain.as_str(), filters);
    let survey =
        bench.transport.survey(&plan).await.map(|survey| (survey.uncovered, survey.groups));
    let groups = ["charge", "refund"].map(|handler| (bench.group_name(handler), 1));
    let Ok((uncovered, mut found)) = survey else { return assert!(survey.is_ok(), "no survey") };
    found.sort();
    assert_eq!((uncovered, found), (Vec::new(), groups.to_vec()));
}

/// Whoever stops waiting for a delivery has not taken it: `poll_next` is cancel safe.
pub async fn a_wait_that_ends_early_loses_nothing(bench: Bench) {
    let mut member = bench.join("charge").await;
    let mut arrived = Vec::new();
    for number in 0..20 {
        arrived.extend(member.glance().await);
        bench.publish(&number.to_string()).await;
        arrived.extend(member.glance().await);
    }
    arrived.extend(member.take(20 - arrived.len()).await);
    let expected: Vec<String> = (0..20).map(|number| number.to_string()).collect();
    assert_eq!(texts(&arrived), expected);
}

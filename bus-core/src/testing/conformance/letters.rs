//! What is given up is kept whole, and gone from its group alone.

use std::time::Duration;

use super::answer::{ack, failed, give_up, retry};
use super::bench::Bench;
use crate::operator::DeadLetter;
use crate::settle::{Reason, Settlement};

/// A record holds the event unchanged, the reason, the last run and the group.
pub async fn a_dead_letter_is_kept_whole(bench: Bench) {
    let mut member = bench.join("charge").await;
    let mut sent = bench.event("rejected");
    sent.key = Some("order-4711".to_owned());
    assert_eq!(sent.headers.insert("tenant", "acme"), Ok(()));
    sent.payload = (0..=255).collect::<Vec<u8>>().into();
    bench.send(sent.clone()).await;
    retry(member.next().await, Duration::ZERO).await;

    let delivery = member.next().await;
    let (reason, failed) = (Reason::Exhausted, failed(&delivery));
    let answer = Settlement::DeadLetter { reason, failed: failed.clone() };
    assert_eq!(delivery.settle(answer).await, Ok(()));
    for letter in one_letter(&bench, "charge").await {
        assert_eq!(*letter.envelope, sent);
        assert_eq!((letter.reason, letter.failed, letter.redrives), (reason, failed.clone(), 0));
        assert_eq!(letter.group, bench.group_name("charge"));
    }
}

/// Each reason is told from the others.
pub async fn every_reason_is_kept(bench: Bench) {
    let reasons = [Reason::Rejected, Reason::Exhausted, Reason::Undecodable, Reason::UnknownType];
    let mut member = bench.join("charge").await;
    for reason in reasons {
        bench.publish(reason.as_str()).await;
        let delivery = member.runs(reason.as_str()).await;
        let failed = failed(&delivery);
        assert_eq!(delivery.settle(Settlement::DeadLetter { reason, failed }).await, Ok(()));
    }
    let letters = bench.dead_letters("charge").await;
    assert!(letters.len() == reasons.len() || !bench.settings.operator, "{letters:?}");
    for (letter, reason) in letters.iter().zip(reasons) {
        assert_eq!(letter.reason, reason);
    }
}

/// What is given up does not come again to its group, also when its lease would be over.
pub async fn a_dead_letter_is_gone_from_its_group(bench: Bench) {
    let mut member = bench.subscribe(bench.leased("charge")).await;
    bench.publish("rejected").await;
    give_up(member.runs("rejected").await).await;
    member.hears_nothing_for(bench.settings.lease * 3 + bench.settings.quiet).await;
    bench.all_done("charge").await;
}

/// What one group gives up is still to be done by the others.
pub async fn a_dead_letter_is_gone_from_no_other_group(bench: Bench) {
    let mut charge = bench.join("charge").await;
    let mut notify = bench.join("notify").await;
    bench.publish("rejected").await;
    give_up(charge.runs("rejected").await).await;
    ack(notify.runs("rejected").await).await;
    let mut report = bench.join("report").await;
    ack(report.runs("rejected").await).await;
    one_letter(&bench, "charge").await;
    assert!(bench.dead_letters("notify").await.is_empty());
}

/// An event that two groups give up has two records.
pub async fn an_event_has_a_record_for_every_group(bench: Bench) {
    bench.publish("rejected").await;
    for handler in ["charge", "notify"] {
        let mut member = bench.join(handler).await;
        give_up(member.runs("rejected").await).await;
    }
    let charge = one_letter(&bench, "charge").await;
    let notify = one_letter(&bench, "notify").await;
    for (charge, notify) in charge.iter().zip(&notify) {
        assert_ne!(charge.id, notify.id);
        assert_eq!(charge.envelope, notify.envelope);
    }
}

/// A list of one group holds its records alone; the list of all holds those of each.
pub async fn dead_letters_are_listed_by_group(bench: Bench) {
    let Some(operator) = bench.operator() else { return };
    for handler in ["charge", "notify", "report"] {
        let mut member = bench.join(handler).await;
        member.stop();
    }
    bench.publish("rejected").await;
    for handler in ["charge", "notify"] {
        let mut member = bench.join(handler).await;
        give_up(member.runs("rejected").await).await;
        one_letter(&bench, handler).await;
    }
    assert!(bench.dead_letters("report").await.is_empty());
    let all = operator.dead_letters(None, usize::MAX).await.unwrap_or_default();
    let ours = all.iter().filter(|letter| letter.group.service() == bench.settings.domain);
    assert_eq!(ours.count(), 2);
}

/// A list begins with what was given up first, and ends at its limit.
pub async fn the_oldest_dead_letters_are_listed_first(bench: Bench) {
    let Some(operator) = bench.operator() else { return };
    let mut member = bench.join("charge").await;
    for text in ["a", "b", "c", "d"] {
        bench.publish(text).await;
    }
    // The last is given up first: the age of a record is not that of its event.
    for delivery in member.take(4).await.into_iter().rev() {
        give_up(delivery).await;
    }
    let name = bench.group_name("charge");
    for (limit, expected) in [(0, ""), (1, "d"), (3, "dcb"), (4, "dcba"), (9, "dcba")] {
        let letters = operator.dead_letters(Some(&name), limit).await.unwrap_or_default();
        let listed: Vec<u8> =
            letters.iter().flat_map(|letter| letter.envelope.payload.to_vec()).collect();
        assert_eq!(String::from_utf8_lossy(&listed), expected);
    }
}

/// The one record of a group; none where there is no operator.
async fn one_letter(bench: &Bench, handler: &str) -> Vec<DeadLetter> {
    let letters = bench.dead_letters(handler).await;
    assert_eq!(letters.len(), usize::from(bench.settings.operator), "{letters:?}");
    letters
}

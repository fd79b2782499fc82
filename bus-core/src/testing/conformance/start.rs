//! Where a new group begins, and that one which exists goes on.

use super::answer::{ack, release};
use super::bench::Bench;
use crate::transport::{Group, Start};

/// A group that starts at the beginning receives all that is kept, in order.
pub async fn a_group_may_start_at_the_beginning(bench: Bench) {
    for text in ["a", "b", "c"] {
        bench.publish(text).await;
    }
    let mut member = bench.subscribe(starting(&bench, Start::Beginning)).await;
    for text in ["a", "b", "c"] {
        ack(member.runs(text).await).await;
    }
}

/// A group that starts now receives only what is published afterwards.
pub async fn a_group_may_start_now(bench: Bench) {
    bench.publish("before").await;
    let mut member = bench.subscribe(starting(&bench, Start::Now)).await;
    bench.publish("after").await;
    ack(member.runs("after").await).await;
    member.hears_nothing_for(bench.settings.quiet).await;
}

/// A group may start with the first event that was stored at a time or later.
pub async fn a_group_may_start_at_a_time(bench: Bench) {
    bench.publish("before").await;
    bench.pass(bench.settings.quiet).await;
    let time = bench.now();
    bench.pass(bench.settings.quiet).await;
    bench.publish("after").await;
    let mut member = bench.subscribe(starting(&bench, Start::At(time))).await;
    ack(member.runs("after").await).await;
    member.hears_nothing_for(bench.settings.quiet).await;
}

/// A group that exists goes on where it was, wherever a later member would have it start.
pub async fn a_group_that_exists_goes_on_where_it_was(bench: Bench) {
    let mut first = bench.subscribe(starting(&bench, Start::Now)).await;
    bench.publish("done").await;
    ack(first.runs("done").await).await;
    first.stop();
    first.flush().await;
    drop(first);
    bench.publish("open").await;
    for start in [Start::Now, Start::At(bench.now()), Start::Beginning] {
        let mut later = bench.subscribe(starting(&bench, start)).await;
        release(later.runs("open").await).await;
        later.stop();
        later.flush().await;
    }
}

/// Groups start each where they asked to, at the same time.
pub async fn every_group_has_its_own_start(bench: Bench) {
    bench.publish("before").await;
    let mut all = bench.join("all").await;
    let mut new = bench.subscribe(Group { start: Start::Now, ..bench.group("new") }).await;
    bench.publish("after").await;
    ack(new.runs("after").await).await;
    ack(all.runs("before").await).await;
    ack(all.runs("after").await).await;
}

fn starting(bench: &Bench, start: Start) -> Group {
    Group { start, ..bench.group("charge") }
}

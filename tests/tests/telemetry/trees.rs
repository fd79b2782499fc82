//! Which spans there are, in which trace, linked to what.

use bus_core::prelude::*;
use bus_core::telemetry::{SettleSpans, carry};
use opentelemetry::trace::{FutureExt, TraceContextExt, Tracer, TracerProvider};
use tokio::task::JoinSet;

use super::shop::{Does, Watched, placed};

/// Without the indentation of the source.
fn tree(text: &str) -> String {
    let lines: Vec<_> = text.lines().skip(1).collect();
    let depth = |line: &&str| line.len() - line.trim_start().len();
    let least = lines.iter().filter(|line| !line.trim().is_empty()).map(depth).min().unwrap_or(0);
    let lines = lines.iter().filter(|line| !line.trim().is_empty());
    lines.map(|line| format!("{}\n", &line[least..])).collect()
}

#[tokio::test]
async fn one_trace_spans_all_services() {
    let shop = Watched::new().await;
    shop.order(&[Does::Bills]).await;
    let wanted = tree(
        "
        publish orders.{region}.placed PRODUCER [service=orders]
          process orders.{region}.placed CONSUMER [bus.attempt=1 bus.outcome=ack service=billing] ~link(creation)->publish orders.{region}.placed
            publish invoices.created PRODUCER [service=billing]
              process invoices.created CONSUMER [bus.attempt=1 bus.outcome=ack service=mailer] ~link(creation)->publish invoices.created
        ",
    );
    assert_eq!(shop.capture.tree(), wanted);
}

#[tokio::test]
async fn attempts_are_siblings_each_linked_to_the_one_before() {
    let shop = Watched::new().await;
    shop.order(&[Does::Fails, Does::Panics, Does::Nothing]).await;
    let wanted = tree(
        "
        publish orders.{region}.placed PRODUCER [service=orders]
          process orders.{region}.placed CONSUMER [bus.attempt=1 bus.outcome=retry error.type=gateway service=billing] error ~link(creation)->publish orders.{region}.placed
            retry orders.{region}.placed CLIENT [service=billing]
          process orders.{region}.placed CONSUMER [bus.attempt=2 bus.outcome=retry error.type=panic service=billing] error ~link(creation)->publish orders.{region}.placed ~link(previous_attempt)->process orders.{region}.placed
            retry orders.{region}.placed CLIENT [service=billing]
          process orders.{region}.placed CONSUMER [bus.attempt=3 bus.outcome=ack service=billing] ~link(creation)->publish orders.{region}.placed ~link(previous_attempt)->process orders.{region}.placed
        ",
    );
    assert_eq!(shop.capture.tree(), wanted);
    let attempts = shop.spans("process orders.{region}.placed");
    for (earlier, later) in attempts.iter().zip(&attempts[1..]) {
        let linked = later.links.links[1].span_context.span_id();
        assert_eq!(linked, earlier.span_context.span_id());
    }
}

#[tokio::test]
async fn a_dead_letter_is_a_span_of_its_own_and_its_redrive_a_trace_of_its_own() {
    let shop = Watched::new().await;
    shop.order(&[Does::Hangs, Does::Fails, Does::Fails, Does::Nothing]).await;
    let orders = shop.orders();
    assert_eq!(orders.dead_letters().redrive().await.unwrap().redriven, 1);
    shop.all().await;
    let wanted = tree(
        "
        publish orders.{region}.placed PRODUCER [service=orders]
          process orders.{region}.placed CONSUMER [bus.attempt=1 bus.outcome=retry error.type=timeout service=billing] error ~link(creation)->publish orders.{region}.placed
            retry orders.{region}.placed CLIENT [service=billing]
          process orders.{region}.placed CONSUMER [bus.attempt=2 bus.outcome=retry error.type=gateway service=billing] error ~link(creation)->publish orders.{region}.placed ~link(previous_attempt)->process orders.{region}.placed
            retry orders.{region}.placed CLIENT [service=billing]
          process orders.{region}.placed CONSUMER [bus.attempt=3 bus.outcome=dead_letter error.type=gateway service=billing] error ~link(creation)->publish orders.{region}.placed ~link(previous_attempt)->process orders.{region}.placed
            dead_letter dead_letters PRODUCER [error.type=gateway service=billing] ~link(creation)->publish orders.{region}.placed
        redrive dead_letters INTERNAL [service=orders]
          publish orders.placed PRODUCER [service=orders] ~link(dead_letter)->dead_letter dead_letters ~link(origin)->publish orders.{region}.placed
            process orders.{region}.placed CONSUMER [bus.attempt=1 bus.outcome=retry error.type=timeout service=billing] error ~link(creation)->publish orders.placed ~link(origin)->publish orders.{region}.placed
              retry orders.{region}.placed CLIENT [service=billing]
            process orders.{region}.placed CONSUMER [bus.attempt=2 bus.outcome=retry error.type=gateway service=billing] error ~link(creation)->publish orders.placed ~link(previous_attempt)->process orders.{region}.placed ~link(origin)->publish orders.{region}.placed
              retry orders.{region}.placed CLIENT [service=billing]
            process orders.{region}.placed CONSUMER [bus.attempt=3 bus.outcome=dead_letter error.type=gateway service=billing] error ~link(creation)->publish orders.placed ~link(previous_attempt)->process orders.{region}.placed ~link(origin)->publish orders.{region}.placed
              dead_letter dead_letters PRODUCER [error.type=gateway service=billing] ~link(creation)->publish orders.placed
        ",
    );
    assert_eq!(shop.capture.tree(), wanted);
}

#[tokio::test]
async fn a_rejection_is_no_error_of_the_handler() {
    let shop = Watched::new().await;
    shop.order(&[Does::Rejects]).await;
    let wanted = tree(
        "
        publish orders.{region}.placed PRODUCER [service=orders]
          process orders.{region}.placed CONSUMER [bus.attempt=1 bus.outcome=reject error.type=no_card service=billing] ~link(creation)->publish orders.{region}.placed
            dead_letter dead_letters PRODUCER [error.type=no_card service=billing] ~link(creation)->publish orders.{region}.placed
        ",
    );
    assert_eq!(shop.capture.tree(), wanted);
}

#[tokio::test]
async fn every_answer_has_a_span_or_none_as_one_likes() {
    for (which, answers) in [(SettleSpans::None, vec![]), (SettleSpans::All, vec!["retry", "ack"])]
    {
        let shop = Watched::with(|telemetry| telemetry.settle_spans(which)).await;
        shop.order(&[Does::Fails, Does::Nothing]).await;
        let spans = shop.capture.spans();
        let seen = spans.iter().filter_map(|span| span.name.split_once(' '));
        let seen: Vec<_> = seen.map(|(operation, _)| operation).collect();
        let seen: Vec<_> =
            seen.into_iter().filter(|name| !["publish", "process"].contains(name)).collect();
        assert_eq!(seen, answers, "{which:?}");
    }
}

#[tokio::test]
async fn what_is_old_or_asks_for_it_is_processed_in_a_trace_of_its_own() {
    let apart = tree(
        "
        publish orders.{region}.placed PRODUCER [service=orders]
        process orders.{region}.placed CONSUMER [bus.attempt=1 bus.outcome=ack service=billing] ~link(creation)->publish orders.{region}.placed
        ",
    );
    let order = placed(&[Does::Nothing]);
    let asked = Watched::new().await;
    asked.orders().publish(&order).new_trace().await.unwrap();
    asked.all().await;
    assert_eq!(asked.capture.tree(), apart, "asked for");

    let told = Watched::with(|telemetry| telemetry.links_only()).await;
    told.order(&[Does::Nothing]).await;
    assert_eq!(told.capture.tree(), apart, "links only");

    let old = Watched::new().await;
    old.orders().publish(&order).after(2 * HOUR).await.unwrap();
    old.test.advance(2 * HOUR).await;
    old.test.settled().await;
    assert_eq!(old.capture.tree(), apart, "two hours old");

    let young = Watched::new().await;
    young.orders().publish(&order).after(MINUTE * 59).await.unwrap();
    young.test.advance(MINUTE * 59).await;
    young.test.settled().await;
    let delayed = apart.replace("\nprocess", "\n  process");
    assert_eq!(young.capture.tree(), delayed, "59 minutes old");
}

/// Publishes in each of the ways that a service may, under a span of its own.
#[tokio::test]
async fn every_publish_is_part_of_what_published_it() {
    let shop = Watched::new().await;
    let (bus, order) = (shop.orders(), placed(&[Does::Nothing]));
    let tracer = shop.capture.tracer_provider().tracer("web");
    let request = opentelemetry::Context::new().with_span(tracer.start("POST /orders"));
    let work = async {
        bus.publish(&order).await.unwrap();
        bus.publish_all([&order, &order]).await.into_iter().for_each(|done| drop(done.unwrap()));
        bus.publish(&order).after(MINUTE).await.unwrap();
        let mut tasks = JoinSet::new();
        let (bus, order) = (bus.clone(), order.clone());
        tasks.spawn(carry(async move { bus.publish(&order).await }));
        tasks.join_next().await.unwrap().unwrap().unwrap();
    };
    work.with_context(request.clone()).await;
    shop.all().await;
    request.span().end();
    let text = shop.capture.tree();
    let under = |prefix: &str| text.lines().filter(|line| line.starts_with(prefix)).count();
    assert_eq!(under("POST /orders"), 1, "{text}");
    assert_eq!(under("  publish orders"), 5, "{text}");
    assert_eq!(under("    process orders"), 5, "{text}");
    assert_eq!(text.lines().count(), 11, "{text}");
}

#[tokio::test]
async fn a_task_of_a_handler_publishes_in_its_trace_by_the_context_or_with_carry() {
    let shop = Watched::new().await;
    let bus = shop.bus("tasks", |telemetry| telemetry);
    let other = bus.clone();
    let spawn = move |_: super::shop::Placed, ctx: Context| {
        let bus = other.clone();
        async move {
            let invoice = || super::shop::Invoice { runs: vec![Does::Nothing] };
            let mut tasks = JoinSet::new();
            let (by_context, by_bus) = (ctx.clone(), bus.clone());
            tasks.spawn(async move { by_context.publish(&invoice()).await });
            tasks.spawn(carry(async move { by_bus.publish(&invoice()).await }));
            while let Some(done) = tasks.join_next().await {
                done.unwrap()?;
            }
            HandlerResult::Ok(())
        }
    };
    shop.test.start(Service::new("tasks", bus).on("spawn", spawn)).await.unwrap();
    shop.order(&[Does::Nothing]).await;
    let text = shop.capture.tree();
    let published = "    publish invoices.created PRODUCER [service=tasks]";
    assert_eq!(text.lines().filter(|line| *line == published).count(), 2, "{text}");
}

#[tokio::test]
async fn spans_of_a_handler_nest_in_its_attempt() {
    let shop = Watched::new().await;
    let providers = shop.capture.service("work");
    let tracer = std::sync::Arc::new(providers.tracer.tracer("handler"));
    let work = move |_: super::shop::Placed, _: Context| {
        let tracer = std::sync::Arc::clone(&tracer);
        async move {
            tokio::task::yield_now().await;
            tracer.in_span("charge the card", |_| ());
        }
    };
    let bus = shop.bus("work", |telemetry| telemetry);
    shop.test.start(Service::new("work", bus).on("work", work)).await.unwrap();
    shop.order(&[Does::Nothing]).await;
    let text = shop.capture.tree();
    let lines: Vec<_> = text.lines().collect();
    let inner =
        lines.iter().position(|line| *line == "    charge the card INTERNAL [service=work]");
    let outer = lines[inner.unwrap() - 1];
    assert!(outer.starts_with("  process") && outer.contains("service=work"), "{text}");
}

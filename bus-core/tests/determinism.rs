//! The same seed gives the same history, event by event.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::time::Duration;

use bus_core::memory::{Memory, MemoryConfig};
use bus_core::operator::Operator;
use bus_core::prelude::*;
use bus_core::testing::Fact;
use bus_core::transport::GroupName;
use serde::{Deserialize, Serialize};

const SEEDS: u64 = 1_000;

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "orders.{region}.placed")]
struct Placed {
    region: u32,
    n: u32,
}

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "payments.taken")]
struct Taken {
    n: u32,
}

const POLICY: Retry = Retry::exponential(SECOND, MINUTE).attempts(3);

/// Fails by the event's id, which comes from the seed.
fn fails(ctx: &Context, one_in: u32) -> bool {
    let sum: u32 = ctx.id().to_string().bytes().map(u32::from).sum();
    (sum + ctx.attempt()).is_multiple_of(one_in)
}

#[handler(retry = POLICY, concurrency = 3)]
async fn charge(placed: Placed, ctx: Context) -> HandlerResult {
    tokio::time::sleep(SECOND * (placed.n % 5)).await;
    if fails(&ctx, 3) {
        return Err("the gateway is away".into());
    }
    ctx.publish(&Taken { n: placed.n }).await?;
    Ok(())
}

#[handler(retry = POLICY, concurrency = 2, timeout = Duration::from_secs(2))]
async fn ship(taken: Taken, ctx: Context) -> HandlerResult {
    if fails(&ctx, 4) {
        return Err(HandlerError::reject("no such address"));
    }
    tokio::time::sleep(SECOND * (taken.n % 4)).await;
    Ok(())
}

/// Every fact in one line, the ids and the errors included.
fn history(seed: u64) -> Vec<String> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let memory = Memory::seeded(MemoryConfig::default(), seed);
        memory.record();
        let bus = memory.bus();
        let shop = Service::new("shop", bus.clone()).handlers(handlers![charge, ship]);
        let (shop, replica) = (shop.start().await.unwrap(), Service::new("shop", bus.clone()));
        let replica = replica.handlers(handlers![charge, ship]).start().await.unwrap();
        for n in 0..12 {
            bus.publish(&Placed { region: n % 3, n }).await.unwrap();
            tokio::time::sleep(SECOND / 4).await;
        }
        for handler in ["charge", "ship"] {
            let group = GroupName::new("shop", handler).unwrap();
            while memory.lag(&group).await.unwrap() != Default::default() {
                tokio::time::sleep(SECOND).await;
            }
        }
        shop.stop().await;
        replica.stop().await;
        memory.history().iter().map(line).collect()
    })
}

fn line(fact: &Fact) -> String {
    format!("{fact:?}")
}

#[test]
fn the_same_seed_gives_the_same_history_event_by_event() {
    let mut different = BTreeSet::new();
    let (mut retries, mut letters) = (0, 0);
    for seed in 0..SEEDS {
        let (first, second) = (history(seed), history(seed));
        for (at, (one, other)) in first.iter().zip(&second).enumerate() {
            assert_eq!(one, other, "seed {seed}, fact {at}");
        }
        assert_eq!(first.len(), second.len(), "seed {seed}");
        retries += first.iter().filter(|line| line.contains("Retry {")).count();
        letters += first.iter().filter(|line| line.contains("DeadLetter {")).count();
        different.insert(first);
    }
    assert_eq!(different.len() as u64, SEEDS, "another seed is another history");
    assert!(retries > 1_000 && letters > 1_000, "{retries} retries, {letters} dead letters");
}

//! Events and handlers that a macro of the user's makes.

use bus_core::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

macro_rules! told {
    ($($event:ident: $subject:literal by $handler:ident, $at_once:expr;)+) => {$(
        #[derive(Serialize, Deserialize, Event)]
        #[event(subject = $subject)]
        struct $event {}

        #[handler(concurrency = $at_once)]
        async fn $handler(_: $event, ctx: Context, State(told): State<Notify>) {
            assert_eq!(ctx.group().handler(), stringify!($handler));
            told.notify_one();
        }
    )+};
}

told! {
    Placed: "orders.placed" by bill, 4;
    Cancelled: "orders.cancelled" by refund, 2 + 2;
}

#[tokio::test]
async fn they_are_as_those_written_by_hand() {
    let (bus, told) = (Bus::in_memory(), std::sync::Arc::new(Notify::new()));
    let service = Service::new("billing", bus.clone()).shared(told.clone());
    let running = service.handlers(handlers![bill, refund]).start().await.unwrap();
    bus.publish(&Placed {}).await.unwrap();
    told.notified().await;
    bus.publish(&Cancelled {}).await.unwrap();
    told.notified().await;
    running.stop().await;
}

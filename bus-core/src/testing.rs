//! What a service's author needs to test handlers and flows, without a server and without sleeps.
//!
//! ```
//! use bus_core::prelude::*;
//! use bus_core::testing::TestBus;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, Event)]
//! #[event(subject = "orders.placed")]
//! struct OrderPlaced { order: u32 }
//!
//! #[derive(Serialize, Deserialize, Event)]
//! #[event(subject = "payments.taken")]
//! struct PaymentTaken { order: u32 }
//!
//! #[handler(retry = Retry::fixed(MINUTE))]
//! async fn charge(placed: OrderPlaced, ctx: Context, Attempt(attempt): Attempt) -> HandlerResult {
//!     if placed.order == 7 && attempt < 3 {
//!         return Err("the gateway is away".into());
//!     }
//!     ctx.publish(&PaymentTaken { order: placed.order }).await?;
//!     Ok(())
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let test = TestBus::new();
//! test.start(Service::new("billing", test.bus()).handlers(handlers![charge])).await?;
//!
//! test.publish(&OrderPlaced { order: 7 }).settled().await?;
//! assert_eq!((test.handled("charge"), test.retried("charge")), (0, 1));
//!
//! test.advance(MINUTE * 2).await;
//! assert_eq!((test.handled("charge"), test.retried("charge")), (1, 2));
//! assert_eq!(test.published::<PaymentTaken>().len(), 1);
//!
//! test.assert_idempotent("charge", &OrderPlaced { order: 8 }).await;
//! # Ok(()) }
//! ```

pub use self::manifest::assert_manifest;
pub use self::test_bus::TestBus;
pub use self::test_context::TestContext;
pub use self::test_publish::TestPublish;
pub use crate::memory::history::Fact;

mod idempotent;
mod manifest;
mod test_bus;
mod test_context;
mod test_publish;

#[cfg(feature = "conformance")]
pub mod conformance;

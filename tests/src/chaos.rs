//! Faults that tests make on purpose: on the wire, in servers, in a cluster, on a disk.
//!
//! ```no_run
//! # async fn example() -> std::io::Result<()> {
//! use tests::chaos::injected::Injected;
//! use tests::chaos::proxy::{Action, Proxy, When};
//!
//! let injected = Injected::begin("fault_a2_example");
//! let proxy = Proxy::start(4222).await?; // clients use `proxy.url()`
//! let mut lost = proxy.rule(When::to_client().payload("\"seq\":").every(3), Action::Drop);
//! let acked = lost.next().await; // as soon as the first one was dropped
//! injected.add("ack dropped", lost.count());
//! # drop(acked);
//! # Ok(())
//! # }
//! ```

pub mod api;
pub mod cluster;
pub mod frame;
pub mod injected;
pub mod proxy;
pub mod store;

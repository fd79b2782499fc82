//! The same work, done by us, by hand, and by the peers.

pub(crate) mod apalis;
pub(crate) mod ours;
pub(crate) mod raw;
pub(crate) mod ruststream;

/// How many are on their way to the server at once; the bus's default.
pub(crate) const WINDOW: usize = 4096;

/// How many handlers run at once.
pub(crate) const SLOTS: usize = 64;

/// How many deliveries may be open. The peers' defaults, about 1,000, would let them wait for the
/// server; so all get the bus's default.
pub(crate) const OPEN: i64 = 200_000;

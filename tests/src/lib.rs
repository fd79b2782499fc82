//! Support for the tests that span crates.

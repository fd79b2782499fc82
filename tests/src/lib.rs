//! Support for the tests that span crates.

pub mod nested;
pub mod ui;

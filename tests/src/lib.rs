//! Support for the tests that span crates.

pub mod chaos;
pub mod jobs;
pub mod nested;
pub mod ui;

//! Support for the tests that span crates.

pub mod acts;
pub mod chaos;
pub mod jobs;
pub mod manner;
pub mod nested;
pub mod ui;

//! How a test reads the shop's report.
#![expect(clippy::expect_used, clippy::panic, reason = "a test has to fail here")]

use std::process::Output;

use serde_json::Value;

/// The one line on standard output.
pub(crate) fn report(output: &Output) -> Value {
    let text = str::from_utf8(&output.stdout).expect("the report is text");
    assert!(text.ends_with('\n'), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
    serde_json::from_str(text).expect("the line is JSON")
}

/// A number of the report, or the sum of it over all handlers.
pub(crate) fn number(report: &Value, name: &str) -> u64 {
    report[name].as_u64().unwrap_or_else(|| panic!("no number `{name}` in {report}"))
}

pub(crate) fn sum(report: &Value, name: &str) -> u64 {
    let handlers = report["handlers"].as_object().expect("there are handlers");
    handlers.values().map(|handler| number(handler, name)).sum()
}

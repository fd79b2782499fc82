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

/// What a run of 500 orders comes to whose gateway is mended at the end: what it had left comes back,
/// each once, and to the handler that had given it up.
pub(crate) fn mended(output: &Output) {
    let report = report(output);
    assert!(output.status.success(), "{report}");
    let causes = report["causes"].as_array().expect("there are causes");
    let texts: Vec<_> = causes.iter().filter_map(Value::as_str).collect();
    assert!(texts[0].starts_with("billing_charge: 10 rejected (no_such_card): "), "{report}");
    let others = [
        "billing_charge: 6 max_attempts (gateway_away): the gateway is away",
        "mailer_invoice: 5 max_attempts (mailbox_full): the customer's mailbox is full",
    ];
    assert_eq!(texts[1..], others);
    assert_eq!((number(&report, "lost"), number(&report, "dead_lettered")), (0, 10), "{report}");
    assert_eq!((number(&report, "redriven"), sum(&report, "redriven")), (11, 11), "{report}");
    let handlers = &report["handlers"];
    assert_eq!(number(&handlers["charge"], "redriven"), 6, "{report}");
    assert_eq!(number(&handlers["invoice"], "redriven"), 5, "{report}");
    assert_eq!(number(&handlers["charge"], "handled"), 490, "{report}");
    // It listens to the same events.
    assert_eq!(number(&handlers["welcome"], "handled"), 500, "{report}");
    assert_eq!(number(&handlers["close"], "handled"), 490, "{report}");
}

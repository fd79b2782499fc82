//! Subjects: no value breaks or forges one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bus_core::subject::{Filter, InvalidSubject, MAX_FIELD, MAX_SUBJECT};
use bus_core::{Subject, Template};
use proptest::prelude::*;

/// The macros check literals by the same rules, with spans.
#[path = "../../bus-macros/src/subject.rs"]
#[expect(dead_code, reason = "it is the macros' file, read here to hold both together")]
mod macros;

const PLACED: Template = Template::literal("orders.{region}.{customer}.placed");

#[test]
fn literals_are_judged_the_same_in_const_and_by_the_macros() {
    let table = [
        ("orders.placed", true),
        ("o1_2-3.{a}.B-c_9", true),
        ("orders.{region}.placed", true),
        ("orders", false),
        ("", false),
        (".", false),
        ("orders.", false),
        (".placed", false),
        ("orders..placed", false),
        ("Orders.placed", false),
        ("1orders.placed", false),
        ("{region}.placed", false),
        ("orders.*", false),
        ("orders.a*b", false),
        ("orders.>", false),
        ("orders.pla ced", false),
        ("orders.pla\tced", false),
        ("orders.pla\u{7f}ced", false),
        ("orders.{", false),
        ("orders.{}", false),
        ("orders.a{b}", false),
        ("orders.{a}b", false),
        ("orders.{a b}", false),
        ("orders.{ä}", false),
        ("orders.größe", true),
    ];
    for (text, good) in table {
        let literal = syn::LitStr::new(text, proc_macro2::Span::call_site());
        assert_eq!(macros::fields(&literal).is_ok(), good, "the macro on {text:?}");
        let judged = std::panic::catch_unwind(|| Template::literal(text)).is_ok();
        assert_eq!(judged, good, "const on {text:?}");
        if good && !text.contains('{') {
            assert!(Subject::parse(text).is_ok(), "parse of {text:?}");
        }
    }
    let long = format!("orders.{}", "x".repeat(MAX_SUBJECT));
    assert!(Subject::parse(long).is_err());
}

#[test]
fn a_value_that_does_not_fit_is_a_typed_error() {
    let fits = "x".repeat(MAX_FIELD);
    assert!(PLACED.fill(&[&"eu", &fits]).is_ok());
    let error = PLACED.fill(&[&"eu", &format!("{fits}x")]).unwrap_err();
    assert_eq!(error, InvalidSubject::FieldTooLong { field: "customer" });
    let error = PLACED.fill(&[&"eu"]).unwrap_err();
    assert_eq!(error, InvalidSubject::MissingField { field: "customer" });
    // Ten fields that fit each do not fit together.
    const MANY: Template = Template::literal("orders.{a}.{b}.{c}.{d}.{e}");
    let error = MANY.fill(&[&fits, &fits, &fits, &fits, &fits]).unwrap_err();
    assert!(matches!(error, InvalidSubject::Text { .. }), "{error}");
}

#[test]
fn every_field_has_a_token_of_its_own_even_if_it_is_empty() {
    assert_eq!(PLACED.fill(&[&"", &"%"]).unwrap().as_str(), "orders.%.%25.placed");
    assert_eq!(PLACED.fill(&[&"a.b", &"* >"]).unwrap().as_str(), "orders.a%2Eb.%2A%20%3E.placed");
}

#[test]
fn a_filter_matches_whole_tokens() {
    let filter = PLACED.filter();
    assert_eq!(filter.as_str(), "orders.*.*.placed");
    for (subject, matches) in [
        ("orders.eu.c1.placed", true),
        ("orders.eu.placed", false),
        ("orders.eu.c1.x.placed", false),
        ("orders.eu.c1.cancelled", false),
        ("billing.eu.c1.placed", false),
    ] {
        assert_eq!(filter.matches(&Subject::parse(subject).unwrap()), matches, "{subject}");
    }
    for (text, good) in [
        ("orders.*.placed", true),
        ("orders.placed", true),
        ("orders.*", true),
        ("*.placed", false),
        ("orders", false),
        ("orders.a*", false),
        ("orders.>", false),
        ("orders..*", false),
    ] {
        assert_eq!(Filter::parse(text).is_ok(), good, "{text}");
    }
    let exact = Filter::from(&Subject::literal("orders.eu.c1.placed"));
    assert!(filter.overlaps(&exact) && exact.overlaps(&filter));
    assert!(!exact.overlaps(&Template::literal("orders.placed").filter()));
}

/// The inverse of the encoding; that there is one shows that it is injective.
fn decode(token: &str) -> String {
    if token == "%" {
        return String::new();
    }
    let (mut bytes, mut rest) = (Vec::new(), token.bytes());
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let hex = [rest.next().unwrap(), rest.next().unwrap()];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap());
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).unwrap()
}

proptest! {
    #[test]
    fn no_value_breaks_or_forges_a_subject(region in any::<String>(), customer in "\\PC{0,80}|[ .*>\\x00-\\x1f]{0,20}") {
        match PLACED.fill(&[&region, &customer]) {
            Ok(subject) => {
                let tokens: Vec<_> = subject.as_str().split('.').collect();
                prop_assert_eq!(tokens.len(), 4);
                prop_assert_eq!((tokens[0], tokens[3]), ("orders", "placed"));
                prop_assert_eq!((decode(tokens[1]), decode(tokens[2])), (region, customer));
                prop_assert!(PLACED.filter().matches(&subject));
                // What we make, everybody else takes for a subject too.
                prop_assert!(Subject::parse(subject.as_str()).is_ok());
                prop_assert!(subject.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
            }
            Err(error) => {
                let too_long = matches!(error, InvalidSubject::FieldTooLong { .. });
                prop_assert!(too_long && (region.len() > MAX_FIELD / 3 || customer.len() > MAX_FIELD / 3));
            }
        }
    }

    #[test]
    fn a_parsed_subject_keeps_the_rules(text in "\\PC{0,30}|[a-z .*>\\x00-\\x20]{0,30}") {
        if let Ok(subject) = Subject::parse(text.as_str()) {
            let tokens: Vec<_> = text.split('.').collect();
            prop_assert!(tokens.len() >= 2 && tokens.iter().all(|token| !token.is_empty()));
            prop_assert!(!text.contains(['*', '>', ' ', '\n', '\r', '\t', '\0']));
            prop_assert_eq!(subject.domain(), tokens[0]);
        }
    }
}

//! Each mistake gives one message, in our words, at the part to blame.
//!
//! The cases are the programs in `fixtures/ui/src/bin`. Where rustc's own words are better, a case
//! asks for those.

use tests::nested::Cargo;
use tests::ui::{Seen, cases};

#[test]
fn every_mistake_gives_one_message_at_the_part_to_blame() {
    let cargo = Cargo::new(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (cases, seen) = (cases().unwrap(), Seen::check(&cargo).unwrap());
    let faults: Vec<_> = cases.iter().flat_map(|case| case.faults(&seen)).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_macro_has_cases_and_one_program_compiles() {
    let cases = cases().unwrap();
    let count = |macro_| cases.iter().filter(|case| case.name.starts_with(macro_)).count();
    assert!(count("handler_") > 30 && count("event_") > 20 && count("failure_") > 14);
    assert_eq!(cases.iter().filter(|case| case.compiles).count(), 1);
}

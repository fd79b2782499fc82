//! What programs see of the crates that cargo gives them. Each program prints it.

#[cfg(target_os = "linux")]
use bus_core::registry::RegistryError;

use super::{built, cargo};
use tests::nested::{FIXTURES, text_of};

/// The package's own library, a library, and one that only that library names.
const ALL: &str = "\
app: welcome handles users.joined v1 on users.joined
leaf: audit handles orders.placed v1 on orders.placed
orders::handlers: charge handles orders.placed v1 on orders.placed
orders::handlers: refund handles orders.placed v1 on orders.placed
";

const ORDERS: &str = "\
orders::handlers: charge handles orders.placed v1 on orders.placed
orders::handlers: refund handles orders.placed v1 on orders.placed
";

#[test]
fn a_program_has_the_handlers_of_libraries_that_it_never_names() {
    let cargo = built("build -p app --bins --examples").unwrap();
    assert_eq!(cargo.output_of("app").unwrap(), ALL);
    assert_eq!(cargo.output_of("examples/seen").unwrap(), ALL);
    assert_eq!(cargo.output_of("one").unwrap(), ORDERS);
}

#[test]
fn without_the_macro_they_would_be_lost() {
    let cargo = built("build -p app --bins").unwrap();
    assert_eq!(cargo.output_of("without").unwrap(), "");
}

#[test]
fn an_integration_test_has_them_too() {
    let output = cargo().unwrap().run("test -p app --test seen -- --nocapture").unwrap();
    let text = text_of(&output);
    assert!(output.status.success() && ALL.lines().all(|line| text.contains(line)), "{text}");
}

// The one gap: rustc is told of direct dependencies only, so a library that none of its own
// dependents names is out of reach for the program behind them. A manifest shows it.
#[test]
fn a_library_behind_one_that_does_not_name_it_needs_the_macro_there() {
    let cargo = built("build -p chain").unwrap();
    assert_eq!(cargo.output_of("chain").unwrap(), "");
    let cargo = built("build -p chain --features discover").unwrap();
    let seen = cargo.output_of("chain").unwrap();
    assert!(seen.ends_with(ORDERS) && seen.starts_with("leaf: audit"), "{seen}");
}

#[test]
fn two_versions_of_the_registry_do_not_resolve() {
    let folder = format!("{FIXTURES}/versions");
    let output = cargo().unwrap().command(&folder, "check").output().unwrap();
    let text = text_of(&output);
    assert!(!output.status.success(), "{text}");
    assert!(text.contains("links to the native library `bus-core`"), "{text}");
}

#[test]
fn a_module_in_two_crates_is_refused() {
    let cargo = built("build -p twice --bins").unwrap();
    let said = cargo.output_of("twice").unwrap();
    let there = "`charge` (registry/twice/src/handlers.rs:8) is there twice, as `library::handlers` \
                 and as ";
    assert!(said.starts_with(&format!("{there}`twice::handlers`")), "{said}");
    // Cargo's default, a program named like its library: the modules' paths are the same.
    let said = cargo.output_of("library").unwrap();
    assert!(said.starts_with(&format!("{there}`library::handlers`")), "{said}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_program_whose_constructors_did_not_run_says_so_and_takes_a_list() {
    let cargo = built("build -p silent --bins").unwrap();
    assert_eq!(cargo.output_of("sound").unwrap(), "discovered: started\nlisted: started\n");
    let expected = format!("discovered: {}\nlisted: started\n", RegistryError::NoConstructors);
    assert_eq!(cargo.output_of("silent").unwrap(), expected);
}

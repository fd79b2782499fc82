//! Tests the tests: plants each sabotage of `bus_core::sabotage` and sees that the test that has to
//! find it fails; `cargo run -p tests --bin sabotage`, with names to try only those.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what it prints is what it is for")]

use std::collections::BTreeSet;
use std::process::{Command, ExitCode, Output};
use std::{env, io};

use bus_core::sabotage::Sabotage;

/// What finds a sabotage: the package, the file of tests, and how the test's name begins.
type FoundBy = (Sabotage, &'static str, &'static str, &'static str);

const FOUND_BY: &[FoundBy] = &[
    (Sabotage::AckBeforeLetter, "tests", "faults", "fault_d7_a_letter_that_is_denied"),
    (Sabotage::AttemptsByDelivery, "tests", "faults", "fault_b1_events_that_only_waited_in_killed"),
    (Sabotage::BareNak, "tests", "faults", "fault_b9_what_fails_together"),
    (Sabotage::DroppedErrors, "tests", "faults", "fault_b8_the_last_attempt"),
    (Sabotage::EndSilently, "tests", "faults", "fault_b10"),
    (Sabotage::LooksHealthy, "tests", "faults", "fault_e5_a_user_that_is_revoked"),
    (Sabotage::NewIdOnRetry, "tests", "faults", "fault_a2"),
    (Sabotage::NoBreaker, "tests", "faults", "breaker::"),
    (Sabotage::NoMark, "bus-nats", "redrive", "what_was_run_after_a_redrive"),
    (Sabotage::NoPoisonSearch, "tests", "faults", "fault_b6"),
    (Sabotage::NoRenewal, "tests", "faults", "fault_b4_c4"),
    (Sabotage::NoTimeout, "tests", "faults", "fault_c3"),
    (Sabotage::PanicsAreDone, "tests", "faults", "fault_c1"),
    (Sabotage::Prefetch, "tests", "faults", "credit::"),
    (Sabotage::RemoveFirst, "bus-nats", "redrive", "a_redrive_that_can_not_store_its_copies"),
    (Sabotage::StopWithoutFlush, "tests", "faults", "fault_f1_stops_at_any_moment"),
    (Sabotage::StopWithoutHandBack, "tests", "faults", "fault_b13"),
    (Sabotage::StoredAgain, "bus-nats", "redrive", "a_redrive_that_ended_in_the_middle"),
    (Sabotage::UnknownIsStored, "tests", "faults", "fault_a3_a_publish_whose"),
];

/// Runs a row's test, with the sabotage or without.
fn run(row: &FoundBy, is_planted: bool) -> io::Result<Output> {
    let (planted, package, file, test) = *row;
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["test", "--quiet", "--target-dir", "target/sabotage", "-p", package]);
    cargo.args(["--features", "sabotage", "--test", file, "--", test]);
    cargo.env_remove("BUS_SABOTAGE");
    cargo.envs(is_planted.then(|| ("BUS_SABOTAGE", planted.name())));
    cargo.output()
}

/// Whether one test ran, by what it printed.
fn has_run(output: &Output) -> bool {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().any(|line| line.starts_with("test result: ok. ") && !line.contains(" 0 passed;"))
}

/// What came of it, in a word or two.
fn verdict(row: &FoundBy) -> io::Result<&'static str> {
    let whole = run(row, false)?;
    if !has_run(&whole) {
        eprintln!("{}", String::from_utf8_lossy(&whole.stdout));
        eprintln!("{}", String::from_utf8_lossy(&whole.stderr));
        return Ok("FAILS ANYWAY");
    }
    Ok(if run(row, true)?.status.success() { "STAYS GREEN" } else { FOUND })
}

const FOUND: &str = "found";

fn main() -> io::Result<ExitCode> {
    let wanted: BTreeSet<_> = env::args().skip(1).collect();
    let is_wanted = |planted: &Sabotage| wanted.is_empty() || wanted.contains(planted.name());
    let (mut tried, mut missed) = (0, 0);
    for planted in Sabotage::ALL.iter().copied().filter(is_wanted) {
        let rows: Vec<_> = FOUND_BY.iter().filter(|row| row.0 == planted).collect();
        if rows.is_empty() {
            println!("{:24} NO TEST is said to find it", planted.name());
            missed += 1;
        }
        for row in rows {
            let (verdict, (_, _, file, test)) = (verdict(row)?, row);
            println!("{:24} {verdict:14} {file}: {test}", planted.name());
            (tried, missed) = (tried + 1, missed + usize::from(verdict != FOUND));
        }
    }
    println!("{tried} sabotages planted, {missed} not found");
    Ok(if missed == 0 && tried > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

//! Tests the tests: plants each sabotage of `bus_core::sabotage` and sees that the test that has to
//! find it fails; `cargo run -p tests --bin sabotage`, with names to try only those.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "what it prints is what it is for")]

use std::collections::BTreeSet;
use std::env;
use std::process::{Command, ExitCode};

use bus_core::sabotage::Sabotage;

/// Which test finds it: package, file of tests, name.
const FOUND_BY: &[(Sabotage, &str, &str, &str)] =
    &[(Sabotage::AckBeforeLetter, "tests", "faults", "fault_d7")];

fn cargo(package: &str, file: &str, arguments: &[&str], planted: Option<Sabotage>) -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["test", "--quiet", "--target-dir", "target/sabotage", "-p", package]);
    cargo.args(["--features", "sabotage", "--test", file]).args(arguments);
    cargo.env_remove("BUS_SABOTAGE");
    cargo.envs(planted.map(|planted| ("BUS_SABOTAGE", planted.name())));
    cargo
}

/// Runs one test: whether it passed. That it ran at all is seen in what it prints.
fn passes(
    package: &str,
    file: &str,
    test: &str,
    planted: Option<Sabotage>,
) -> Result<bool, String> {
    let output = cargo(package, file, &["--", test], planted).output();
    let output = output.map_err(|error| format!("cargo does not start: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    if text
        .lines()
        .any(|line| line.starts_with("test result:") && !line.contains(" 0 passed; 0 failed"))
    {
        return Ok(output.status.success());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(format!("no test `{test}` ran in `{file}` of `{package}`:\n{text}{errors}"))
}

fn main() -> ExitCode {
    let wanted: BTreeSet<_> = env::args().skip(1).collect();
    let is_wanted = |planted: Sabotage| wanted.is_empty() || wanted.contains(planted.name());
    let (mut tried, mut bad) = (0, 0);
    for planted in Sabotage::ALL.iter().copied().filter(|planted| is_wanted(*planted)) {
        let rows = FOUND_BY.iter().filter(|(found, ..)| *found == planted);
        let mut rows = rows.peekable();
        if rows.peek().is_none() {
            println!("{:24} NO TEST is said to find it", planted.name());
            bad += 1;
        }
        for (_, package, file, test) in rows {
            tried += 1;
            let verdict = match (
                passes(package, file, test, None),
                passes(package, file, test, Some(planted)),
            ) {
                (Ok(true), Ok(false)) => "found",
                (Ok(true), Ok(true)) => "STAYS GREEN",
                (Ok(false), _) => "FAILS ANYWAY",
                (Err(error), _) | (_, Err(error)) => {
                    eprintln!("{error}");
                    "DOES NOT RUN"
                }
            };
            bad += usize::from(verdict != "found");
            println!("{:24} {verdict:14} {file}: {test}", planted.name());
        }
    }
    println!("{tried} sabotages planted, {bad} not found");
    if bad == 0 && tried > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

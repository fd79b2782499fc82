//! Every way of losing a handler is impossible or loud.

mod discovered;
mod linked;
mod manifest;
mod started;

use tests::nested::{Cargo, Result, text_of};

fn cargo() -> Result<Cargo> {
    Cargo::new(env!("CARGO_TARGET_TMPDIR"))
}

/// Builds one package of `fixtures/registry`.
fn built(arguments: &str) -> Result<Cargo> {
    let cargo = cargo()?;
    let output = cargo.run(arguments)?;
    if output.status.success() { Ok(cargo) } else { Err(text_of(&output).into()) }
}

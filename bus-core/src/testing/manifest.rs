//! The list of handlers, compared with a committed file.

use std::fs;
use std::path::Path;

use crate::registry::Handlers;

/// The variable that makes [`assert_manifest!`](crate::assert_manifest) write the file.
const UPDATE: &str = "BUS_UPDATE_MANIFEST";

/// Compares what is linked with a file; called by [`assert_manifest!`](crate::assert_manifest).
///
/// # Panics
/// If they differ.
#[track_caller]
#[expect(clippy::panic, reason = "a test has to fail here")]
pub fn assert_manifest(handlers: &Handlers, path: impl AsRef<Path>) {
    let (path, linked) = (path.as_ref(), handlers.manifest());
    if std::env::var_os(UPDATE).is_some() {
        if let Err(error) = fs::write(path, &linked) {
            panic!("failed to write {}: {error}", path.display());
        }
        return;
    }
    let committed = match fs::read_to_string(path) {
        Ok(committed) => committed,
        Err(error) => panic!("failed to read {}: {error}; `{UPDATE}=1` writes it", path.display()),
    };
    if let Some(difference) = difference(&committed, &linked) {
        panic!(
            "the handlers are not those of {}; `{UPDATE}=1` writes it anew\n{difference}",
            path.display()
        );
    }
}

/// Lines that are lost or new.
fn difference(committed: &str, linked: &str) -> Option<String> {
    let lost = committed.lines().filter(|line| !linked.lines().any(|other| other == *line));
    let new = linked.lines().filter(|line| !committed.lines().any(|other| other == *line));
    let lost = lost.map(|line| format!("lost: {line}\n"));
    let text: String = lost.chain(new.map(|line| format!("new:  {line}\n"))).collect();
    (!text.is_empty()).then_some(text)
}

/// Fails a test if the handlers that are linked, in this crate and in all that it depends on, are
/// not those of a committed file: whatever made one disappear. The path is relative to the
/// package; `BUS_UPDATE_MANIFEST=1 cargo test` writes the file.
#[macro_export]
#[cfg(feature = "macros")]
macro_rules! assert_manifest {
    ($path:literal) => {
        $crate::testing::assert_manifest(
            &$crate::discover!(),
            ::core::concat!(::core::env!("CARGO_MANIFEST_DIR"), "/", $path),
        )
    };
}

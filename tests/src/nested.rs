//! Cargo within a test, on the programs in `fixtures/`.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::{env, fs, io, process};

/// Where the programs are.
pub const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures");

/// Any error: a test says it and ends.
pub type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Builds into a folder that all nested builds share.
pub struct Cargo {
    target: PathBuf,
}

impl Cargo {
    /// `tmp` is the test's `CARGO_TARGET_TMPDIR`.
    pub fn new(tmp: &str) -> Result<Self> {
        static LOCKED: OnceLock<std::result::Result<(), String>> = OnceLock::new();
        LOCKED.get_or_init(|| lock().map_err(|error| error.to_string())).clone()?;
        let target = Path::new(tmp).with_file_name("nested");
        Ok(Self { target })
    }

    /// Runs it; `arguments` are words.
    pub fn run(&self, arguments: &str) -> Result<Output> {
        Ok(self.command(FIXTURES, arguments).output()?)
    }

    /// Runs it in another workspace than that of the fixtures.
    pub fn command(&self, folder: &str, arguments: &str) -> Command {
        let mut command = Command::new(env!("CARGO"));
        command.current_dir(folder).arg("--offline").args(arguments.split_whitespace());
        for (name, _) in env::vars_os().filter(|(name, _)| is_inherited(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command.env("CARGO_TARGET_DIR", &self.target).env("CARGO_TERM_COLOR", "never");
        command
    }

    /// What a program prints, which has to be built already.
    pub fn output_of(&self, program: &str) -> Result<String> {
        let output = Command::new(self.target.join("debug").join(program)).output()?;
        if output.status.success() {
            return Ok(String::from_utf8(output.stdout)?);
        }
        Err(text_of(&output).into())
    }
}

/// Both streams, for messages.
pub fn text_of(output: &Output) -> String {
    let stdout = String::from_utf8_lossy(&output.stdout);
    format!("{stdout}{}", String::from_utf8_lossy(&output.stderr))
}

/// What the outer cargo and its flags say of the outer build; what they say of registries and of
/// the tool chain holds for the inner one too.
fn is_inherited(name: &str) -> bool {
    let build = ["CARGO_", "RUSTC", "RUSTDOC", "RUSTFLAGS", "BUS_"];
    let shared = ["CARGO_HOME", "CARGO_HTTP_", "CARGO_NET_", "CARGO_REGISTR", "CARGO_SOURCE_"];
    let starts = |with: &[&str]| with.iter().any(|prefix| name.starts_with(prefix));
    starts(&build) && !starts(&shared)
}

/// The versions of the outer workspace, which are downloaded already.
fn lock() -> io::Result<()> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.lock");
    for folder in ["", "versions/"] {
        // In one step: another test binary may be reading it.
        let copy = format!("{FIXTURES}/{folder}.{}.lock", process::id());
        fs::copy(root, &copy)?;
        fs::rename(copy, format!("{FIXTURES}/{folder}Cargo.lock"))?;
    }
    Ok(())
}

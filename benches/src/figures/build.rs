//! What the author of a minimal service pays: crates, and the processor's time of a clean build.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

use crate::figure::{Bound, Figure};
use crate::machine;
use crate::rounds::{Effort, Samples};

/// A service with one handler.
struct Minimal {
    name: &'static str,
    dependencies: String,
    source: &'static str,
}

/// A clean build.
struct Built {
    crates: f64,
    seconds: f64,
}

fn contestants(workspace: &Path) -> [Minimal; 3] {
    let ours = |name: &str| format!("{name} = {{ path = {:?} }}\n", workspace.join(name));
    let shared = "serde = { version = \"1\", features = [\"derive\"] }\n\
                  tokio = { version = \"1\", features = [\"macros\", \"rt-multi-thread\"] }\n";
    let minimal =
        |name, own: &str, source| Minimal { name, dependencies: format!("{own}{shared}"), source };
    [
        minimal("ours", &(ours("bus-core") + &ours("bus-nats")), include_str!("build/ours.rs.txt")),
        minimal(
            "ruststream",
            "ruststream = { version = \"0.7.7\", features = [\"macros\", \"json\"] }\n\
             ruststream-nats = \"0.7.1\"\n",
            include_str!("build/ruststream.rs.txt"),
        ),
        minimal(
            "apalis",
            "apalis = \"1.0.0\"\napalis-nats = \"0.1.0\"\n\
             async-nats = { version = \"0.50.0\", default-features = false }\n",
            include_str!("build/apalis.rs.txt"),
        ),
    ]
}

pub(crate) async fn measure(_: Effort) -> Result<Vec<Figure>> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize()?;
    let mut found = Vec::new();
    for minimal in contestants(&workspace) {
        let built = build(&workspace, &minimal).await.with_context(|| minimal.name.to_owned())?;
        found.push((minimal.name, built));
    }
    let samples = |value: fn(&Built) -> f64, of: usize| {
        let mut samples = Samples::default();
        samples.push(value(&found[of].1));
        samples
    };
    let line = |figure, unit, value: fn(&Built) -> f64| {
        let line = Figure::new(figure, unit, &samples(value, 0));
        line.against(found[1].0, &samples(value, 1)).against(found[2].0, &samples(value, 2))
    };
    let crates = line("build_crates", "crates", |built| built.crates);
    let crates = crates.demand("crates", found[0].1.crates, Bound::AtMost(110.0));
    let seconds = line("build_seconds", "CPU seconds of a clean debug build", |b| b.seconds);
    Ok(vec![crates, seconds.note("no target; one build of each, its proc macros included")])
}

async fn build(workspace: &Path, minimal: &Minimal) -> Result<Built> {
    let folder = bus_nats::dev_server::target()?.join("benches").join(minimal.name);
    let target = folder.join("target");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(folder.join("src"))?;
    let manifest = format!(
        "[package]\nname = \"minimal\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n\
         [workspace]\n\n[dependencies]\n{}",
        minimal.dependencies
    );
    fs::write(folder.join("Cargo.toml"), manifest)?;
    fs::write(folder.join("src/main.rs"), minimal.source)?;
    // The same versions for all.
    fs::copy(workspace.join("Cargo.lock"), folder.join("Cargo.lock"))?;
    let tree = cargo(&folder, &["tree", "--prefix", "none", "--edges", "normal"]).await?;
    let mut crates: Vec<_> = tree.lines().filter_map(|line| line.split(" (").next()).collect();
    crates.sort_unstable();
    crates.dedup();
    cargo(&folder, &["fetch"]).await?;
    let before = machine::children()?;
    let dir = target.to_string_lossy().into_owned();
    cargo(&folder, &["build", "--quiet", "--offline", "--target-dir", &dir]).await?;
    let seconds = machine::children()? - before;
    fs::remove_dir_all(&folder)?;
    // The service itself is none that it depends on.
    Ok(Built { crates: (crates.len() - 1) as f64, seconds })
}

async fn cargo(folder: &PathBuf, args: &[&str]) -> Result<String> {
    let program = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let said = Command::new(program).args(args).current_dir(folder).output().await?;
    let error = String::from_utf8_lossy(&said.stderr);
    ensure!(said.status.success(), "cargo {args:?}: {error}");
    Ok(String::from_utf8(said.stdout)?)
}

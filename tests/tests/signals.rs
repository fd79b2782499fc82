//! Signals: the first one drains, the second one ends the process whatever its handlers do.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

struct Signalled {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Signalled {
    /// Starts a service, and returns when its handler is at work.
    fn start(mode: &str) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_signalled"));
        let mut child = command.arg(mode).stdout(Stdio::piped()).spawn().unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while line != "published true\n" {
            line.clear();
            assert!(out.read_line(&mut line).unwrap() > 0, "it ended before it began");
        }
        Self { child, out }
    }

    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status().unwrap();
        assert!(status.success());
    }

    /// The exit code, and what it printed before.
    fn end(mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.out.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), rest)
    }
}

impl Drop for Signalled {
    fn drop(&mut self) {
        // Only where a test has failed is it still there.
        let _ = self.child.kill();
    }
}

#[test]
fn the_first_signal_lets_the_work_at_hand_end() {
    for name in ["TERM", "INT"] {
        let service = Signalled::start("good");
        service.signal(name);
        assert_eq!(service.end(), (Some(0), "handled\n".to_owned()), "{name}");
    }
}

#[test]
fn a_first_try_that_failed_does_not_make_the_signal_deadly() {
    let service = Signalled::start("again");
    service.signal("TERM");
    assert_eq!(service.end(), (Some(0), "handled\n".to_owned()));
}

#[test]
fn the_second_signal_ends_a_service_that_waits_for_a_handler() {
    let service = Signalled::start("hang");
    service.signal("TERM");
    service.signal("INT");
    // Two signals that are there at once may be seen in either order.
    let (code, rest) = service.end();
    assert!(matches!(code, Some(130 | 143)) && rest.is_empty(), "{code:?}: {rest}");
}

#[test]
fn the_second_signal_ends_a_service_whose_only_thread_is_blocked() {
    let service = Signalled::start("block");
    service.signal("TERM");
    service.signal("INT");
    let (code, rest) = service.end();
    assert!(matches!(code, Some(130 | 143)) && rest.is_empty(), "{code:?}: {rest}");
}

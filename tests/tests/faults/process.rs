//! A worker in a process of its own.

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use tests::jobs::Note;
use tests::manner::Manner;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::ledger::Ledger;

/// How long a start or an end may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A worker; dropped, it is killed.
pub(crate) struct Process {
    child: Child,
    /// What it said of its readiness last.
    readiness: watch::Receiver<String>,
    /// Reads its output, and comes to what was no note.
    output: JoinSet<String>,
    errors: JoinSet<String>,
}

impl Process {
    pub(crate) fn start(url: &str, who: &str, manner: Manner, ledger: &Ledger) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
        command.arg(serde_json::to_string(&manner).unwrap()).env("NATS_URL", url);
        if manner.as_me {
            command.env("NATS_USER", "me").env("NATS_PASSWORD", "s3cr3t");
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tell, mut output) = (ledger.of(who), JoinSet::new());
        let (said, readiness) = watch::channel(String::new());
        output.spawn(async move {
            let (mut log, mut ended) = (String::new(), 0);
            while let Ok(Some(line)) = lines.next_line().await {
                match (line.parse(), line.strip_prefix("readiness: ")) {
                    (Ok(note), _) => {
                        ended += usize::from(matches!(note, Note::Ended { .. }));
                        tell(note);
                    }
                    (_, Some(readiness)) => drop(said.send_replace(readiness.to_owned())),
                    _ if line.contains("stopping") => {
                        log += &format!("{line}, {ended} runs ended before this\n");
                    }
                    _ => log += &(line + "\n"),
                }
            }
            log
        });
        let (mut stderr, mut errors) = (child.stderr.take().unwrap(), JoinSet::new());
        errors.spawn(async move {
            let mut text = Vec::new();
            stderr.read_to_end(&mut text).await.unwrap();
            String::from_utf8_lossy(&text).into_owned()
        });
        Self { child, readiness, output, errors }
    }

    /// As [`start`](Self::start), and waits until it takes events.
    pub(crate) async fn ready(url: &str, who: &str, manner: Manner, ledger: &Ledger) -> Self {
        let mut process = Self::start(url, who, manner, ledger);
        process.says(who, "true").await;
        process
    }

    /// Waits until what it says of its readiness contains this.
    pub(crate) async fn says(&mut self, who: &str, part: &str) {
        let says = self.readiness.wait_for(|readiness| readiness.contains(part));
        let said = timeout(PATIENCE, says).await.is_ok_and(|said| said.is_ok());
        assert!(said, "{who} does not say `{part}`, but `{}`", *self.readiness.borrow());
    }

    /// What it said of its readiness last.
    pub(crate) fn readiness(&self) -> String {
        self.readiness.borrow().clone()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// How many files it has open.
    pub(crate) fn files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    /// How many bytes of memory it had at most.
    pub(crate) fn peak(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Sends a signal by its name.
    pub(crate) async fn signal(&self, name: &str) {
        let pid = self.pid().to_string();
        let status = Command::new("kill").args(["-s", name, &pid]).status().await.unwrap();
        assert!(status.success());
    }

    /// Kills it with `kill -9`; what it had said is in the ledger then.
    pub(crate) async fn kill(mut self) {
        self.child.start_kill().unwrap();
        self.end().await;
    }

    /// Tells it to stop: its exit code and its log.
    pub(crate) async fn stop(self) -> (Option<i32>, String) {
        self.signal("TERM").await;
        self.end().await
    }

    /// Waits for its end: its exit code, none if it was killed, and its log with the report last.
    pub(crate) async fn end(mut self) -> (Option<i32>, String) {
        let ended = async {
            let (status, log) = (self.child.wait().await.unwrap(), self.output.join_next().await);
            (status, self.errors.join_next().await.unwrap().unwrap() + &log.unwrap().unwrap())
        };
        let (status, log) = timeout(PATIENCE, ended).await.expect("the worker ends");
        (status.code(), log)
    }
}

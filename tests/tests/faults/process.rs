//! A worker in a process of its own.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::ledger::Ledger;

/// How long a start or an end may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a worker works.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) lease: Duration,
    pub(crate) concurrency: usize,
    pub(crate) attempts: u32,
    pub(crate) delay: Duration,
}

impl Default for Manner {
    fn default() -> Self {
        let (second, lease) = (Duration::from_secs(1), Duration::from_secs(30));
        Self { lease, concurrency: 4, attempts: 5, delay: second }
    }
}

/// A worker; dropped, it is killed.
pub(crate) struct Process {
    child: Child,
    ready: watch::Receiver<bool>,
    /// Reads its output, and comes to what was no note.
    reader: JoinSet<String>,
}

impl Process {
    pub(crate) fn start(url: &str, who: &str, manner: Manner, ledger: &Ledger) -> Self {
        let Manner { lease, concurrency, attempts, delay } = manner;
        let mut command = Command::new(env!("CARGO_BIN_EXE_worker"));
        command.arg(url).arg(lease.as_millis().to_string()).arg(concurrency.to_string());
        command.arg(attempts.to_string()).arg(delay.as_millis().to_string());
        let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let (tell, mut reader) = (ledger.of(who), JoinSet::new());
        let (is_ready, ready) = watch::channel(false);
        reader.spawn(async move {
            let mut log = String::new();
            while let Ok(Some(line)) = lines.next_line().await {
                match line.parse() {
                    Ok(note) => tell(note),
                    Err(_) if line == "ready" => drop(is_ready.send_replace(true)),
                    Err(_) => log += &(line + "\n"),
                }
            }
            log
        });
        Self { child, ready, reader }
    }

    /// As [`start`](Self::start), and waits until it takes events.
    pub(crate) async fn ready(url: &str, who: &str, manner: Manner, ledger: &Ledger) -> Self {
        let mut process = Self::start(url, who, manner, ledger);
        let is_ready = timeout(PATIENCE, process.ready.wait_for(|ready| *ready)).await;
        assert!(is_ready.is_ok_and(|ready| ready.is_ok()), "{who} does not get ready");
        process
    }

    /// Kills it with `kill -9`; what it had said is in the ledger then.
    pub(crate) async fn kill(mut self) {
        self.child.start_kill().unwrap();
        self.end().await;
    }

    /// Tells it to stop: its exit code and its log.
    pub(crate) async fn stop(self) -> (Option<i32>, String) {
        let pid = self.child.id().unwrap().to_string();
        let status = Command::new("kill").args(["-s", "TERM", &pid]).status().await.unwrap();
        assert!(status.success());
        self.end().await
    }

    /// Waits for its end: its exit code, none if it was killed, and its log.
    pub(crate) async fn end(mut self) -> (Option<i32>, String) {
        let ended = async { (self.child.wait().await.unwrap(), self.reader.join_next().await) };
        let (status, log) = timeout(PATIENCE, ended).await.expect("the worker ends");
        (status.code(), log.unwrap().unwrap())
    }
}

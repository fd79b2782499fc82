//! Family E of the catalogue: too few files.

use std::process::{Command, ExitStatus, Stdio};

use bus_core::prelude::*;
use bus_nats::{ConnectError, NatsConfig, NatsTransport};
use tests::chaos::injected::Injected;
use tests::jobs::{Does, Job};
use tests::manner::Manner;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::{PATIENCE, server};

/// What became of a worker that may open so many files.
enum Fate {
    Ready,
    Ended(ExitStatus, String),
}

async fn worker(files: u32, url: String) -> Fate {
    let mut command = process::Command::new("prlimit");
    command.arg(format!("--nofile={files}")).arg(env!("CARGO_BIN_EXE_worker"));
    let manner = serde_json::to_string(&Manner::default()).unwrap();
    command.arg(manner).env("NATS_URL", url).kill_on_drop(true);
    let mut worker = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(worker.stdout.take().unwrap()).lines();
    let mut said = String::new();
    while let Ok(Some(line)) = lines.next_line().await {
        if line.starts_with("readiness: true") {
            return Fate::Ready;
        }
        said += &(line + "\n");
    }
    let output = worker.wait_with_output().await.unwrap();
    Fate::Ended(output.status, said + &String::from_utf8_lossy(&output.stderr))
}

/// Every number of files that a worker may open: either it works, or it ends and says why.
#[tokio::test(flavor = "multi_thread")]
async fn fault_e10_a_worker_with_too_few_files_says_so_and_ends_or_works() {
    let injected = Injected::begin("fault_e10_worker");
    let (server, ..) = server().await;
    let limits = (6..=24).step_by(2);
    let workers = limits.map(|files| (files, worker(files, server.url())));
    let mut workers: JoinSet<_> = workers
        .map(|(files, worker)| async move { (files, timeout(PATIENCE, worker).await) })
        .collect();
    let (mut refused, mut worked) = (0, 0);
    while let Some(ended) = workers.join_next().await {
        let (files, fate) = ended.unwrap();
        injected.note("files limited");
        match fate.unwrap_or_else(|_| panic!("with {files} it neither works nor ends")) {
            Fate::Ready => worked += 1,
            Fate::Ended(status, said) => {
                println!("{files}: {status}: {}", said.trim());
                assert!(!status.success());
                assert!(said.contains("oo many open files"), "{said}");
                refused += 1;
            }
        }
    }
    println!("{refused} ended with an error, {worked} worked");
    assert!(refused > 0 && worked > 0);
}

fn limit_files(pid: u32, files: u32) {
    let files = format!("--nofile={files}:");
    let limited = Command::new("prlimit").args(["--pid", &pid.to_string(), &files]).status();
    assert!(limited.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn fault_e10_a_server_that_takes_no_connection_is_an_error_and_who_is_there_goes_on() {
    let injected = Injected::begin("fault_e10_server");
    let (server, _, bus) = server().await;
    let job = Job { number: 0, does: Does::Sleep(1) };
    bus.publish(&job).await.unwrap();
    let pid = server.pid().unwrap();
    limit_files(pid, 1);
    injected.note("files limited");
    let deadline = SECOND * 2;
    let config = || NatsConfig { servers: vec![server.url()], deadline, ..NatsConfig::default() };
    let begun = Instant::now();
    let error = NatsTransport::connect(config()).await.map(drop).unwrap_err();
    println!("{error} after {:?}", begun.elapsed());
    assert!(matches!(error, ConnectError::Unreachable { .. }), "{error:?}");
    assert!(begun.elapsed() < deadline + SECOND, "{:?}", begun.elapsed());
    limit_files(pid, 1024);
    let transport = NatsTransport::connect(NatsConfig { deadline: SECOND * 10, ..config() });
    Bus::new(transport.await.unwrap()).publish(&job).await.unwrap();
    bus.publish(&job).await.unwrap();
}

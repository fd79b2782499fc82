//! A server process, from its start to the moment at which it takes connections.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use super::DevServerError;

/// How long a start may take. A loaded machine needs a second; a store of gigabytes more.
const PATIENCE: Duration = Duration::from_secs(30);

/// Lines that are kept for the message if it does not get ready.
const LAST_LINES: usize = 20;

pub(super) struct Launched {
    pub(super) child: Child,
    pub(super) port: u16,
}

/// Starts a server on `port`, or on a random one if that is 0.
pub(super) fn launch(binary: &Path, folder: &Path, port: u16) -> Result<Launched, DevServerError> {
    let port = if port == 0 { "-1".to_owned() } else { port.to_string() };
    let mut command = Command::new(binary);
    command.args(["-a", "127.0.0.1", "-p", &port, "-js"]);
    command.arg("-sd").arg(folder.join("store")).arg("-c").arg(folder.join("server.conf"));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let start = |source| DevServerError::Start { binary: binary.to_owned(), source };
    let mut child = command.spawn().map_err(start)?;
    let log = folder.join("server.log");
    let file = File::options().create(true).append(true).open(&log);
    let file = file.map_err(DevServerError::folder(&log))?;
    let (tell, told) = mpsc::channel();
    if let Some(output) = child.stderr.take() {
        // The pipe has to be read for as long as the server writes into it.
        thread::spawn(move || follow(output, file, &tell));
    }
    match told.recv_timeout(PATIENCE) {
        Ok(Ok(port)) => Ok(Launched { child, port }),
        Ok(Err(output)) => Err(give_up(child, output)),
        Err(_) => Err(give_up(child, format!("nothing for {PATIENCE:?}"))),
    }
}

fn give_up(mut child: Child, output: String) -> DevServerError {
    let _ = child.kill();
    let _ = child.wait();
    DevServerError::NotReady { output }
}

/// Copies the server's log, and tells the port once it is ready, or its last lines if it ends.
fn follow(output: ChildStderr, mut log: File, tell: &Sender<Result<u16, String>>) {
    let (mut port, mut last) = (None, VecDeque::new());
    for line in BufReader::new(output).lines().map_while(Result::ok) {
        let _ = writeln!(log, "{line}");
        if let Some((_, address)) = line.split_once("Listening for client connections on ") {
            port = address.rsplit_once(':').and_then(|(_, port)| port.trim().parse().ok());
        }
        if let (Some(port), true) = (port, line.contains("Server is ready")) {
            let _ = tell.send(Ok(port));
        }
        last.push_back(line);
        if last.len() > LAST_LINES {
            last.pop_front();
        }
    }
    let _ = tell.send(Err(Vec::from(last).join("\n")));
}

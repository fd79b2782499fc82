//! One service in a process of its own: told to stop by a word on its standard input, it hands its
//! numbers in on its standard output. Without that word, the end of its input is its own.

use std::env;
use std::future::Future;
use std::io;
use std::process::{ExitStatus, Stdio};

use bus_core::prelude::SECOND;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::args::{Args, Sabotage};
use crate::role::Role;
use crate::sheet::Sheet;
use crate::{Fault, stop, warn};

/// How a child ended, and what it handed in.
struct Ended {
    status: ExitStatus,
    text: String,
}

/// What is needed to start a child, again and again.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) role: Role,
    pub(crate) url: String,
    pub(crate) args: Args,
}

impl Plan {
    /// Runs the service that ends by itself.
    pub(crate) async fn run_once(self) -> Result<Sheet, Fault> {
        let (_stdin, life) = self.start()?;
        match life.await? {
            ended if ended.status.success() => Ok(ended.sheet()?),
            ended => Err(self.gave_up(&ended)),
        }
    }

    /// Keeps a service running until it is told to stop. One that was killed is started again, and
    /// what it had counted is gone; one that ended by itself has said why.
    pub(crate) async fn keep(self, mut stopped: watch::Receiver<bool>) -> Result<Sheet, Fault> {
        let mut sheet = Sheet::default();
        loop {
            let (stdin, life) = self.start()?;
            tokio::pin!(life);
            let ended = tokio::select! {
                ended = &mut life => Some(ended?),
                _ = stopped.wait_for(|stop| *stop) => None,
            };
            let stopping = ended.is_none();
            let ended = match ended {
                Some(ended) => ended,
                None => {
                    dismiss(stdin).await;
                    timeout(stop::LAST, life).await.map_err(|_| self.late())??
                }
            };
            if ended.status.success() {
                sheet += ended.sheet()?;
            } else if ended.status.code().is_some() {
                return Err(self.gave_up(&ended));
            } else {
                warn(&format!("{} was killed, the counts are too low from here on", self.role));
            }
            if stopping {
                return Ok(sheet);
            }
            sleep(SECOND).await;
        }
    }

    /// The child's input, which it lives by, and its life.
    fn start(
        &self,
    ) -> io::Result<(Option<ChildStdin>, impl Future<Output = io::Result<Ended>> + use<>)> {
        let mut child = self.command()?.spawn()?;
        Ok((child.stdin.take(), live(child)))
    }

    fn command(&self) -> io::Result<Command> {
        let Self { role, url, args } = self;
        let mut command = Command::new(env::current_exe()?);
        command.args(["--nats", url, "--role", role.name(), "--child"]);
        if args.json {
            command.arg("--json");
        }
        if let Some(Sabotage::DropOne) = args.sabotage {
            command.args(["--sabotage", "drop-one"]);
        }
        if let Some(rate) = args.redrive {
            command.arg("--redrive").arg(rate.to_string());
        }
        let numbers = [("--orders", args.orders), ("--rate", args.rate.map(u64::from))];
        for (name, number) in numbers.into_iter().filter(|_| *role == Role::Orders) {
            if let Some(number) = number {
                command.arg(name).arg(number.to_string());
            }
        }
        // Each reports under its own name.
        command.env_remove("OTEL_SERVICE_NAME");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        Ok(command)
    }

    fn gave_up(&self, ended: &Ended) -> Fault {
        format!("the process of {} ended ({})", self.role, ended.status).into()
    }

    fn late(&self) -> Fault {
        format!("{} did not hand its numbers in within {:?}", self.role, stop::LAST).into()
    }
}

impl Ended {
    fn sheet(&self) -> serde_json::Result<Sheet> {
        serde_json::from_str(&self.text)
    }
}

/// One that has ended meanwhile does not hear it.
async fn dismiss(stdin: Option<ChildStdin>) {
    if let Some(mut stdin) = stdin {
        let _ = stdin.write_all(b"stop\n").await;
    }
}

async fn live(mut child: Child) -> io::Result<Ended> {
    let mut text = String::new();
    if let Some(mut output) = child.stdout.take() {
        output.read_to_string(&mut text).await?;
    }
    Ok(Ended { status: child.wait().await?, text })
}

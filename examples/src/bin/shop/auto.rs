//! A server of our own, and a process for each service on it.

use bus_core::prelude::SECOND;
use bus_nats::dev_server::DevServer;
use tokio::sync::watch;
use tokio::task::{JoinSet, block_in_place, spawn_blocking};
use tokio::time::interval;

use crate::args::Args;
use crate::child::Plan;
use crate::role::Role;
use crate::sheet::Sheet;
use crate::{Fault, STOPPED, warn};

/// All numbers of all processes. However this process ends, the others do too: the children with
/// their standard input, the server with its guard.
pub(crate) async fn run(args: &Args, told: impl Future<Output = ()>) -> Result<Sheet, Fault> {
    // It may have to be installed.
    let mut server = spawn_blocking(DevServer::start).await??;
    let url = server.url();
    let plan = |role| Plan { role, url: url.clone(), args: args.clone() };
    let (stop, stopped) = watch::channel(false);
    let mut helpers = JoinSet::new();
    for role in [Role::Billing, Role::Mailer] {
        helpers.spawn(plan(role).keep(stopped.clone()));
    }
    let numbers = async {
        let mut sheet = tokio::select! {
            sheet = plan(Role::Orders).run_once() => sheet?,
            Some(ended) = helpers.join_next() => return ended?,
        };
        stop.send_replace(true);
        while let Some(helper) = helpers.join_next().await {
            sheet += helper??;
        }
        Ok(sheet)
    };
    tokio::select! {
        numbers = numbers => numbers,
        fault = keep(&mut server) => Err(fault),
        () = told => Err(STOPPED.into()),
    }
}

/// A server that was killed is started again, on its port and its store.
async fn keep(server: &mut DevServer) -> Fault {
    let mut look = interval(SECOND);
    loop {
        look.tick().await;
        if server.is_running() {
            continue;
        }
        warn("the server was killed, and is started again");
        if let Err(error) = block_in_place(|| server.restart()) {
            return error.into();
        }
    }
}

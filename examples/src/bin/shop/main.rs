//! A shop of three services that react to each other's events. It places orders, lets some of them
//! fail, and accounts for every event at the end: in one process and without a server, or on NATS
//! JetStream in one process or three.
//!
//! ```text
//! orders ─ OrderPlaced ─▶ billing ─ PaymentTaken ───▶ orders ─ OrderCompleted ─▶ mailer ─┐
//!                                 └ PaymentRefused ─▶        └ OrderCancelled ─▶         │
//!    ▲                                                                                   │
//!    └──────────────────────────────────── MailSent ─────────────────────────────────────┘
//! ```
//!
//! The mailer also listens to what the others do: it welcomes an `OrderPlaced`, and sends the invoice
//! of a `PaymentTaken`.

use std::error::Error;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Duration;

use bus_core::prelude::*;
use bus_nats::{NatsConfig, NatsTransport};

use self::args::{Args, Nats};
use self::progress::Progress;
use self::report::Report;
use self::role::Role;
use self::sheet::Sheet;
use self::shop::Shop;
use self::telemetry::Telemetry;

mod account;
mod args;
mod auto;
mod billing;
mod book;
mod child;
mod events;
mod mailer;
mod orders;
mod progress;
mod report;
mod role;
mod sabotage;
mod sheet;
mod shop;
mod stop;
mod telemetry;

/// Of all handlers: up to 100, 200 and 400 ms between four runs.
const RETRY: Retry = Retry::exponential(Duration::from_millis(100), MINUTE).factor(2).attempts(4);

const STOPPED: &str = "it was stopped before all orders had their end";

type Fault = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::read();
    let telemetry = Telemetry::start(&args);
    let code = run(&args, &telemetry).await.unwrap_or_else(|error| {
        explain(&*error);
        ExitCode::FAILURE
    });
    telemetry.end();
    code
}

async fn run(args: &Args, telemetry: &Telemetry) -> Result<ExitCode, Fault> {
    let told = stop::told(args.child);
    let sheet = match (&args.nats, args.role) {
        (Some(Nats::Auto), _) => auto::run(args, told).await?,
        (None, _) => sell(Bus::in_memory(), &Role::ALL, args, telemetry, told).await?,
        (Some(Nats::At(url)), None) => {
            sell(connect(url, "shop").await?, &Role::ALL, args, telemetry, told).await?
        }
        (Some(Nats::At(url)), Some(role)) => {
            let bus = connect(url, &format!("shop-{role}")).await?;
            match role {
                Role::Orders => sell(bus, &[role], args, telemetry, told).await?,
                Role::Billing | Role::Mailer => serve(bus, role, args, telemetry, told).await?,
            }
        }
    };
    let mut out = io::stdout().lock();
    if args.child {
        // What is missing is for the parent to judge.
        writeln!(out, "{}", serde_json::to_string(&sheet)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let report = Report::new(sheet);
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        write!(out, "{report}")?;
    }
    Ok(if report.is_short() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Who we are, and certificates, are taken from the environment.
async fn connect(url: &str, name: &str) -> Result<Bus, Fault> {
    let servers = url.split(',').map(str::to_owned).collect();
    let config = NatsConfig { servers, name: name.to_owned(), ..NatsConfig::from_env()? };
    Ok(Bus::new(NatsTransport::connect(config).await?))
}

/// Places the orders, and waits for their ends.
async fn sell(
    bus: Bus,
    roles: &[Role],
    args: &Args,
    telemetry: &Telemetry,
    told: impl Future<Output = ()>,
) -> Result<Sheet, Fault> {
    let mut shop = Shop::open(bus, roles, args, telemetry).await?;
    let work = async {
        orders::place(shop.bus(), shop.account(), args.orders(), args.rate()).await?;
        shop.settled().await?;
        if let Some(rate) = args.redrive {
            let mended = shop.redrive(rate).await?;
            shop.settled().await?;
            return Ok(Some(mended));
        }
        Ok(None)
    };
    let progress = Progress::new(args.json);
    let done = tokio::select! {
        biased;
        done = work => done,
        () = told => Err(STOPPED.into()),
        never = progress.show(&shop, args.orders()) => match never {},
    };
    progress.end();
    match done {
        Ok(mended) => shop.close(mended).await,
        Err(error) => {
            shop.stop().await;
            Err(error)
        }
    }
}

/// Works until it is told to stop.
async fn serve(
    bus: Bus,
    role: Role,
    args: &Args,
    telemetry: &Telemetry,
    told: impl Future<Output = ()>,
) -> Result<Sheet, Fault> {
    let shop = Shop::open(bus, &[role], args, telemetry).await?;
    told.await;
    shop.close(None).await
}

/// The error and what caused it, in one line.
fn explain(error: &dyn Error) {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    warn(&text);
}

fn warn(text: &str) {
    // Where nobody reads it, there is nobody to tell.
    let _ = writeln!(io::stderr(), "shop: {text}");
}

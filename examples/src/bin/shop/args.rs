//! What the shop is asked to do.

use std::convert::Infallible;
use std::str::FromStr;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, ValueEnum, value_parser};

use crate::role::Role;

/// Places orders in a shop of three services, lets some fail, and accounts for every event.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "shop",
    after_help = "With OTEL_EXPORTER_OTLP_ENDPOINT set, it is shown there: docs/follow-an-order.md"
)]
pub(crate) struct Args {
    /// How many orders are placed; 400 at 80 a second if nothing is said
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..=1_000_000))]
    pub(crate) orders: Option<u64>,

    /// How many orders are placed in a second; as fast as they go if only `--orders` is given
    #[arg(long, value_name = "R", value_parser = value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: Option<u32>,

    /// Once all orders have their end, mend what failed, and redrive what it left, so many in a second
    #[arg(long, value_name = "R", value_parser = value_parser!(u32).range(1..=100_000))]
    pub(crate) redrive: Option<u32>,

    /// Print one line of JSON, and nothing else
    #[arg(long)]
    pub(crate) json: bool,

    /// Run on NATS JetStream at this address, or on a server that is found or installed, and started
    #[arg(long, value_name = "URL|auto")]
    pub(crate) nats: Option<Nats>,

    /// Run only this service: `orders` ends with its report, the others when they are told to
    #[arg(long, value_name = "SERVICE", value_enum, requires = "nats")]
    pub(crate) role: Option<Role>,

    /// Hand the numbers in at a word on standard input: for the processes that `auto` starts
    #[arg(long, hide = true, requires = "role")]
    pub(crate) child: bool,

    /// Do harm, to see that the account at the end shows it
    #[arg(long, value_name = "HOW", value_enum)]
    pub(crate) sabotage: Option<Sabotage>,
}

/// Which server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Nats {
    /// One of its own, and a process for each service.
    Auto,
    /// One that is there: one address, or several of a cluster by commas.
    At(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sabotage {
    /// One handler swallows one event: it is acknowledged and not handled
    DropOne,
}

impl FromStr for Nats {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(if text == "auto" { Self::Auto } else { Self::At(text.to_owned()) })
    }
}

impl Args {
    /// What was asked; the process ends here if that makes no sense.
    pub(crate) fn read() -> Self {
        let args = Self::parse();
        if let Some(reason) = args.contradiction() {
            Self::command().error(ErrorKind::ArgumentConflict, reason).exit();
        }
        args
    }

    fn contradiction(&self) -> Option<&'static str> {
        let places = matches!(self.role, None | Some(Role::Orders));
        if self.role.is_some() && self.nats == Some(Nats::Auto) {
            Some("`--nats auto` starts all three services: give `--role` the URL of a server")
        } else if !places && (self.orders.is_some() || self.rate.is_some()) {
            Some("`--orders` and `--rate` are for the service that places orders: `--role orders`")
        } else {
            None
        }
    }

    pub(crate) fn orders(&self) -> u64 {
        self.orders.unwrap_or(400)
    }

    /// Orders a second; `None` is as fast as they go.
    pub(crate) fn rate(&self) -> Option<u32> {
        match (self.orders, self.rate) {
            (None, None) => Some(80),
            (_, rate) => rate,
        }
    }
}

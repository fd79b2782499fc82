//! What the shop is asked to do.

use clap::{Parser, ValueEnum, value_parser};

/// Places orders in a shop of three services, lets some fail, and accounts for every event.
#[derive(Debug, Parser)]
#[command(name = "shop")]
pub(crate) struct Args {
    /// How many orders are placed; 400 at 80 a second if nothing is said
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..=1_000_000))]
    orders: Option<u64>,

    /// How many orders are placed in a second; as fast as they go if only `--orders` is given
    #[arg(long, value_name = "R", value_parser = value_parser!(u32).range(1..=100_000))]
    rate: Option<u32>,

    /// Print one line of JSON, and nothing else
    #[arg(long)]
    pub(crate) json: bool,

    /// Do harm, to see that the account at the end shows it
    #[arg(long, value_name = "HOW", value_enum)]
    pub(crate) sabotage: Option<Sabotage>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Sabotage {
    /// One handler swallows one event: it is acknowledged and not handled
    DropOne,
}

impl Args {
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

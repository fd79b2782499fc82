//! One line that says how far it is.

use std::convert::Infallible;
use std::future::pending;
use std::io::{self, IsTerminal, Write};
use std::time::Duration;

use bus_core::prelude::SECOND;
use tokio::time::{Instant, interval_at};

use crate::shop::Shop;

/// Where the line goes: nowhere, over itself on a terminal, or into a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    Silent,
    Terminal,
    Log,
}

impl Progress {
    pub(crate) fn new(silent: bool) -> Self {
        match silent {
            true => Self::Silent,
            false if io::stderr().is_terminal() => Self::Terminal,
            false => Self::Log,
        }
    }

    /// Shows the line again and again.
    pub(crate) async fn show(self, shop: &Shop, orders: u64) -> Infallible {
        let (before, after, period) = match self {
            Self::Silent => pending().await,
            Self::Terminal => ("\r\x1b[2K", "", Duration::from_millis(100)),
            Self::Log => ("", "\n", SECOND),
        };
        let mut tick = interval_at(Instant::now() + period, period);
        loop {
            tick.tick().await;
            write(&format!("{before}{}{after}", line(shop, orders)));
        }
    }

    /// Leaves the terminal as it was.
    pub(crate) fn end(self) {
        if self == Self::Terminal {
            write("\r\x1b[2K");
        }
    }
}

fn line(shop: &Shop, orders: u64) -> String {
    let (pages, ended) = (shop.book().pages(), shop.account().ended());
    let (placed, handled, retried) = (pages.placed(), pages.handled(), pages.retried());
    format!(
        "{placed} of {orders} orders placed, {ended} ended, {handled} events handled, {retried} retries"
    )
}

/// Not to standard output, which is for the report.
fn write(text: &str) {
    let mut out = io::stderr().lock();
    // Progress that can not be shown is no reason to stop.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

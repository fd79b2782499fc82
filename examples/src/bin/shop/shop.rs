//! The three services together, and when they are done.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use bus_core::operator::{DeadLetter, Operator};
use bus_core::prelude::*;
use bus_core::transport::GroupName;
use tokio::time::{interval, timeout};

use crate::args::Sabotage;
use crate::book::{Book, Handled, Published};
use crate::events::LISTENERS;
use crate::report::Report;
use crate::sabotage::DropOne;
use crate::{billing, mailer, orders};

/// How often it is looked whether all is done.
const LOOK: Duration = Duration::from_millis(100);

/// So often in a row the broker has to have nothing left, until what is missing is given up.
const IDLE_LOOKS: u32 = 10;

/// How long after the last order the rest may take; what is missing then counts as lost.
const PATIENCE: Duration = Duration::from_secs(120);

/// The three services at work.
pub(crate) struct Shop {
    bus: Bus,
    book: Arc<Book>,
    services: Vec<Running>,
}

impl Shop {
    pub(crate) async fn open(bus: Bus, sabotage: Option<Sabotage>) -> Result<Self, StartError> {
        let book = Arc::new(Book::default());
        let bus = match sabotage {
            Some(Sabotage::DropOne) => bus.middleware(DropOne::default()),
            None => bus,
        };
        let bus =
            bus.middleware(Published(Arc::clone(&book))).middleware(Handled(Arc::clone(&book)));
        let mut services = Vec::new();
        for service in [orders::service, billing::service, mailer::service] {
            services.push(service(bus.clone()).start().await?);
        }
        Ok(Self { bus, book, services })
    }

    pub(crate) fn bus(&self) -> &Bus {
        &self.bus
    }

    pub(crate) fn book(&self) -> &Book {
        &self.book
    }

    /// Waits until every event is handled or a dead letter, or can not be any more.
    pub(crate) async fn settled(&self) -> Result<(), Box<dyn Error>> {
        // Being late is no error here: the report counts what is missing.
        timeout(PATIENCE, self.nothing_to_come()).await.unwrap_or(Ok(()))
    }

    async fn nothing_to_come(&self) -> Result<(), Box<dyn Error>> {
        let (mut look, mut idle_looks) = (interval(LOOK), 0);
        while idle_looks < IDLE_LOOKS {
            look.tick().await;
            // Asked first, because it is cheap while there is much to do.
            if !self.is_idle().await? {
                idle_looks = 0;
            } else if self.book.missing(&self.dead_letters().await?).is_empty() {
                return Ok(());
            } else {
                idle_looks += 1;
            }
        }
        Ok(())
    }

    /// Whether the broker has nothing left for any handler.
    async fn is_idle(&self) -> Result<bool, Box<dyn Error>> {
        for listener in LISTENERS {
            let group = GroupName::new(listener.service, listener.handler)?;
            let lag = self.operator()?.lag(&group).await?;
            if lag.waiting + lag.in_flight + lag.delayed > 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Stops the services, and accounts for everything.
    pub(crate) async fn close(mut self) -> Result<Report, Box<dyn Error>> {
        for service in std::mem::take(&mut self.services) {
            service.stop().await;
        }
        Ok(Report::new(&self.book, &self.dead_letters().await?))
    }

    async fn dead_letters(&self) -> Result<Vec<DeadLetter>, Box<dyn Error>> {
        Ok(self.operator()?.dead_letters(None, usize::MAX).await?)
    }

    fn operator(&self) -> Result<&dyn Operator, Box<dyn Error>> {
        Ok(self.bus.operator().ok_or("this transport can not list its dead letters")?)
    }
}

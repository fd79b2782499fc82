//! The services of this process, and when the orders are done.

use std::sync::Arc;
use std::time::Duration;

use bus_core::operator::{DeadLetter, Operator, OperatorError};
use bus_core::prelude::*;
use bus_core::transport::GroupName;
use futures_util::future::join_all;
use tokio::time::{Instant, interval, sleep};

use crate::Fault;
use crate::account::Account;
use crate::args::{Args, Sabotage};
use crate::billing::GATEWAY_AWAY;
use crate::book::{Book, Handled, Published};
use crate::events::LISTENERS;
use crate::mailer::MAILBOX_FULL;
use crate::role::Role;
use crate::sabotage::DropOne;
use crate::sheet::{Mended, Sheet};
use crate::telemetry::Telemetry;

/// How often it is looked whether all is done.
const LOOK: Duration = Duration::from_millis(100);

/// How often the broker is asked while no order ends: that goes over the network.
const ASK: Duration = Duration::from_millis(500);

/// So often in a row the broker has to have nothing left, until what is missing is given up.
const IDLE_ANSWERS: u32 = 5;

/// How long no order may end; what is missing then counts as lost.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often the broker is asked for the last list of dead letters, a second apart.
const LAST_TRIES: u32 = 30;

/// Services at work: all three, or one.
pub(crate) struct Shop {
    bus: Bus,
    account: Arc<Account>,
    book: Arc<Book>,
    roles: Vec<Role>,
    services: Vec<Running>,
}

impl Shop {
    pub(crate) async fn open(
        bus: Bus,
        roles: &[Role],
        args: &Args,
        telemetry: &Telemetry,
    ) -> Result<Self, Fault> {
        let account = Arc::new(Account::default());
        let places = roles.contains(&Role::Orders);
        let book = Arc::new(Book::new(places.then(|| Arc::clone(&account))));
        let bus = match args.sabotage {
            Some(Sabotage::DropOne) => bus.middleware(DropOne::default()),
            None => bus,
        };
        let bus =
            bus.middleware(Published(Arc::clone(&book))).middleware(Handled(Arc::clone(&book)));
        // What is done from here on behalf of no handler is the doing of the first service.
        let mut own = None;
        let mut services = Vec::new();
        for role in roles {
            let bus = telemetry.bus(bus.clone(), *role)?;
            own = own.or_else(|| Some(bus.clone()));
            let service = role.service(bus, &account, args.redrive.is_some());
            services.push(service.start().await?);
        }
        Ok(Self { bus: own.unwrap_or(bus), account, book, roles: roles.to_vec(), services })
    }

    pub(crate) fn bus(&self) -> &Bus {
        &self.bus
    }

    pub(crate) fn account(&self) -> &Account {
        &self.account
    }

    pub(crate) fn book(&self) -> &Book {
        &self.book
    }

    /// Waits until every order has its end, or can not have one any more.
    pub(crate) async fn settled(&self) -> Result<(), Fault> {
        let (mut look, mut idle, mut ended) = (interval(LOOK), 0, self.account.ended());
        let (mut moved, mut asked) = (Instant::now(), None::<Instant>);
        // Not every handler brings an order on, so the broker has the last word.
        while (self.account.open() > 0 || idle == 0)
            && idle < IDLE_ANSWERS
            && moved.elapsed() < PATIENCE
        {
            look.tick().await;
            if self.account.ended() > ended {
                (ended, moved, idle) = (self.account.ended(), Instant::now(), 0);
            } else if asked.is_none_or(|asked| asked.elapsed() >= ASK) {
                // A broker that does not answer is not idle: it may be on its way back.
                let is_idle = self.nothing_to_come(self.operator()?).await.unwrap_or(false);
                (idle, asked) = (if is_idle { idle + 1 } else { 0 }, Some(Instant::now()));
            }
        }
        // Being late is no error here: the report counts what is missing.
        Ok(())
    }

    /// Whether the broker has nothing left for any handler; it tells the dead letters first.
    async fn nothing_to_come(&self, operator: &dyn Operator) -> Result<bool, Fault> {
        self.account.bury(&dead_letters(operator).await?);
        for listener in LISTENERS {
            let group = GroupName::new(listener.service.name(), listener.handler)?;
            if operator.lag(&group).await?.behind() > 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Sends back what failed by others' fault, now that they are mended, `rate` in a second.
    pub(crate) async fn redrive(&self, rate: u32) -> Result<Mended, Fault> {
        let causes = self.bus.dead_letters().causes().await?;
        let causes = causes.iter().map(ToString::to_string).collect();
        let mut redriven = 0;
        for class in [GATEWAY_AWAY, MAILBOX_FULL] {
            let letters = self.bus.dead_letters().class(class);
            self.account.revive(&letters.list(usize::MAX).await?);
            redriven += letters.redrive().rate(rate).await?.redriven;
        }
        Ok(Mended { redriven, causes })
    }

    pub(crate) async fn stop(&mut self) {
        join_all(self.services.drain(..).map(Running::stop)).await;
    }

    /// Stops the services, and accounts for what was done here.
    pub(crate) async fn close(mut self, mended: Option<Mended>) -> Result<Sheet, Fault> {
        self.stop().await;
        let mut sheet = self.book.sheet(&self.roles);
        if self.roles.contains(&Role::Orders) {
            let letters = last_dead_letters(self.operator()?).await?;
            sheet.outcome = Some(self.account.outcome(&letters, mended));
        }
        Ok(sheet)
    }

    fn operator(&self) -> Result<&dyn Operator, Fault> {
        Ok(self.bus.operator().ok_or("this transport can not list its dead letters")?)
    }
}

async fn dead_letters(operator: &dyn Operator) -> Result<Vec<DeadLetter>, OperatorError> {
    operator.dead_letters(None, usize::MAX).await
}

/// A server that is away just now must not cost the whole account.
async fn last_dead_letters(operator: &dyn Operator) -> Result<Vec<DeadLetter>, OperatorError> {
    for _ in 1..LAST_TRIES {
        match dead_letters(operator).await {
            Err(OperatorError::Unavailable { .. }) => sleep(SECOND).await,
            listed => return listed,
        }
    }
    dead_letters(operator).await
}

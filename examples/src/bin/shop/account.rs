//! The orders of this run and how far each one is: what `lost` is taken from.
//!
//! Only the service `orders` writes here. So the account is the same in one process and in three,
//! and holds when another process is killed: an order ends with the event that its mail went out,
//! or with a dead letter, and both can be seen from here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use bus_core::operator::DeadLetter;
use bus_core::prelude::*;

use crate::sheet::{Lost, Mended, Outcome};

/// How far an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    Placed,
    Completed,
    Cancelled,
    Ended,
}

impl Stage {
    /// The handler that has to speak next.
    fn awaits(self) -> Option<&'static str> {
        match self {
            Self::Placed => Some("charge"),
            Self::Completed => Some("confirm"),
            Self::Cancelled => Some("regret"),
            Self::Ended => None,
        }
    }
}

/// An order goes its way whether its invoice arrives or not.
fn is_decisive(letter: &DeadLetter) -> bool {
    letter.group.handler() != "invoice"
}

/// Each order under the id of the event that placed it, which all that follows carries as its
/// correlation. A server may hold the events of other runs: they are not in here.
#[derive(Debug, Default)]
pub(crate) struct Account(Mutex<Orders>);

#[derive(Debug, Default)]
struct Orders {
    stages: BTreeMap<EventId, Stage>,
    ended: usize,
}

impl Account {
    fn orders(&self) -> MutexGuard<'_, Orders> {
        // Nothing here panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Before it is published: what follows may be here before the broker's answer.
    pub(crate) fn place(&self, order: EventId) {
        self.orders().stages.insert(order, Stage::Placed);
    }

    pub(crate) fn has(&self, order: &EventId) -> bool {
        self.orders().stages.contains_key(order)
    }

    /// An order only goes forward: an event that comes again changes nothing.
    pub(crate) fn reach(&self, order: &EventId, stage: Stage) {
        let mut orders = self.orders();
        let Some(before) = orders.stages.get_mut(order).filter(|before| **before < stage) else {
            return;
        };
        *before = stage;
        orders.ended += usize::from(stage == Stage::Ended);
    }

    pub(crate) fn ended(&self) -> usize {
        self.orders().ended
    }

    pub(crate) fn open(&self) -> usize {
        let orders = self.orders();
        orders.stages.len() - orders.ended
    }

    /// What gave up has an end too.
    pub(crate) fn bury(&self, letters: &[DeadLetter]) {
        for letter in letters.iter().filter(|letter| is_decisive(letter)) {
            self.reach(&letter.envelope.correlation, Stage::Ended);
        }
    }

    /// What was given up and is redriven goes on where it stood.
    pub(crate) fn revive(&self, letters: &[DeadLetter]) {
        let mut orders = self.orders();
        for letter in letters.iter().filter(|letter| is_decisive(letter)) {
            if let Some(stage) = orders.stages.get_mut(&letter.envelope.correlation) {
                let ended = std::mem::replace(stage, Stage::Placed) == Stage::Ended;
                orders.ended -= usize::from(ended);
            }
        }
    }

    pub(crate) fn outcome(&self, letters: &[DeadLetter], mended: Option<Mended>) -> Outcome {
        self.bury(letters);
        let mut dead = BTreeMap::<String, BTreeSet<&EventId>>::new();
        for letter in letters.iter().filter(|letter| self.has(&letter.envelope.correlation)) {
            let handler = letter.group.handler().to_owned();
            dead.entry(handler).or_default().insert(&letter.envelope.id);
        }
        let dead_lettered = dead.into_iter().map(|(handler, ids)| (handler, ids.len())).collect();
        Outcome { dead_lettered, mended, lost: self.lost() }
    }

    fn lost(&self) -> Vec<Lost> {
        let lost = |(order, stage): (&EventId, &Stage)| {
            let awaited = stage.awaits()?.to_owned();
            Some(Lost { order: order.to_string(), awaited })
        };
        self.orders().stages.iter().filter_map(lost).collect()
    }
}

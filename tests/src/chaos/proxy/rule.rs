//! Which frames something is done to, and what.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};

use super::Way;
use crate::chaos::frame::{Frame, Kind};

/// Frames that are kept for whoever asks for them.
const SEEN: usize = 1024;

/// What is done to a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Nothing; it is only told.
    Pass,
    /// It gets lost.
    Drop,
    /// It passes later by this time, and so does what follows.
    Delay(Duration),
    /// It alone passes later by this time: what follows overtakes it.
    Late(Duration),
    /// It passes twice.
    Duplicate,
    /// One bit of its payload is turned.
    Corrupt,
    /// The connection ends, and the frame is lost.
    CutBefore,
    /// The connection ends as soon as it has passed.
    CutAfter,
    /// It is held, and so is what follows on its way, until the proxy is thawed.
    Freeze,
}

type Is = Box<dyn Fn(&Frame) -> bool + Send + Sync>;

#[derive(Clone, Copy, Debug)]
enum Count {
    All,
    First(usize),
    Nth(usize),
    Every(usize),
}

/// Which frames: all conditions have to hold, and those that hold are counted.
#[must_use]
pub struct When {
    way: Way,
    conditions: Vec<Is>,
    count: Count,
}

impl When {
    fn any(way: Way) -> Self {
        Self { way, conditions: Vec::new(), count: Count::All }
    }

    /// Those of the client.
    pub fn to_server() -> Self {
        Self::any(Way::ToServer)
    }

    /// Those of the server.
    pub fn to_client() -> Self {
        Self::any(Way::ToClient)
    }

    /// What a closure says of the frame.
    pub fn is(mut self, is: impl Fn(&Frame) -> bool + Send + Sync + 'static) -> Self {
        self.conditions.push(Box::new(is));
        self
    }

    /// Of this kind. A message with headers is another kind than one without.
    pub fn kind(self, kind: Kind) -> Self {
        self.is(move |frame| frame.kind == kind)
    }

    /// Whose subject begins so.
    pub fn subject(self, prefix: &str) -> Self {
        let prefix = prefix.to_owned();
        self.is(move |frame| frame.subject().starts_with(&prefix))
    }

    /// Whose subject has this in it.
    pub fn subject_has(self, part: &str) -> Self {
        let part = part.to_owned();
        self.is(move |frame| frame.subject().contains(&part))
    }

    /// A message whose payload has this in it.
    pub fn payload(self, part: &str) -> Self {
        let part = part.as_bytes().to_owned();
        self.is(move |frame| frame.payload().windows(part.len()).any(|window| window == part))
    }

    /// Only the first so many.
    pub fn first(mut self, count: usize) -> Self {
        self.count = Count::First(count);
        self
    }

    /// Only this one, from 1.
    pub fn nth(mut self, number: usize) -> Self {
        self.count = Count::Nth(number);
        self
    }

    /// Only each n-th.
    pub fn every(mut self, n: usize) -> Self {
        self.count = Count::Every(n);
        self
    }
}

impl fmt::Debug for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let conditions = self.conditions.len();
        write!(f, "When({:?}, {conditions} conditions, {:?})", self.way, self.count)
    }
}

/// A rule at work; it ends when it is dropped.
#[derive(Debug)]
pub struct Rule {
    seen: mpsc::Receiver<Frame>,
    acted: watch::Receiver<usize>,
    number: u64,
    rules: Rules,
}

impl Rule {
    /// How many frames something was done to.
    pub fn count(&self) -> usize {
        *self.acted.borrow()
    }

    /// The next frame that something is done to, as soon as it is. Of many that nobody asks for
    /// only the first are kept.
    pub async fn next(&mut self) -> Option<Frame> {
        self.seen.recv().await
    }

    /// Waits until something was done to so many.
    pub async fn reaches(&mut self, count: usize) {
        // There is no error as long as the rule is there, which is until this ends.
        let _ = self.acted.wait_for(|acted| *acted >= count).await;
    }
}

impl Drop for Rule {
    fn drop(&mut self) {
        self.rules.remove(self.number);
    }
}

#[derive(Debug)]
struct Made {
    number: u64,
    when: When,
    action: Action,
    matched: usize,
    tell: mpsc::Sender<Frame>,
    acted: watch::Sender<usize>,
}

impl Made {
    /// Counts the frame if it is one of these, and says what to do with it.
    fn judge(&mut self, way: Way, frame: &Frame) -> Option<Action> {
        let When { way: of, conditions, count } = &self.when;
        if *of != way || !conditions.iter().all(|is| is(frame)) {
            return None;
        }
        self.matched += 1;
        let acts = match *count {
            Count::All => true,
            Count::First(first) => self.matched <= first,
            Count::Nth(number) => self.matched == number,
            Count::Every(n) => self.matched.is_multiple_of(n),
        };
        if !acts {
            return None;
        }
        // It is full, and nobody asks; or nobody can ask any more.
        let _ = self.tell.try_send(frame.clone());
        self.acted.send_modify(|acted| *acted += 1);
        Some(self.action)
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Rules(Arc<Mutex<(u64, Vec<Made>)>>);

impl Rules {
    pub(super) fn add(&self, when: When, action: Action) -> Rule {
        let ((tell, seen), acted) = (mpsc::channel(SEEN), watch::Sender::new(0));
        let told = acted.subscribe();
        let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rules.0 += 1;
        let number = rules.0;
        rules.1.push(Made { number, when, action, matched: 0, tell, acted });
        Rule { seen, acted: told, number, rules: self.clone() }
    }

    fn remove(&self, number: u64) {
        let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rules.1.retain(|rule| rule.number != number);
    }

    /// What is done to a frame.
    pub(super) fn judge(&self, way: Way, frame: &Frame) -> Action {
        let mut rules = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for rule in &mut rules.1 {
            match rule.judge(way, frame) {
                None | Some(Action::Pass) => {}
                Some(action) => return action,
            }
        }
        Action::Pass
    }
}

//! What was published, and which runs there were.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tests::jobs::Note;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

/// One run of a handler.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) number: u32,
    pub(crate) attempt: u32,
    pub(crate) who: Arc<str>,
    pub(crate) begun: Instant,
    pub(crate) ended: Option<Instant>,
}

/// Every run of one group, whoever it was.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(watch::Sender<Runs>);

/// A worker waits while it is noted what it does, so that has to be quick however many there are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Runs {
    pub(crate) all: Vec<Run>,
    /// When each job was done first.
    pub(crate) done: BTreeMap<u32, Instant>,
    /// How many tasks a worker had, each time that it was asked.
    pub(crate) tasks: Vec<usize>,
    /// How many runs each worker began, and when the last.
    begun: BTreeMap<Arc<str>, (usize, Instant)>,
    /// Where those stand that have not ended.
    open: BTreeMap<(Arc<str>, u32), VecDeque<usize>>,
}

impl Runs {
    fn note(&mut self, who: &Arc<str>, note: Note) {
        let now = Instant::now();
        match note {
            Note::Begun { number, attempt } => {
                let open = self.open.entry((Arc::clone(who), number)).or_default();
                open.push_back(self.all.len());
                let who = Arc::clone(who);
                let begun = self.begun.entry(Arc::clone(&who)).or_insert((0, now));
                *begun = (begun.0 + 1, now);
                self.all.push(Run { number, attempt, who, begun: now, ended: None });
            }
            Note::Ended { number } => {
                let open = self.open.get_mut(&(Arc::clone(who), number));
                if let Some(first) = open.and_then(VecDeque::pop_front) {
                    self.all[first].ended = Some(now);
                }
                self.done.entry(number).or_insert(now);
            }
            Note::Measured { tasks } => self.tasks.push(tasks),
        }
    }

    /// How many runs a worker began.
    pub(crate) fn count(&self, who: &str) -> usize {
        self.begun.get(who).map_or(0, |begun| begun.0)
    }

    /// When a worker began a run last.
    pub(crate) fn last(&self, who: &str) -> Option<Instant> {
        self.begun.get(who).map(|begun| begun.1)
    }

    pub(crate) fn of(&self, number: u32) -> Vec<&Run> {
        self.all.iter().filter(|run| run.number == number).collect()
    }

    /// Those of one worker, in their order.
    pub(crate) fn by(&self, who: &str) -> Vec<&Run> {
        self.all.iter().filter(|run| *run.who == *who).collect()
    }

    pub(crate) fn has_done(&self, numbers: &[u32]) -> bool {
        let done = |number| self.done.contains_key(number);
        self.done.len() >= numbers.len() && numbers.iter().all(done)
    }

    /// How many runs were more than one of each job.
    pub(crate) fn beyond_the_first(&self) -> usize {
        let mut numbers: Vec<_> = self.all.iter().map(|run| run.number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        self.all.len() - numbers.len()
    }
}

impl Ledger {
    /// Takes the notes of one worker.
    pub(crate) fn of(&self, who: &str) -> impl Fn(Note) + Send + Sync + 'static {
        let (runs, who) = (self.0.clone(), Arc::from(who));
        move |note| runs.send_modify(|runs| runs.note(&who, note))
    }

    /// How many runs of a worker ended.
    pub(crate) fn ended(&self, who: &str) -> u64 {
        let ended = |runs: &Runs| runs.by(who).iter().filter(|run| run.ended.is_some()).count();
        self.with(ended) as u64
    }

    /// Looks at them where they are.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&Runs) -> T) -> T {
        look(&self.0.borrow())
    }

    pub(crate) fn runs(&self) -> Runs {
        self.0.borrow().clone()
    }

    /// Waits for something to happen.
    pub(crate) async fn until(&self, what: &str, within: Duration, is: impl Fn(&Runs) -> bool) {
        let mut changes = self.0.subscribe();
        let happened = timeout(within, changes.wait_for(|runs| is(runs))).await.is_ok();
        let runs = self.0.borrow();
        assert!(happened, "{what}: not within {within:?}, {} done", runs.done.len());
    }

    /// Waits until all these are done; names some that are not.
    pub(crate) async fn has_done(&self, numbers: &[u32], within: Duration) {
        let mut changes = self.0.subscribe();
        let done = timeout(within, changes.wait_for(|runs| runs.has_done(numbers)));
        if done.await.is_err() {
            let runs = self.runs();
            let lost = numbers.iter().filter(|number| !runs.done.contains_key(number));
            let lost: Vec<_> = lost.collect();
            let first = &lost[..lost.len().min(20)];
            panic!("{} of {} not done: {first:?}", lost.len(), numbers.len());
        }
    }
}

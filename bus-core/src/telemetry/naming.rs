//! Names of spans, and what many spans have in common: each made once, and kept for good.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry::StringValue;

/// Every name so far, by what it is made of.
static KNOWN: Mutex<BTreeMap<Parts, &'static str>> = Mutex::new(BTreeMap::new());

/// An operation and a destination, both of them written in a program: so there is an end to them.
type Parts = (&'static str, &'static str);

thread_local! {
    /// Those that this thread has asked for, by where their parts stand: quicker than by a hash.
    static HERE: RefCell<BTreeMap<[usize; 4], &'static str>> = const { RefCell::new(BTreeMap::new()) };
}

/// The name of a span. A span takes it along to another thread: a name that is never freed costs
/// nothing there, and one for each span costs both threads the lock of the allocator.
pub(super) fn name(operation: &'static str, destination: &'static str) -> &'static str {
    let place = |text: &str| [text.as_ptr() as usize, text.len()];
    let ([first, long], [second, wide]) = (place(operation), place(destination));
    HERE.with_borrow_mut(|here| {
        *here.entry([first, long, second, wide]).or_insert_with(|| {
            let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
            let made = || &*format!("{operation} {destination}").leak();
            *known.entry((operation, destination)).or_insert_with(made)
        })
    })
}

/// The most texts that are kept, and the longest in bytes: publishers elsewhere may send any.
const MOST: usize = 1024;
const LONGEST: usize = 128;

/// Every text that is kept.
static TEXTS: Mutex<BTreeSet<&'static str>> = Mutex::new(BTreeSet::new());

thread_local! {
    /// Those that this thread has asked for.
    static TEXTS_HERE: RefCell<BTreeSet<&'static str>> = const { RefCell::new(BTreeSet::new()) };
}

/// A text that many spans have, as the name of a service. One that is counted would be written to by the
/// thread that makes spans and by the one that exports them, for each span; this one is only read.
pub(super) fn kept(text: &str) -> StringValue {
    let known = TEXTS_HERE.with_borrow_mut(|here| {
        if let Some(known) = here.get(text) {
            return Some(*known);
        }
        let known = keep(text)?;
        here.insert(known);
        Some(known)
    });
    known.map_or_else(|| StringValue::from(Arc::<str>::from(text)), StringValue::from)
}

fn keep(text: &str) -> Option<&'static str> {
    let mut texts = TEXTS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = texts.get(text) {
        return Some(known);
    }
    let keeps = texts.len() < MOST && text.len() <= LONGEST;
    let known = keeps.then(|| &*text.to_owned().leak())?;
    texts.insert(known);
    Some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_once() {
        let first = name("publish", "orders.placed");
        assert_eq!(first, "publish orders.placed");
        let elsewhere = std::thread::spawn(|| name("publish", "orders.placed")).join();
        assert!(std::ptr::eq(first, elsewhere.unwrap()));
        assert_eq!(name("process", "orders.placed"), "process orders.placed");
    }

    #[test]
    fn a_text_is_kept_once_and_a_long_one_not_at_all() {
        let place = |text: StringValue| text.as_str().as_ptr() as usize;
        let first = place(kept("billing"));
        let elsewhere = std::thread::spawn(move || place(kept("billing"))).join();
        assert_eq!((first, elsewhere.unwrap()), (place(kept("billing")), first));
        let long = "a".repeat(LONGEST + 1);
        assert_eq!(kept(&long).as_str(), long);
        assert!(!TEXTS.lock().unwrap().contains(&*long));
    }
}

//! Names of spans: each made once, and kept for good.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

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
}

//! Whom a call to the broker wakes.

use std::task::Waker;

/// Woken where nothing is locked. Mostly it is one, and for one nothing is allocated.
#[derive(Debug, Default)]
pub(super) struct Woken {
    first: Option<Waker>,
    more: Vec<Waker>,
}

impl Woken {
    pub(super) fn wake(self) {
        self.first.into_iter().chain(self.more).for_each(Waker::wake);
    }
}

impl Extend<Waker> for Woken {
    fn extend<I: IntoIterator<Item = Waker>>(&mut self, wakers: I) {
        let mut wakers = wakers.into_iter();
        if self.first.is_none() {
            self.first = wakers.next();
        }
        self.more.extend(wakers);
    }
}

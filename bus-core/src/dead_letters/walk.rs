//! Through the dead letters page by page, up to the one that was the newest at the beginning.

use std::collections::VecDeque;

use super::filter::Filter;
use crate::operator::{DeadLetter, Operator, OperatorError, Page};

/// How many are read at once with their payloads, which may be large.
const WHOLE: usize = 50;

/// What is redriven and fails again is newer than the end of the walk: no walk goes on for ever.
pub(super) struct Walk<'a> {
    operator: &'a dyn Operator,
    filter: &'a Filter,
    page: Option<Page>,
    end: Option<u64>,
    found: VecDeque<DeadLetter>,
}

impl<'a> Walk<'a> {
    pub(super) fn new(operator: &'a dyn Operator, filter: &'a Filter, payloads: bool) -> Self {
        let mut page = Page::of(filter.group.clone());
        // The type of a foreign event may stand in its payload.
        page.payloads = payloads || filter.event.is_some();
        if page.payloads {
            page.limit = WHOLE;
        }
        Self { operator, filter, page: Some(page), end: None, found: VecDeque::new() }
    }

    pub(super) async fn next(&mut self) -> Result<Option<DeadLetter>, OperatorError> {
        loop {
            if let Some(letter) = self.found.pop_front() {
                return Ok(Some(letter));
            }
            let Some(page) = self.page.take() else { return Ok(None) };
            match &self.filter.id {
                Some(id) => match self.operator.dead_letter(id).await {
                    Ok(letter) => self.found.push_back(letter),
                    Err(OperatorError::NoDeadLetter { .. }) => {}
                    Err(error) => return Err(error),
                },
                None => self.read(page).await?,
            }
            self.found.retain(|letter| self.filter.matches(letter));
        }
    }

    async fn read(&mut self, mut page: Page) -> Result<(), OperatorError> {
        let read = self.operator.page(&page).await?;
        let end = *self.end.get_or_insert(read.newest);
        self.found.extend(read.letters.into_iter().filter(|letter| letter.position <= end));
        if let Some(next) = read.next.filter(|next| *next < end) {
            page.after = next;
            self.page = Some(page);
        }
        Ok(())
    }
}

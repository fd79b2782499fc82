//! A message's headers in one piece.

use std::iter::from_fn;
use std::num::NonZeroU32;

use async_nats::HeaderMap;
use async_nats::header::{HeaderName, HeaderValue};

use super::attributes::{Known, Name, Sort};

/// Headers as they arrived. The client's map is two allocations a header, made on its thread, that would
/// be kept as long as the event waits, and freed on another thread.
#[derive(Debug, Default)]
pub(crate) struct Flat {
    /// A line for each name, and one for each value.
    lines: String,
    /// Where the values stand of which an event is made.
    known: Known<Span>,
    /// Whether there may be some of the publisher's own.
    others: bool,
}

/// From one byte of the lines to another; a name stands before each value, so that none ends at 0.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: u32,
    end: NonZeroU32,
}

impl Span {
    fn of(start: usize, end: usize) -> Option<Self> {
        let end = NonZeroU32::new(u32::try_from(end).ok()?)?;
        Some(Self { start: u32::try_from(start).ok()?, end })
    }

    fn text(self, lines: &str) -> Option<&str> {
        lines.get(self.start as usize..self.end.get() as usize)
    }
}

/// In place of a name: one more value of the name before. No name can have it.
const MORE: &str = "\r";

impl Flat {
    /// To be called on the client's thread.
    pub(crate) fn of(headers: Option<&HeaderMap>) -> Self {
        let Some(headers) = headers else { return Self::default() };
        let length = |(name, values): (&HeaderName, &Vec<HeaderValue>)| {
            let value = |value: &HeaderValue| value.as_str().len() + "\n\n".len();
            values.iter().map(value).sum::<usize>()
                + text(name).len()
                + values.len().saturating_sub(1)
        };
        let lines = String::with_capacity(headers.iter().map(length).sum());
        let mut flat = Self { lines, ..Self::default() };
        headers.iter().for_each(|(name, values)| flat.append(text(name), values));
        flat
    }

    fn append(&mut self, name: &str, values: &[HeaderValue]) {
        let (lines, mut last, mut before) = (&mut self.lines, None, name);
        for value in values {
            // Neither has the end of a line in it: they came as lines.
            lines.push_str(before);
            lines.push('\n');
            let start = lines.len();
            lines.push_str(value.as_str());
            last = Span::of(start, lines.len());
            lines.push('\n');
            before = MORE;
        }
        let Some(last) = last else { return };
        match Name::sort(name) {
            Sort::Known(name, case) => self.known.put(name, case, last),
            Sort::Other => self.others = true,
            Sort::Nothing => {}
        }
    }

    /// The last values of those of which an event is made.
    pub(super) fn known(&self) -> Known<&str> {
        self.known.map(|span| span.text(&self.lines))
    }

    /// The same of the publisher's own, each with its name.
    pub(super) fn others(&self) -> impl Iterator<Item = (&str, &str)> {
        let other = |(name, _): &(&str, &str)| matches!(Name::sort(name), Sort::Other);
        self.others.then(|| self.last().filter(other)).into_iter().flatten()
    }

    /// Each name with its last value.
    fn last(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut lines = self.lines().peekable();
        from_fn(move || {
            let (name, mut last) = lines.next()?;
            while let Some((_, value)) = lines.next_if(|(name, _)| *name == MORE) {
                last = value;
            }
            Some((name, last))
        })
    }

    /// As they arrived.
    pub(crate) fn map(&self) -> HeaderMap {
        let (mut map, mut of) = (HeaderMap::new(), None);
        for (name, value) in self.lines() {
            if name != MORE {
                of = name.parse::<HeaderName>().ok();
            }
            if let (Some(name), Ok(value)) = (&of, value.parse::<HeaderValue>()) {
                map.append(name.clone(), value);
            }
        }
        map
    }

    fn lines(&self) -> impl Iterator<Item = (&str, &str)> {
        let mut lines = self.lines.split('\n');
        from_fn(move || Some((lines.next()?, lines.next()?)))
    }
}

fn text(name: &HeaderName) -> &str {
    name.as_ref()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_what_they_were() {
        let headers = [
            ("ce-id", "1"),
            ("Nats-Msg-Id", "2"),
            ("twice", "first"),
            ("twice", ""),
            ("twice", "last"),
            ("empty", ""),
            ("", "without a name"),
        ];
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(name.parse::<HeaderName>().unwrap(), value.parse::<HeaderValue>().unwrap());
        }
        let flat = Flat::of(Some(&map));
        assert_eq!(flat.map(), map);
        let mut last: Vec<_> = flat.last().collect();
        last.sort_unstable();
        let expected = [
            ("", "without a name"),
            ("Nats-Msg-Id", "2"),
            ("ce-id", "1"),
            ("empty", ""),
            ("twice", "last"),
        ];
        assert_eq!(last, expected);
        assert_eq!(flat.lines.len(), flat.lines.capacity(), "one piece");
    }

    #[test]
    fn no_headers_are_none() {
        for none in [None, Some(&HeaderMap::new())] {
            let flat = Flat::of(none);
            assert!(flat.map().is_empty() && flat.last().next().is_none());
        }
    }
}

//! A message's headers in one piece.

use std::iter::from_fn;

use async_nats::HeaderMap;
use async_nats::header::{HeaderName, HeaderValue};

/// Headers as they arrived. The client's map is two allocations a header, made on its thread, that would
/// be kept as long as the event waits, and freed on another thread.
#[derive(Debug, Default)]
pub(crate) struct Flat(String);

/// In place of a name: one more value of the name before. No name can have it.
const MORE: &str = "\r";

impl Flat {
    /// To be called on the client's thread.
    pub(crate) fn of(headers: Option<HeaderMap>) -> Self {
        let Some(headers) = headers else { return Self::default() };
        let length = |(name, values): (&HeaderName, &Vec<HeaderValue>)| {
            let value = |value: &HeaderValue| value.as_str().len() + "\n\n".len();
            values.iter().map(value).sum::<usize>()
                + text(name).len()
                + values.len().saturating_sub(1)
        };
        let mut lines = String::with_capacity(headers.iter().map(length).sum());
        for (name, values) in headers.iter() {
            let mut name = text(name);
            for value in values {
                // Neither has the end of a line in it: they came as lines.
                lines.extend([name, "\n", value.as_str(), "\n"]);
                name = MORE;
            }
        }
        Self(lines)
    }

    /// Each name with its last value.
    pub(super) fn last(&self) -> impl Iterator<Item = (&str, &str)> {
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
        let mut lines = self.0.split('\n');
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
        let flat = Flat::of(Some(map.clone()));
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
        assert_eq!(flat.0.len(), flat.0.capacity(), "one piece");
    }

    #[test]
    fn no_headers_are_none() {
        for none in [None, Some(HeaderMap::new())] {
            let flat = Flat::of(none);
            assert!(flat.map().is_empty() && flat.last().next().is_none());
        }
    }
}

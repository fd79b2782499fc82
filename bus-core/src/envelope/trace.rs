//! The trace that an event is part of, as W3C Trace Context has it (level 1 of 2020-02-06, with the
//! `random` flag of level 2).

use std::fmt;
use std::num::NonZeroU64;

/// The most bytes of a `tracestate` that are carried on, as the specification asks for.
pub const MAX_TRACE_STATE: usize = 512;

/// The most bytes of `baggage` that are carried on.
pub const MAX_BAGGAGE: usize = 1024;

/// The flags that have a meaning: `sampled` and `random`.
const FLAGS: u8 = 0b11;

/// Which trace an event is part of. Transports carry all of it, with every copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Trace {
    /// What sent the event on its way, `traceparent` and `tracestate`: a publish, or a redrive.
    pub hop: Option<TraceContext>,
    /// What published it, `ce-traceparent` and `ce-tracestate`: the same through every redrive.
    pub origin: Option<TraceContext>,
    /// What the publisher's allow-list lets through, `baggage`.
    pub baggage: Option<Box<str>>,
    /// Whether its handlers begin a new trace with a link, `bus-trace: new`.
    pub fresh: bool,
}

/// A span, and what tracing systems have to say of its trace.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TraceContext {
    /// The span.
    pub parent: TraceParent,
    /// What the tracing systems on the way add, `tracestate`.
    pub state: Option<Box<str>>,
}

impl TraceContext {
    /// Of a span, and a `tracestate` if there is one that may be carried on.
    pub fn new(parent: TraceParent, state: Option<&str>) -> Self {
        Self { parent, state: state.and_then(|state| carried(state, MAX_TRACE_STATE)) }
    }

    /// Reads both headers; nothing without a `traceparent` that is well-formed.
    pub fn read(parent: Option<&str>, state: Option<&str>) -> Option<Self> {
        Some(Self::new(TraceParent::parse(parent?)?, state))
    }
}

impl Trace {
    /// Takes a `baggage` over that may be carried on: printable, no longer than [`MAX_BAGGAGE`].
    pub fn read_baggage(&mut self, text: &str) {
        self.baggage = carried(text, MAX_BAGGAGE);
    }
}

/// What would break a header, or is too long, is left out whole: half of it would say another thing.
fn carried(text: &str, most: usize) -> Option<Box<str>> {
    let text = text.trim();
    let printable = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    (!text.is_empty() && text.len() <= most && printable).then(|| text.into())
}

/// One span, by its trace and its own id: the header `traceparent`.
///
/// ```
/// use bus_core::envelope::TraceParent;
///
/// let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
/// let parent = TraceParent::parse(text).ok_or("malformed")?;
/// assert_eq!((parent.to_string().as_str(), parent.is_sampled()), (text, true));
/// assert_eq!(TraceParent::parse("00-0-0-0"), None);
/// # Ok::<(), &str>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// In two halves: a whole one would make all that holds it larger.
    trace: [u64; 2],
    span: NonZeroU64,
    flags: u8,
}

impl TraceParent {
    /// `None` where one of the ids is zero, which is the specification's word for none.
    pub fn new(trace: u128, span: u64, flags: u8) -> Option<Self> {
        let halves = [(trace >> 64) as u64, trace as u64];
        let span = NonZeroU64::new(span).filter(|_| trace != 0)?;
        Some(Self { trace: halves, span, flags: flags & FLAGS })
    }

    /// Reads a header; `None` where it is malformed. Of a later version its first four fields count.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.trim_ascii().as_bytes();
        let (fields, rest) = bytes.split_at_checked(55)?;
        let version = hex(&fields[..2])?;
        let whole = match version {
            0xff => false,
            0 => rest.is_empty(),
            _ => rest.is_empty() || rest[0] == b'-',
        };
        let dashes = [2, 35, 52].iter().all(|at| fields[*at] == b'-');
        if !whole || !dashes {
            return None;
        }
        let (trace, span) = (hex(&fields[3..35])?, hex(&fields[36..52])?);
        Self::new(trace, u64::try_from(span).ok()?, u8::try_from(hex(&fields[53..])?).ok()?)
    }

    /// The trace.
    pub fn trace_id(&self) -> u128 {
        let [high, low] = self.trace;
        u128::from(high) << 64 | u128::from(low)
    }

    /// The span.
    pub fn span_id(&self) -> u64 {
        self.span.get()
    }

    /// The flags: 1 sampled, 2 random.
    pub fn flags(&self) -> u8 {
        self.flags
    }

    /// Whether the caller recorded it.
    pub fn is_sampled(&self) -> bool {
        self.flags & 1 == 1
    }
}

/// Digits and small letters only, as the specification wants them.
fn hex(digits: &[u8]) -> Option<u128> {
    digits.iter().try_fold(0, |number, digit| {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(number << 4 | u128::from(value))
    })
}

impl fmt::Display for TraceParent {
    /// The header.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // One piece: `write!` would take four times as long.
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        put(&mut text[3..35], self.trace_id());
        put(&mut text[36..52], self.span.get().into());
        put(&mut text[53..], self.flags.into());
        f.write_str(std::str::from_utf8(&text).unwrap_or_default())
    }
}

fn put(digits: &mut [u8], mut number: u128) {
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789abcdef"[(number & 15) as usize];
        number >>= 4;
    }
}

impl fmt::Debug for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn what_is_well_formed_is_read_and_written_as_it_was() {
        let parent = TraceParent::parse(WHOLE).unwrap();
        assert_eq!(parent.trace_id(), 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736);
        assert_eq!((parent.span_id(), parent.flags()), (0x00f0_67aa_0ba9_02b7, 1));
        assert_eq!(parent.to_string(), WHOLE);
        assert_eq!(TraceParent::parse(&format!(" {WHOLE}\t")), Some(parent));
        assert!(!TraceParent::parse(&WHOLE.replace("-01", "-00")).unwrap().is_sampled());
        let later = format!("{}-what-comes-later", WHOLE.replacen("00", "cc", 1));
        assert_eq!(TraceParent::parse(&later), Some(parent));
        let unknown_flags = TraceParent::parse(&WHOLE.replace("-01", "-ff")).unwrap();
        assert_eq!(unknown_flags.flags(), 3);
    }

    #[test]
    fn what_is_malformed_is_nothing() {
        let more = format!("{WHOLE}-more");
        let digit = format!("{WHOLE}0");
        let later = format!("{}x", WHOLE.replacen("00", "cc", 1));
        let changed = [("4bf9", "4BF9"), ("4bf9", "4bg9"), ("-", "_"), ("-01", "-+1")];
        let changed: Vec<_> = changed.iter().map(|(old, new)| WHOLE.replace(old, new)).collect();
        let forbidden = WHOLE.replacen("00", "ff", 1);
        let mut wrong = vec!["", "00", &WHOLE[..54], &more, &digit, &later, &forbidden];
        wrong.extend(changed.iter().map(String::as_str));
        wrong.extend([
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "éé-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0",
        ]);
        for text in wrong {
            assert_eq!(TraceParent::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_others_add_is_carried_whole_or_not_at_all() {
        let read = |state: &str| TraceContext::read(Some(WHOLE), Some(state)).unwrap().state;
        assert_eq!(read(" a=1,b=2 ").as_deref(), Some("a=1,b=2"));
        assert_eq!(read(&"a".repeat(512)).map(|state| state.len()), Some(512));
        for wrong in ["", "  ", &"a".repeat(513), "a=\r\nb", "a=é"] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
        assert_eq!(TraceContext::read(Some("00-"), Some("a=1")), None);
    }
}

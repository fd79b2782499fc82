//! The publisher's own headers, kept apart from what the framework and the broker say.

/// The most headers of one event.
pub const MAX_HEADERS: usize = 64;

/// The most bytes of all names and values of one event.
pub const MAX_HEADER_BYTES: usize = 8 * 1024;

/// Names that begin so belong to the broker, to CloudEvents or to us, in any case of letters.
const RESERVED_PREFIXES: [&str; 3] = ["nats-", "ce-", "bus-"];

/// Names that the framework writes itself.
const RESERVED: [&str; 4] = ["content-type", "traceparent", "tracestate", "baggage"];

/// The publisher's own headers: names without regard to case, one value each, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// No headers.
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Sets a header, and replaces one of the same name. A name has letters, digits and `-`, and does
    /// not begin with `nats-`, `ce-` or `bus-`; `content-type` is the codec's, and `traceparent`,
    /// `tracestate` and `baggage` are the trace's.
    pub fn insert(
        &mut self,
        name: impl Into<String>,
        value: impl Into<String>,
    ) -> Result<(), InvalidHeader> {
        let (name, value) = (name.into(), value.into());
        check_name(&name)?;
        check_value(&name, &value)?;
        self.put(name, value)
    }

    /// Takes over what a transport read from the wire. Reserved names are refused here as well;
    /// odd names and values of foreign publishers are kept as they came.
    pub fn receive(&mut self, name: &str, value: &str) -> Result<(), InvalidHeader> {
        if is_reserved(name) {
            return Err(InvalidHeader::Reserved { name: name.to_owned() });
        }
        self.put(name.to_owned(), value.to_owned())
    }

    /// The value of a header, whatever the case of its name.
    pub fn get(&self, name: &str) -> Option<&str> {
        let same = |(other, _): &&(String, String)| other.eq_ignore_ascii_case(name);
        self.0.iter().find(same).map(|(_, value)| value.as_str())
    }

    /// Names and values in the order in which they were set.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes of all names and values.
    pub fn bytes(&self) -> usize {
        self.0.iter().map(|(name, value)| name.len() + value.len()).sum()
    }

    fn put(&mut self, name: String, value: String) -> Result<(), InvalidHeader> {
        let held = self.0.iter().position(|(other, _)| other.eq_ignore_ascii_case(&name));
        let old = held.map_or(0, |at| self.0[at].0.len() + self.0[at].1.len());
        if self.bytes() - old + name.len() + value.len() > MAX_HEADER_BYTES {
            return Err(InvalidHeader::TooManyBytes { name });
        }
        match held {
            Some(at) => self.0[at] = (name, value),
            None if self.0.len() == MAX_HEADERS => return Err(InvalidHeader::TooMany { name }),
            None => self.0.push((name, value)),
        }
        Ok(())
    }
}

/// Whether the name belongs to the broker, to CloudEvents or to the framework.
fn is_reserved(name: &str) -> bool {
    let starts = |prefix: &str| {
        name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    RESERVED_PREFIXES.iter().any(|prefix| starts(prefix))
        || RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved))
}

fn check_name(name: &str) -> Result<(), InvalidHeader> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if name.is_empty() || !name.bytes().all(plain) {
        return Err(InvalidHeader::Name { name: name.chars().take(64).collect() });
    }
    if is_reserved(name) {
        return Err(InvalidHeader::Reserved { name: name.to_owned() });
    }
    Ok(())
}

fn check_value(name: &str, value: &str) -> Result<(), InvalidHeader> {
    // Outer white space would not survive the wire, which trims it.
    if value.chars().any(char::is_control) || value.trim() != value {
        return Err(InvalidHeader::Value { name: name.to_owned() });
    }
    Ok(())
}

/// Why a header can not travel.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidHeader {
    /// A name of other characters than letters, digits and `-`.
    #[error("`{name}` is not the name of a header: use letters, digits and `-`")]
    Name {
        /// The name, cut to 64 characters.
        name: String,
    },
    /// A name that the broker, CloudEvents or the framework uses.
    #[error("`{name}` is reserved: the framework and the broker write such headers themselves")]
    Reserved {
        /// The name.
        name: String,
    },
    /// A value with a line break, another control character, or white space around it.
    #[error("the value of `{name}` has a control character, or white space at an end")]
    Value {
        /// The name.
        name: String,
    },
    /// One header more than [`MAX_HEADERS`].
    #[error("`{name}` is one header too many: an event carries at most {MAX_HEADERS}")]
    TooMany {
        /// The name.
        name: String,
    },
    /// More bytes than [`MAX_HEADER_BYTES`].
    #[error("`{name}` makes the headers larger than {MAX_HEADER_BYTES} bytes")]
    TooManyBytes {
        /// The name.
        name: String,
    },
}

//! Where events travel: checked once, and in `const` for literals.

use std::borrow::Cow;
use std::fmt;

use self::rules::Problem;

mod escape;
mod rules;

/// The longest subject in bytes. A NATS server closes the connection at a 4 KiB control line,
/// which also holds a reply subject and sizes; a quarter of it is left to the subject.
pub const MAX_SUBJECT: usize = 1024;

/// The longest encoded field in bytes.
pub const MAX_FIELD: usize = 256;

/// A subject that exists is valid: at least two tokens, the first lower case, no wildcard, no
/// white space, no control character, at most [`MAX_SUBJECT`] bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(Cow<'static, str>);

impl Subject {
    /// A subject known when the program is written; bad text in a `const` does not compile.
    ///
    /// # Panics
    /// When the text is not a subject and this is called at run time.
    pub const fn literal(text: &'static str) -> Self {
        match rules::check(text, false) {
            Ok(()) => Self(Cow::Borrowed(text)),
            Err(problem) => problem.fail(),
        }
    }

    /// Checks a subject that comes from somewhere else.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidSubject> {
        let text = text.into();
        match rules::check(&text, false) {
            Ok(()) => Ok(Self(Cow::Owned(text))),
            Err(problem) => Err(InvalidSubject::of(&text, problem)),
        }
    }

    /// The subject as it goes on the wire.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first token, which names the stream that keeps the event.
    pub fn domain(&self) -> &str {
        first_token(&self.0)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A subject with fields, `orders.{region}.placed`; a field fills a whole token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Template(&'static str);

impl Template {
    /// A template known when the program is written; bad text in a `const` does not compile.
    ///
    /// # Panics
    /// When the text is not a template and this is called at run time.
    pub const fn literal(text: &'static str) -> Self {
        match rules::check(text, true) {
            Ok(()) => Self(text),
            Err(problem) => problem.fail(),
        }
    }

    /// The text as written, braces included.
    pub const fn as_str(&self) -> &'static str {
        self.0
    }

    /// Fills the fields in the order in which they stand. Values are percent-encoded: whatever
    /// they hold, they stay one token, and different values never make the same subject.
    pub fn fill(&self, values: &[&dyn fmt::Display]) -> Result<Subject, InvalidSubject> {
        let mut values = values.iter();
        if !self.0.contains('{') {
            return Ok(Subject(Cow::Borrowed(self.0)));
        }
        let mut text = String::with_capacity(self.0.len() + 16);
        for token in self.0.split('.') {
            if !text.is_empty() {
                text.push('.');
            }
            let Some(field) = field_name(token) else {
                text.push_str(token);
                continue;
            };
            let value = values.next().ok_or(InvalidSubject::MissingField { field })?;
            escape::append(&mut text, value, MAX_FIELD)
                .map_err(|_| InvalidSubject::FieldTooLong { field })?;
        }
        if text.len() > MAX_SUBJECT {
            return Err(InvalidSubject::of(&text, Problem::TooLong));
        }
        Ok(Subject(Cow::Owned(text)))
    }

    /// What a group of this event subscribes to: every field becomes `*`.
    pub fn filter(&self) -> Filter {
        let wild = |token| if field_name(token).is_some() { "*" } else { token };
        Filter(self.0.split('.').map(wild).collect::<Vec<_>>().join("."))
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// The subjects that a group receives: tokens, of which some may be `*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Filter(String);

impl Filter {
    /// Checks a filter that comes from somewhere else: a subject of which tokens, but not the
    /// first, may be `*`.
    pub fn parse(text: impl Into<String>) -> Result<Self, InvalidSubject> {
        let text = text.into();
        let plain: Vec<_> =
            text.split('.').map(|token| if token == "*" { "x" } else { token }).collect();
        match rules::check(&plain.join("."), false) {
            _ if text.starts_with("*.") => Err(InvalidSubject::of(&text, Problem::FirstToken)),
            Ok(()) => Ok(Self(text)),
            Err(problem) => Err(InvalidSubject::of(&text, problem)),
        }
    }

    /// The filter as a broker takes it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first token, which names the stream.
    pub fn domain(&self) -> &str {
        first_token(&self.0)
    }

    /// Whether an event on this subject is for the group.
    pub fn matches(&self, subject: &Subject) -> bool {
        self.agrees(subject.as_str())
    }

    /// Whether there is a subject that both filters match.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.agrees(&other.0)
    }

    fn agrees(&self, other: &str) -> bool {
        let (mut mine, mut theirs) = (self.0.split('.'), other.split('.'));
        loop {
            match (mine.next(), theirs.next()) {
                (None, None) => return true,
                (Some(a), Some(b)) if a == b || a == "*" || b == "*" => {}
                _ => return false,
            }
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<&Subject> for Filter {
    fn from(subject: &Subject) -> Self {
        Self(subject.as_str().to_owned())
    }
}

/// Why a text is not a subject, or a value can not be part of one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidSubject {
    /// The text breaks a rule.
    #[error("`{text}` is not a subject: {problem}")]
    Text {
        /// The text, cut to 64 characters.
        text: String,
        /// The rule.
        problem: &'static str,
    },
    /// A value is longer than [`MAX_FIELD`] bytes once encoded.
    #[error(
        "the value of `{field}` takes more than {MAX_FIELD} bytes of the subject; keep it in the payload"
    )]
    FieldTooLong {
        /// The field of the template.
        field: &'static str,
    },
    /// A hand-written [`Template::fill`] gave too few values.
    #[error("no value was given for `{field}`")]
    MissingField {
        /// The field of the template.
        field: &'static str,
    },
}

impl InvalidSubject {
    fn of(text: &str, problem: Problem) -> Self {
        Self::Text { text: text.chars().take(64).collect(), problem: problem.text() }
    }
}

fn first_token(text: &str) -> &str {
    text.split('.').next().unwrap_or(text)
}

fn field_name(token: &'static str) -> Option<&'static str> {
    token.strip_prefix('{')?.strip_suffix('}')
}

//! Whether an error is worth another try.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::publish::PublishError;
use crate::settle::Reason;

#[doc(hidden)]
pub use self::declared::FailureDef;

pub(crate) use self::declared::write_causes;
use self::declared::{declared, declared_inside};

mod declared;

/// What a handler returns when any error will do: `?` on it means retry. The macros of `anyhow`
/// return its own type: use them in a function of `anyhow::Result`, and `?` that. Beside this crate's
/// prelude its trait is imported as `use anyhow::Context as _`.
pub type HandlerResult = Result<(), HandlerError>;

/// What to do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// Try again, by the handler's policy.
    Retry,
    /// Try again, not before this delay; the policy still counts the attempts.
    RetryAfter(Duration),
    /// No retry can mend it: a dead letter at once.
    Reject,
}

/// An error that says whether to retry; implemented by `#[derive(Failure)]` only, which also
/// registers the type, so that its verdict survives `?` into [`HandlerError`] and the context of
/// `anyhow`.
///
/// ```
/// use bus_core::prelude::*;
/// use std::time::Duration;
///
/// #[derive(Debug, thiserror::Error, Failure)]
/// enum ChargeError {
///     #[error("gateway")]                          Gateway(#[from] std::io::Error),
///     #[error("busy")]     #[failure(retry_after)] Busy(Duration),
///     #[error("declined")] #[failure(reject)]      Declined { code: String },
///     #[error("publish")]  #[failure(inherit)]     Publish(#[from] PublishError),
/// }
///
/// assert_eq!(ChargeError::Busy(Duration::from_secs(7)).verdict(), Verdict::RetryAfter(Duration::from_secs(7)));
/// assert_eq!(ChargeError::Declined { code: "51".into() }.class(), "declined");
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say whether to retry",
    note = "return `HandlerResult`, which takes any error by `?` and retries; or, if the type is yours, add `#[derive(Failure)]` to it"
)]
pub trait Failure: Into<HandlerError> + Send + 'static {
    /// What to do about it.
    fn verdict(&self) -> Verdict;

    /// Its class, in snake case: few and stable, for metrics and records.
    fn class(&self) -> Cow<'static, str>;

    #[doc(hidden)]
    fn only_the_derive_implements_this(_: Derived);
}

/// Keeps `Failure` with the derive: a hand-written one would not be registered.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Derived;

/// Any error, with the verdict that goes with it. Made by `?`, which retries unless the error, or
/// one that it was caused by, was declared otherwise by `#[derive(Failure)]`.
pub struct HandlerError {
    verdict: Verdict,
    class: Cow<'static, str>,
    reason: Reason,
    source: Box<dyn Error + Send + Sync>,
}

impl HandlerError {
    /// An error that no retry can mend.
    pub fn reject(source: impl Into<Box<dyn Error + Send + Sync>> + 'static) -> Self {
        Self { verdict: Verdict::Reject, ..Self::from(source) }
    }

    /// An error that is worth another try, whatever it was declared to be.
    pub fn retry(source: impl Into<Box<dyn Error + Send + Sync>> + 'static) -> Self {
        Self { verdict: Verdict::Retry, ..Self::from(source) }
    }

    /// An error that is worth another try, but not before `delay`.
    pub fn retry_after(
        delay: Duration,
        source: impl Into<Box<dyn Error + Send + Sync>> + 'static,
    ) -> Self {
        Self { verdict: Verdict::RetryAfter(delay), ..Self::from(source) }
    }

    /// Sets the class: few and stable, for metrics and records.
    pub fn classed(self, class: impl Into<Cow<'static, str>>) -> Self {
        Self { class: class.into(), ..self }
    }

    /// What to do about it.
    pub fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Its class; `_OTHER`, OpenTelemetry's word, where nobody declared one.
    pub fn class(&self) -> &str {
        &self.class
    }

    /// The error itself.
    pub fn source(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.source
    }

    /// The error itself, for code that goes on with `?`, such as a unit test.
    pub fn into_source(self) -> Box<dyn Error + Send + Sync> {
        self.source
    }

    /// An event that does not decode now will not decode on the next attempt.
    pub(crate) fn undecodable(source: impl Into<Box<dyn Error + Send + Sync>> + 'static) -> Self {
        Self { reason: Reason::Undecodable, ..Self::reject(source).classed("decode") }
    }

    /// What stands in the record if this error ends the attempts at once.
    pub(crate) fn reason(&self) -> Reason {
        self.reason
    }

    /// As declared by the error's own type.
    pub(crate) fn of<F: Failure>(failure: F) -> Self {
        let (verdict, class) = (failure.verdict(), failure.class());
        Self { verdict, class, ..failure.into() }
    }
}

impl<E: Into<Box<dyn Error + Send + Sync>> + 'static> From<E> for HandlerError {
    fn from(error: E) -> Self {
        let inside = declared_inside(&error);
        let source = error.into();
        let declared = inside.or_else(|| declared(&*source));
        let (verdict, class) = declared.unwrap_or((Verdict::Retry, OTHER));
        Self { verdict, class, reason: Reason::Rejected, source }
    }
}

impl fmt::Debug for HandlerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} ({}): {:?}", self.verdict, self.class, self.source)
    }
}

impl fmt::Display for HandlerError {
    /// The error and what caused it, in one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_causes(f, &*self.source)
    }
}

/// The class of errors that nobody declared, as OpenTelemetry's conventions have it.
const OTHER: Cow<'static, str> = Cow::Borrowed("_OTHER");

inventory::submit! { FailureDef::of::<PublishError>() }

impl Failure for HandlerError {
    fn verdict(&self) -> Verdict {
        self.verdict
    }

    fn class(&self) -> Cow<'static, str> {
        self.class.clone()
    }

    fn only_the_derive_implements_this(_: Derived) {}
}

impl Failure for Box<dyn Error + Send + Sync> {
    fn verdict(&self) -> Verdict {
        declared(&**self).map_or(Verdict::Retry, |(verdict, _)| verdict)
    }

    fn class(&self) -> Cow<'static, str> {
        declared(&**self).map_or(OTHER, |(_, class)| class)
    }

    fn only_the_derive_implements_this(_: Derived) {}
}

impl Failure for PublishError {
    fn verdict(&self) -> Verdict {
        if self.is_permanent() { Verdict::Reject } else { Verdict::Retry }
    }

    fn class(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Circle { .. } => "circle",
            _ => "publish",
        })
    }

    fn only_the_derive_implements_this(_: Derived) {}
}

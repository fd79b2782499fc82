//! What the author of an error said of it, found behind whatever it was wrapped in.

use std::any::Any;
use std::borrow::Cow;
use std::error::Error;
use std::{fmt, io};

use super::{Failure, Verdict};

/// What the author of an error said of it: the verdict and the class.
type Declared = (Verdict, Cow<'static, str>);

/// How far a chain of causes is followed; a chain could be a ring.
const MAX_CAUSES: usize = 32;

fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    let mut next = Some(error);
    let step = move || {
        let error = next?;
        next = error.source();
        Some(error)
    };
    std::iter::from_fn(step).take(MAX_CAUSES)
}

/// An error and what caused it, in one line.
pub(crate) fn write_causes(
    f: &mut fmt::Formatter<'_>,
    error: &(dyn Error + 'static),
) -> fmt::Result {
    write!(f, "{error}")?;
    causes(error).skip(1).try_for_each(|cause| write!(f, ": {cause}"))
}

/// The outermost declared failure of the chain decides.
pub(super) fn declared(error: &(dyn Error + 'static)) -> Option<Declared> {
    let look = |error| inventory::iter::<FailureDef>().find_map(|def| (def.look)(error));
    causes(error).find_map(|error| {
        // An `io::Error` names the cause of what it holds as its own, and so skips it.
        let held = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref);
        look(error).or_else(|| look(held?))
    })
}

/// `anyhow` hides what it holds once it has become a box, so it is asked before.
pub(super) fn declared_inside(error: &dyn Any) -> Option<Declared> {
    #[cfg(feature = "anyhow")]
    if let Some(error) = error.downcast_ref::<anyhow::Error>() {
        return declared(error.as_ref());
    }
    let _ = error;
    None
}

/// What `#[derive(Failure)]` registers.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct FailureDef {
    look: fn(&(dyn Error + 'static)) -> Option<Declared>,
}

impl FailureDef {
    pub const fn of<F: Failure + Error>() -> Self {
        Self { look: |error| error.downcast_ref::<F>().map(|f| (f.verdict(), f.class())) }
    }
}

inventory::collect!(FailureDef);

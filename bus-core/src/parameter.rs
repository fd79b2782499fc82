//! What `#[handler]` functions may ask for besides the event.

use std::ops::Deref;
use std::sync::Arc;

use crate::context::Context;
use crate::envelope::Headers;
use crate::failure::HandlerError;
use crate::state::Needs;

/// A parameter of a `#[handler]` function. Implement it for what your handlers ask for often.
///
/// ```
/// use bus_core::prelude::*;
/// use bus_core::Needs;
///
/// struct Tenant(String);
///
/// impl Parameter for Tenant {
///     fn read(ctx: &Context) -> Result<Self, HandlerError> {
///         let tenant = ctx.headers().get("tenant");
///         tenant.map(|name| Self(name.to_owned())).ok_or_else(|| HandlerError::reject("no tenant"))
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be a parameter of a handler",
    note = "after the event come `Context`, `State<T>`, `Attempt`, `Headers`, or a type that implements `Parameter`"
)]
pub trait Parameter: Sized {
    /// Says what it needs, so that a service without it does not start.
    fn requires(needs: &mut Needs) {
        let _ = needs;
    }

    /// Reads it. An error ends the attempt as an error of the handler would.
    fn read(ctx: &Context) -> Result<Self, HandlerError>;
}

/// A value that the service was given by `service.state(value)`, one a type; or, as
/// `State<dyn Gateway>`, by `service.shared::<dyn Gateway>(Arc::new(value))`.
#[derive(Debug)]
pub struct State<T: ?Sized>(pub Arc<T>);

impl<T: ?Sized> Clone for State<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: ?Sized> Deref for State<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized + Send + Sync + 'static> Parameter for State<T> {
    fn requires(needs: &mut Needs) {
        needs.state::<T>();
    }

    fn read(ctx: &Context) -> Result<Self, HandlerError> {
        let missing = || format!("the service was given no `{}`", std::any::type_name::<T>());
        ctx.states().get().map(Self).ok_or_else(|| missing().into())
    }
}

/// The number of this run, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Attempt(pub u32);

impl Parameter for Attempt {
    fn read(ctx: &Context) -> Result<Self, HandlerError> {
        Ok(Self(ctx.attempt()))
    }
}

impl Parameter for Context {
    fn read(ctx: &Context) -> Result<Self, HandlerError> {
        Ok(ctx.clone())
    }
}

impl Parameter for Headers {
    fn read(ctx: &Context) -> Result<Self, HandlerError> {
        Ok(ctx.headers().clone())
    }
}

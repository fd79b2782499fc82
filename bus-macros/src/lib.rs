//! The macros of `bus-core`; use them through it.
//!
//! Every macro re-emits the item it stands on, also when it fails, and then lets a stand-in take
//! the place of what it would have made: so that one mistake is one message, and not a second one
//! about a name or a trait that went missing.

use proc_macro::TokenStream;

mod discover;
mod event;
mod failure;
mod handler;
mod options;
mod stand_in;
mod subject;

/// Declares an async function as a handler, and registers it.
///
/// The event comes first, by value; then `Context`, `State<T>`, `Attempt`, `Headers` or types that
/// implement `Parameter`, in any order. The function stays as written, so a unit test can call it.
///
/// | option | |
/// | --- | --- |
/// | `name = "…"` | the handler's name; by default the function's, with `-` for `_` |
/// | `concurrency = 16` | runs at once in one process |
/// | `timeout = Duration::from_secs(20)` | how long one run may take |
/// | `retry = Retry::exponential(SECOND, MINUTE)` | how often, and how long in between |
/// | `breaker = Breaker::off()` | when it takes no more for a while, because most events fail |
/// | `start = Start::Now` | where a new group begins |
///
/// A module of the same name that is also in scope, as in `mod charge; pub use charge::charge;`, is in
/// the way of what it adds: name the handler by its path, or the module otherwise.
///
/// What it adds to `async fn charge(order: OrderPlaced, State(gateway): State<Gateway>)` is what
/// could be typed by hand:
///
/// ```text
/// pub struct charge {}
///
/// impl Declared for charge {
///     const DEF: &'static HandlerDef = &HandlerDef::new::<OrderPlaced>(
///         Site { name: "charge", package: …, module: module_path!(), file: file!(), line: line!() },
///         Options::new().concurrency(16),
///         |needs| <State<Gateway> as Parameter>::requires(needs),
///         |ctx| Box::pin(async move {
///             outcome(charge(event::<OrderPlaced>(&ctx)?, <State<Gateway> as Parameter>::read(&ctx)?).await)
///         }),
///     );
/// }
///
/// inventory::submit! { Registered(<charge as Declared>::DEF) }
/// ```
#[proc_macro_attribute]
pub fn handler(args: TokenStream, item: TokenStream) -> TokenStream {
    keep(item.clone(), handler::expand(args.into(), item.into()))
}

/// Implements `Event`, and registers the type for checks and tools.
///
/// `#[event(subject = "orders.{region}.placed")]` is needed; fields in braces are fields of the
/// struct. `type = "…"` names the type on the wire, by default the subject without its fields;
/// `version = 2`; `codec = path::To` in place of JSON. `#[event(key)]` on a field makes it the key.
#[proc_macro_derive(Event, attributes(event))]
pub fn derive_event(item: TokenStream) -> TokenStream {
    finish(event::expand(item.into()))
}

/// Implements `Failure`: whether an error is worth another try, by variant.
///
/// `#[failure(reject)]`: a dead letter at once. `#[failure(retry)]`: the default.
/// `#[failure(retry_after)]`: not before the variant's only `Duration`. `#[failure(inherit)]`: as
/// the variant's only field says. `#[failure(verdict = path)]`: as `fn(&Self) -> Verdict` says.
/// `class = "…"` names the class, by default the variant in snake case. On the type itself, they
/// hold for all variants that say nothing.
#[proc_macro_derive(Failure, attributes(failure))]
pub fn derive_failure(item: TokenStream) -> TokenStream {
    finish(failure::expand(item.into()))
}

/// Every handler of every crate that this one depends on, or those of one module:
/// `discover!()`, `discover!(crate::billing)`, `discover!(orders::handlers)`.
///
/// A crate that no code names is not linked, and its handlers would be lost; this names all direct
/// dependencies, and the package's own library. What those depend on is linked where they name it:
/// a crate that only gathers others calls this too, or says `pub use orders;`.
#[proc_macro]
pub fn discover(path: TokenStream) -> TokenStream {
    finish(discover::expand(path.into()))
}

fn keep(item: TokenStream, expansion: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    TokenStream::from_iter([item, finish(expansion)])
}

fn finish(expansion: syn::Result<proc_macro2::TokenStream>) -> TokenStream {
    expansion.unwrap_or_else(syn::Error::into_compile_error).into()
}

//! Which handlers there are, and the checks that make a lost one loud.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::event::EventDef;
use crate::handler::HandlerDef;

/// What `#[handler]` registers.
#[doc(hidden)]
#[derive(Debug)]
pub struct Registered(pub &'static HandlerDef);

inventory::collect!(Registered);

/// Is found in the registry wherever constructors run before `main`.
struct Sentinel;

inventory::collect!(Sentinel);
inventory::submit! { Sentinel }

/// What `#[handler]` implements for the type that has the function's name.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not declared with `#[handler]`",
    note = "`handlers![..]` takes functions with `#[handler]` on them; others go to `service.on(name, f)`"
)]
pub trait Declared {
    const DEF: &'static HandlerDef;
}

/// A list of handlers for a service, by [`discover!`](crate::discover) or
/// [`handlers!`](crate::handlers).
#[derive(Clone, Debug)]
pub struct Handlers {
    pub(crate) defs: Vec<&'static HandlerDef>,
    /// What was searched, for the message if nothing was found.
    pub(crate) origin: String,
    pub(crate) error: Option<RegistryError>,
}

impl Handlers {
    #[doc(hidden)]
    pub fn listed(defs: Vec<&'static HandlerDef>) -> Self {
        Self { defs, origin: "handlers![]".to_owned(), error: None }
    }

    /// Everything that is linked, sorted. `path` is the module to take, `""` for all: a path from
    /// a crate, or from `crate`, `self`, `super` as seen in the module `here`.
    #[doc(hidden)]
    pub fn discovered(here: &str, path: &str) -> Self {
        let module = resolve(here, path);
        let inside = |def: &&HandlerDef| {
            let rest = def.site.module.strip_prefix(module.as_str());
            module.is_empty() || rest.is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
        };
        let mut defs: Vec<_> = registered().into_iter().filter(inside).collect();
        defs.sort_by_key(|def| (def.site.package, def.site.module, def.site.line, def.site.name));
        let error = check(inventory::iter::<Sentinel>().count());
        Self { defs, origin: format!("discover!({path})"), error }
    }

    /// The list as text, one line a handler, sorted: what [`assert_manifest!`](crate::assert_manifest)
    /// compares.
    pub fn manifest(&self) -> String {
        let mut lines = BTreeMap::new();
        for def in &self.defs {
            let EventDef { type_name, version, subject, .. } = def.event;
            let line = format!("{} handles {type_name} v{version} on {subject}", def.name());
            *lines.entry((def.site.module, line)).or_insert(0) += 1;
        }
        let mut text = String::new();
        for ((module, line), count) in lines {
            let times = if count > 1 { format!(" ({count} times)") } else { String::new() };
            // Writing to a String does not fail.
            let _ = writeln!(text, "{module}: {line}{times}");
        }
        text
    }
}

fn registered() -> Vec<&'static HandlerDef> {
    inventory::iter::<Registered>().map(|registered| registered.0).collect()
}

/// All event types that are linked, sorted by name.
pub fn events() -> Vec<EventDef> {
    let mut events: Vec<_> = inventory::iter::<EventDef>().copied().collect();
    events.sort_by_key(|event| (event.type_name, event.version, (event.rust_type)()));
    events
}

/// A registry that can not be relied on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// Not even our own entry is there: nothing that is registered can be seen.
    #[error(
        "the registry is empty, even of its own entry: constructors did not run before `main`. Link flags, a plugin or the target may be the cause; list the handlers with `handlers![..]`"
    )]
    NoConstructors,
    /// Our own entry is there twice.
    #[error("the registry holds its own entry {count} times: bus-core is linked more than once")]
    LinkedTwice {
        /// How often.
        count: usize,
    },
}

fn check(sentinels: usize) -> Option<RegistryError> {
    match sentinels {
        1 => None,
        0 => Some(RegistryError::NoConstructors),
        count => Some(RegistryError::LinkedTwice { count }),
    }
}

/// `crate::billing` in `app::main` is `app::billing`.
fn resolve(here: &str, path: &str) -> String {
    let mut module = here;
    let mut rest = path.trim_start_matches("::");
    loop {
        let (head, tail) = rest.split_once("::").unwrap_or((rest, ""));
        match head {
            "crate" => module = here.split("::").next().unwrap_or(here),
            "self" => {}
            "super" => module = module.rsplit_once("::").map_or(module, |(parent, _)| parent),
            _ if rest == path.trim_start_matches("::") => return rest.to_owned(),
            _ => return format!("{module}::{rest}"),
        }
        if tail.is_empty() {
            return module.to_owned();
        }
        rest = tail;
    }
}

/// Lists handlers by hand, in place of [`discover!`](crate::discover): in tests, in plugins, on
/// targets without constructors. It takes functions with `#[handler]` on them; for others the
/// compiler says "expected type, found function", and `service.on(..)` takes them.
///
/// ```
/// use bus_core::prelude::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Serialize, Deserialize, Event)] #[event(subject = "orders.placed")] struct OrderPlaced;
/// #[handler]
/// async fn charge(order: OrderPlaced) {}
///
/// let service = Service::new("billing", Bus::in_memory()).handlers(handlers![charge]);
/// ```
#[macro_export]
macro_rules! handlers {
    ($($handler:path),* $(,)?) => {
        $crate::Handlers::listed(::std::vec![$(<$handler as $crate::__private::Declared>::DEF),*])
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_resolved_as_the_compiler_does() {
        for (path, module) in [
            ("crate", "app"),
            ("crate::billing", "app::billing"),
            ("self::inner", "app::web::routes::inner"),
            ("self", "app::web::routes"),
            ("super", "app::web"),
            ("super::super::billing", "app::billing"),
            ("orders::handlers", "orders::handlers"),
            ("::orders", "orders"),
            ("", ""),
        ] {
            assert_eq!(resolve("app::web::routes", path), module, "{path}");
        }
    }

    #[test]
    fn a_registry_without_its_own_entry_is_an_error() {
        assert_eq!(check(1), None);
        assert_eq!(check(0), Some(RegistryError::NoConstructors));
        assert_eq!(check(2), Some(RegistryError::LinkedTwice { count: 2 }));
    }
}

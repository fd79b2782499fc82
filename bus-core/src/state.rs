//! What handlers share: one value a type.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::Arc;

use crate::transport::Numbers;

/// The values that a service gives to its handlers, one a type.
#[derive(Clone, Default)]
pub(crate) struct States {
    /// Each an `Arc<T>`, by the id of `T`, which is a hash already; only looked up.
    values: HashMap<TypeId, Arc<dyn Any + Send + Sync>, BuildHasherDefault<Numbers>>,
    /// The types in the order in which they were given.
    names: Vec<&'static str>,
    twice: Option<&'static str>,
}

impl States {
    /// Puts a value in.
    pub(crate) fn insert<T: ?Sized + Send + Sync + 'static>(&mut self, value: Arc<T>) {
        self.names.push(type_name::<T>());
        if self.values.insert(TypeId::of::<T>(), Arc::new(value)).is_some() {
            self.twice = Some(type_name::<T>());
        }
    }

    pub(crate) fn get<T: ?Sized + Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        self.values.get(&TypeId::of::<T>())?.downcast_ref::<Arc<T>>().cloned()
    }

    /// The first need that is not met.
    pub(crate) fn missing(&self, needs: &Needs) -> Option<&'static str> {
        let missing = needs.0.iter().find(|(id, _)| !self.values.contains_key(id));
        missing.map(|(_, name)| *name)
    }

    /// A type of which there were two values.
    pub(crate) fn twice(&self) -> Option<&'static str> {
        self.twice
    }

    pub(crate) fn names(&self) -> Vec<&'static str> {
        self.names.clone()
    }
}

/// What the parameters of a handler ask for; checked for every handler before a service starts.
#[derive(Debug, Default)]
pub struct Needs(Vec<(TypeId, &'static str)>);

impl Needs {
    /// Asks for a value given by `service.state(..)`.
    pub fn state<T: ?Sized + 'static>(&mut self) {
        self.0.push((TypeId::of::<T>(), type_name::<T>()));
    }
}

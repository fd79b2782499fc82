//! What handlers share: one value a type.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::sync::Arc;

/// The values that a service gives to its handlers, one a type.
#[derive(Clone, Default)]
pub(crate) struct States(HashMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl States {
    /// Puts a value in; a second one of the same type replaces the first.
    pub(crate) fn insert<T: Send + Sync + 'static>(&mut self, value: Arc<T>) {
        self.0.insert(TypeId::of::<T>(), value);
    }

    pub(crate) fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        Arc::clone(self.0.get(&TypeId::of::<T>())?).downcast().ok()
    }

    /// The first need that is not met.
    pub(crate) fn missing(&self, needs: &Needs) -> Option<&'static str> {
        let missing = needs.0.iter().find(|(id, _)| !self.0.contains_key(id));
        missing.map(|(_, name)| *name)
    }
}

/// What the parameters of a handler ask for; checked for every handler before a service starts.
#[derive(Debug, Default)]
pub struct Needs(Vec<(TypeId, &'static str)>);

impl Needs {
    /// Asks for a value given by `service.state(..)`.
    pub fn state<T: 'static>(&mut self) {
        self.0.push((TypeId::of::<T>(), type_name::<T>()));
    }
}

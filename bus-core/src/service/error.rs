//! Why a service did not start, or did not end well.

use std::fmt;
use std::time::Duration;

use crate::failure::write_causes;
use crate::publish::PublishError;
use crate::registry::RegistryError;
use crate::service::report::Report;
use crate::subject::Filter;
use crate::transport::{GroupName, InvalidName, TransportError};

/// Why a service did not run to a good end.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It did not start.
    #[error("the service did not start")]
    Start(#[from] StartError),
    /// The transport was not made: its own error says why. A transport's crate converts into this.
    #[error("the broker could not be connected to")]
    Connect(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The transport could not be reached.
    #[error("the broker could not be reached")]
    Transport(#[from] TransportError),
    /// An event could not be published.
    #[error(transparent)]
    Publish(#[from] PublishError),
    /// Signals of the operating system can not be received.
    #[error("signals can not be received")]
    Signals(#[source] std::io::Error),
    /// Runs had to be abandoned; their events come again after the lease.
    #[error("the service stopped with work undone: {0}")]
    Abandoned(Report),
}

/// Why a service did not start. No event was taken from the broker; groups may have been made.
#[derive(Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The service's or a handler's name.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// It has nothing to do.
    #[error("the service `{service}` has no handlers: add `.handlers(discover!())` or `.on(..)`")]
    NoHandlers {
        /// The service.
        service: String,
    },
    /// A list of handlers is empty.
    #[error(
        "`{origin}` found no handler: is the module declared, the crate a dependency, a feature off?"
    )]
    NothingFound {
        /// The list as it was asked for.
        origin: String,
    },
    /// The registry can not be relied on.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// Two handlers have one name, so they would be one group.
    #[error("two handlers have one name: {first} and {second}; give one of them `name = \"…\"`")]
    TwoHandlers {
        /// The one.
        first: String,
        /// The other.
        second: String,
    },
    /// One handler is there twice: its file is part of two crates, or it was listed twice.
    #[error(
        "{handler} is there twice, as `{first}` and as `{second}`: list it once, and name the library instead of declaring its module again"
    )]
    ThereTwice {
        /// The handler.
        handler: String,
        /// The module of the one.
        first: &'static str,
        /// The module of the other.
        second: &'static str,
    },
    /// `tune` or `middleware_for` names a handler that is not there.
    #[error(
        "`{call}(\"{handler}\")`: no handler of the service has this name; there are {known:?}"
    )]
    UnknownHandler {
        /// The method.
        call: &'static str,
        /// The name it was given.
        handler: String,
        /// The names that there are.
        known: Vec<String>,
    },
    /// `retired` names a handler that is there.
    #[error("`retired(\"{handler}\")`: the service has a handler of this name")]
    NotRetired {
        /// The name it was given.
        handler: String,
    },
    /// An option or a setting can not be.
    #[error("{what} can not be {value}: {reason}")]
    Setting {
        /// The handler and its option, or the setting of the service.
        what: String,
        /// The value.
        value: String,
        /// The rule.
        reason: &'static str,
    },
    /// Two values of one type were given by `state`; handlers could not tell them apart.
    #[error("two values of the type `{state}` were given: wrap one of them in a type of its own")]
    TwoStates {
        /// The type.
        state: &'static str,
    },
    /// A handler asks for a state that the service was not given.
    #[error(
        "{handler} needs `State<{state}>`: add `.state(..)` with such a value; given are {given:?}"
    )]
    MissingState {
        /// The handler, with file and line.
        handler: String,
        /// The type.
        state: &'static str,
        /// The types of the values that were given.
        given: Vec<&'static str>,
    },
    /// Events of two types share subjects, so each group would get the other's and give them up.
    #[error(
        "{first} and {second} share subjects: each one's handlers would dead-letter the other's events. Give each type a subject of its own, or make them one enum"
    )]
    SharedSubject {
        /// The handled event: type name, subject and Rust type.
        first: String,
        /// The other.
        second: String,
    },
    /// Nothing on the broker stores the event of a handler.
    #[error(
        "{handler} handles `{subject}`, which nothing on the broker stores: make a stream for it, or mend the subject"
    )]
    NoStream {
        /// The handler, with file and line.
        handler: String,
        /// The filter.
        subject: Filter,
    },
    /// The broker does not renew leases, and a run may take longer than one.
    #[error(
        "{handler} may run for {timeout:?}, but a lease is {lease:?} and is not renewed: its events would run twice at once"
    )]
    LeaseTooShort {
        /// The handler, with file and line.
        handler: String,
        /// Its time-out.
        timeout: Duration,
        /// The lease.
        lease: Duration,
    },
    /// A group of this service has no handler here, as after a rename.
    #[error("the group `{group}` is on the broker with {waiting} events waiting, and no handler here has its name: was it renamed? `.retired(\"{}\")` says that it is meant so", .group.handler())]
    Orphan {
        /// The group.
        group: GroupName,
        /// How many events wait for it.
        waiting: u64,
    },
    /// Another service in this process has the same handler, so that each event would be handled
    /// twice.
    #[error(
        "{handler} runs in the service `{other}` of this process already: let one of them take its module only, with `discover!(crate::…)`"
    )]
    Claimed {
        /// The handler, with file and line.
        handler: String,
        /// The other service.
        other: String,
    },
    /// The broker refused something.
    #[error(transparent)]
    Transport(#[from] TransportError),
}

/// `main` shows an error by `Debug`, and a person reads it there: the words, not the structure.
macro_rules! debug_as_text {
    ($($error:ty),*) => {$(
        impl fmt::Debug for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_causes(f, self)
            }
        }
    )*};
}

debug_as_text!(Error, StartError);

//! The handlers of this very program, for the tests beside it.

use bus_core::Handlers;
use bus_core::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Event)]
#[event(subject = "orders.placed")]
pub(crate) struct Placed;

pub(crate) mod empty {}

pub(crate) mod billing {
    use super::Placed;
    use bus_core::prelude::*;

    #[handler]
    pub(crate) async fn charge(_order: Placed) {}

    pub(crate) mod refunds {
        use super::Placed;
        use bus_core::prelude::*;

        #[handler]
        pub(crate) async fn refund(_order: Placed) {}
    }
}

/// Its name begins as another's does.
pub(crate) mod billing_archive {
    use super::Placed;
    use bus_core::prelude::*;

    #[handler]
    async fn archive(_order: Placed) {}
}

fn names(handlers: &Handlers) -> Vec<String> {
    let manifest = handlers.manifest();
    let name = |line: &str| line.split(": ").nth(1)?.split(' ').next().map(str::to_owned);
    manifest.lines().filter_map(name).collect()
}

#[test]
fn everything_is_found() {
    assert_eq!(names(&discover!()), ["charge", "refund", "archive"]);
    assert_eq!(names(&discover!(crate)), ["charge", "refund", "archive"]);
}

#[test]
fn a_module_has_its_own_and_those_below() {
    assert_eq!(names(&discover!(crate::discovered::billing)), ["charge", "refund"]);
    assert_eq!(names(&discover!(self::billing::refunds)), ["refund"]);
    assert_eq!(names(&discover!(billing_archive)), ["archive"]);
    assert_eq!(names(&discover!(super::discovered::billing_archive)), ["archive"]);
}

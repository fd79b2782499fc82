//! A thousand types of events, each on a subject of its own.

use anyhow::Result;
use bus_core::handler::{self, Site};
use bus_core::prelude::*;
use bus_core::registry::Handlers;
use bus_core::subject::{InvalidSubject, Subject, Template};
use bus_core::{HandlerDef, Options};
use futures_util::FutureExt;
use serde::{Deserialize, Serialize};

use crate::goal::Goal;
use benches::event::Placed;

/// The stream that has them.
pub(crate) const STREAM: &str = "MANY";

/// Number `N`: [`Placed`] on another subject.
#[derive(Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Numbered<const N: usize>(pub(crate) Placed);

impl<const N: usize> Numbered<N> {
    const TEXT: [u8; 9] = {
        let mut text = *b"many.n000";
        text[6] += (N / 100) as u8;
        text[7] += (N / 10 % 10) as u8;
        text[8] += (N % 10) as u8;
        text
    };
}

impl<const N: usize> Event for Numbered<N> {
    const TYPE: &'static str = Self::SUBJECT.as_str();
    const VERSION: u32 = 1;
    const SUBJECT: Template = match std::str::from_utf8(&Self::TEXT) {
        Ok(text) => Template::literal(text),
        Err(_) => Template::literal("many.none"),
    };
    type Codec = Json;

    fn subject(&self) -> Result<Subject, InvalidSubject> {
        Self::SUBJECT.fill(&[])
    }
}

/// The subject of one, and its type.
pub(crate) fn subject(number: usize) -> String {
    format!("many.n{number:03}")
}

/// As many handlers, as `#[handler(concurrency = 64)]` declares them.
pub(crate) fn handlers(count: usize) -> Handlers {
    Handlers::listed(ALL.iter().take(count).map(|define| define()).collect())
}

fn define<const N: usize>() -> &'static HandlerDef {
    // As long-lived as one that is declared.
    let name: &'static str = Box::leak(format!("h{N:03}").into_boxed_str());
    let (package, version) = (env!("CARGO_PKG_NAME"), env!("CARGO_PKG_VERSION"));
    let (module, file, line) = (module_path!(), file!(), N as u32);
    let site = Site { name, package, version, module, file, line };
    let options = Options::new().concurrency(64);
    Box::leak(Box::new(HandlerDef::new::<Numbered<N>>(
        site,
        options,
        State::<Goal>::requires,
        |ctx| {
            async move {
                std::hint::black_box(handler::event::<Numbered<N>>(&ctx)?);
                State::<Goal>::read(&ctx)?.0.count();
                Ok(())
            }
            .boxed()
        },
    )))
}

/// Every number below a thousand.
macro_rules! all {
    ($($hundred:literal)+) => { [$(all!(@ $hundred 0 1 2 3 4 5 6 7 8 9)),+] };
    (@ $hundred:literal $($ten:literal)+) => { [$(
        define::<{ $hundred * 100 + $ten * 10 }>, define::<{ $hundred * 100 + $ten * 10 + 1 }>,
        define::<{ $hundred * 100 + $ten * 10 + 2 }>, define::<{ $hundred * 100 + $ten * 10 + 3 }>,
        define::<{ $hundred * 100 + $ten * 10 + 4 }>, define::<{ $hundred * 100 + $ten * 10 + 5 }>,
        define::<{ $hundred * 100 + $ten * 10 + 6 }>, define::<{ $hundred * 100 + $ten * 10 + 7 }>,
        define::<{ $hundred * 100 + $ten * 10 + 8 }>, define::<{ $hundred * 100 + $ten * 10 + 9 }>,
    )+] };
}

const ALL: &[fn() -> &'static HandlerDef] = {
    const FOUND: [[fn() -> &'static HandlerDef; 100]; 10] = all!(0 1 2 3 4 5 6 7 8 9);
    FOUND.as_flattened()
};

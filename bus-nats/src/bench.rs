//! A door for the count of instructions: what a message costs on its way in and out.

use std::time::SystemTime;

use async_nats::HeaderMap;
use bus_core::Envelope;
use bytes::Bytes;

use crate::headers::{self, Flat, Stored, Writer};

/// What keeps the headers that many events have in common.
#[derive(Debug, Default)]
pub struct Headers(Writer);

impl Headers {
    /// An envelope's headers.
    pub fn write(&self, envelope: &Envelope) -> HeaderMap {
        self.0.write(envelope)
    }

    /// The envelope that has these headers, if it is one.
    pub fn read(&self, subject: &str, headers: &HeaderMap, payload: Bytes) -> Option<Envelope> {
        let stored = Stored { stream: "BENCH", sequence: 1, time: SystemTime::UNIX_EPOCH };
        headers::read(subject, &Flat::of(Some(headers)), payload, stored).ok()
    }
}

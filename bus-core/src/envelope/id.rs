//! The identity of an event.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use uuid::Uuid;

mod fresh;

/// The longest id in bytes that is read from a foreign publisher.
const MAX_ID: usize = 256;

/// The id of an event: a UUID where we make it, any text where a foreign publisher did.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventId(Repr);

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Repr {
    Uuid(Uuid),
    Text(Arc<str>),
}

impl EventId {
    /// A new id, a UUIDv7: sorted by time within one process.
    pub fn now() -> Self {
        Self(Repr::Uuid(fresh::uuid()))
    }

    /// Reads an id; a UUID in its usual form is equal to the same one of ours.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        if let Ok(uuid) = Uuid::try_parse(text)
            && *uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()) == *text
        {
            return Ok(Self(Repr::Uuid(uuid)));
        }
        if text.is_empty() || text.len() > MAX_ID || text.chars().any(char::is_control) {
            return Err(InvalidId { bytes: text.len() });
        }
        Ok(Self(Repr::Text(Arc::from(text))))
    }

    /// The id of something that follows from this event: equal parts give equal ids, in every
    /// process and every build. A UUIDv8 that holds a SHA-1 of the parts.
    pub(crate) fn derive(&self, parts: &[&[u8]]) -> Self {
        let mut name = Vec::with_capacity(64 + parts.iter().map(|part| part.len()).sum::<usize>());
        name.extend_from_slice(self.to_string().as_bytes());
        for part in parts {
            // The lengths keep ("ab", "c") apart from ("a", "bc").
            name.extend_from_slice(&(part.len() as u64).to_be_bytes());
            name.extend_from_slice(part);
        }
        let hash = Uuid::new_v5(&NAMESPACE, &name);
        Self(Repr::Uuid(uuid::Builder::from_custom_bytes(hash.into_bytes()).into_uuid()))
    }

    /// As text that can be shared.
    pub(crate) fn text(&self) -> Arc<str> {
        match &self.0 {
            Repr::Uuid(uuid) => {
                Arc::from(&*uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()))
            }
            Repr::Text(text) => Arc::clone(text),
        }
    }

    /// 64 well mixed bits of it, the same in every process: for jitter, never for identity.
    pub(crate) fn bits(&self) -> u64 {
        match &self.0 {
            Repr::Uuid(uuid) => mix(uuid.as_u64_pair().0) ^ mix(uuid.as_u64_pair().1),
            Repr::Text(text) => text.bytes().fold(0, |bits, byte| mix(bits ^ u64::from(byte))),
        }
    }
}

/// Says that a hash is one of ours; any constant would do, and it may never change.
const NAMESPACE: Uuid = Uuid::from_u128(0x6275_7300_6576_8e74_8e69_6400_6368_6c64);

/// The finalizer of `SplitMix64` (Steele, Lea and Flood, 2014).
pub(crate) fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

impl From<Uuid> for EventId {
    fn from(uuid: Uuid) -> Self {
        Self(Repr::Uuid(uuid))
    }
}

impl FromStr for EventId {
    type Err = InvalidId;

    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::parse(text)
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Repr::Uuid(uuid) => uuid.hyphenated().fmt(f),
            Repr::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text can not be an event's id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event's id has 1 to {MAX_ID} bytes without control characters, this one has {bytes}")]
pub struct InvalidId {
    /// The bytes of the text.
    pub bytes: usize,
}

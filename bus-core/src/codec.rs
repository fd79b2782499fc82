//! Event ⇄ payload.

use std::cell::Cell;
use std::error::Error;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_path_to_error::{Path, Segment};

/// How an event becomes bytes and back; named on the wire by its content type.
pub trait Codec: 'static {
    /// The media type, such as `application/json`.
    const CONTENT_TYPE: &'static str;

    /// Encodes a value.
    fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError>;

    /// Decodes a value, and says in which field the bytes are wrong.
    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError>;
}

/// The bytes and the type do not fit.
#[derive(Debug, thiserror::Error)]
#[error("{}{error}", at(.path))]
#[non_exhaustive]
pub struct CodecError {
    /// The path of the bad field, such as `lines[2].price`, where the format has paths.
    pub path: Option<String>,
    /// What the format's own library says, without the values of the event; part of this error's own
    /// text.
    pub error: Box<dyn Error + Send + Sync>,
}

impl CodecError {
    /// An error of a codec of your own.
    pub fn new(path: Option<String>, error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { path, error: error.into() }
    }
}

fn at(path: &Option<String>) -> String {
    path.as_ref().map(|path| format!("at `{path}`: ")).unwrap_or_default()
}

/// JSON, the default. Nesting is limited to 128 levels by `serde_json`.
#[derive(Clone, Copy, Debug)]
pub struct Json;

thread_local! {
    /// Where this thread encodes, so that the buffer grows once and not for every event.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// A thread keeps no larger buffer, in bytes, for one large event.
const MAX_SCRATCH: usize = 64 * 1024;

impl Codec for Json {
    const CONTENT_TYPE: &'static str = "application/json";

    fn encode<T: Serialize>(value: &T) -> Result<Vec<u8>, CodecError> {
        // Taken, so that a value that encodes another one inside finds an empty one.
        let mut scratch = SCRATCH.take();
        scratch.clear();
        let written = serde_json::to_writer(&mut scratch, value);
        // A copy of just the right size becomes `Bytes` as it is; what grew step by step does not.
        let bytes = scratch.as_slice().to_vec();
        if scratch.capacity() <= MAX_SCRATCH {
            SCRATCH.set(scratch);
        }
        written.map(|()| bytes).map_err(|error| CodecError::new(None, error))
    }

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, CodecError> {
        // Tracking the path costs time on every field, so only a failure is decoded again with it.
        serde_json::from_slice(bytes).map_err(|error| match json_path::<T>(bytes) {
            Some((path, error)) => CodecError::new(Some(path), without_value(error)),
            None => CodecError::new(None, without_value(error)),
        })
    }
}

/// How serde begins what it says of a value that does not fit; then it quotes the value.
const QUOTES: [&str; 5] =
    ["invalid type", "invalid value", "invalid length", "unknown variant", "unknown field"];

/// The same without what it quotes: errors are logged and kept, and what an event holds is not to
/// be read there.
fn without_value(error: serde_json::Error) -> Box<dyn Error + Send + Sync> {
    let text = error.to_string();
    // What stands in the type is named, and not what stands in the bytes.
    let is_free = ["missing field", "duplicate field"].iter().any(|start| text.starts_with(start));
    if !error.is_data() || is_free {
        return error.into();
    }
    let said = QUOTES.iter().find(|start| text.starts_with(**start));
    match (said, text.rsplit_once(", expected ")) {
        (Some(said), Some((_, expected))) => format!("{said}, expected {expected}").into(),
        _ => format!("does not fit at line {} column {}", error.line(), error.column()).into(),
    }
}

fn json_path<T: DeserializeOwned>(bytes: &[u8]) -> Option<(String, serde_json::Error)> {
    let mut json = serde_json::Deserializer::from_slice(bytes);
    let error = serde_path_to_error::deserialize::<_, T>(&mut json).err()?;
    let path = path_without_values(error.path());
    (!path.is_empty()).then(|| (path, error.into_inner()))
}

/// `lines[2].price`. The keys of a map are values as well; those that can not name a field are left
/// out.
fn path_without_values(path: &Path) -> String {
    let is_name = |key: &str| {
        let mut bytes = key.bytes();
        let starts = bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic() || byte == b'_');
        starts && bytes.all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
    };
    let mut text = String::new();
    for segment in path {
        let name = match segment {
            Segment::Seq { index } => {
                text += &format!("[{index}]");
                continue;
            }
            Segment::Map { key } if is_name(key) => key,
            Segment::Enum { variant } => variant,
            Segment::Map { .. } | Segment::Unknown => "?",
        };
        text += if text.is_empty() { "" } else { "." };
        text += name;
    }
    text
}

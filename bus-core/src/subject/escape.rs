//! Values in subjects: percent-encoded, so that none can break or forge one.

use std::fmt::{self, Display, Write};

/// The encoded value is longer than the limit.
pub(super) struct TooLong;

/// Appends `value` as one token of at most `limit` bytes.
///
/// Letters, digits, `-` and `_` stay; every other byte becomes `%XX`; nothing at all becomes a
/// lone `%`, which no value produces. So different values make different tokens.
pub(super) fn append(text: &mut String, value: &dyn Display, limit: usize) -> Result<(), TooLong> {
    let start = text.len();
    let mut escape = Escape { text, end: start + limit };
    write!(escape, "{value}").map_err(|fmt::Error| TooLong)?;
    if text.len() == start {
        text.push('%');
    }
    Ok(())
}

struct Escape<'a> {
    text: &'a mut String,
    end: usize,
}

impl Write for Escape<'_> {
    fn write_str(&mut self, part: &str) -> fmt::Result {
        for byte in part.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => {
                    self.text.push(char::from(byte));
                }
                _ => write!(self.text, "%{byte:02X}")?,
            }
            if self.text.len() > self.end {
                return Err(fmt::Error);
            }
        }
        Ok(())
    }
}

//! Header values, as the CloudEvents binding for NATS has them: percent-encoded printable ASCII.

use std::borrow::Cow;
use std::fmt::Write;

/// Encodes space, double quote, percent, and everything outside of printable ASCII.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'%';
    if text.bytes().all(plain) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for byte in text.bytes() {
        if plain(byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    Cow::Owned(escaped)
}

/// The inverse; also takes a quoted string, which older publishers write. `None` if the bytes are
/// no UTF-8. A percent sign without two hexadecimal digits stands for itself.
pub(super) fn unescape(text: &str) -> Option<Cow<'_, str>> {
    let text = unquote(text.trim());
    if !text.contains('%') {
        return Some(text);
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text.as_bytes());
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        let digits = behind.first_chunk().filter(|_| *first == b'%').and_then(hex);
        match digits {
            Some(byte) => {
                bytes.push(byte);
                rest = &rest[2..];
            }
            None => bytes.push(*first),
        }
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn hex(digits: &[u8; 2]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    u8::try_from(digit(digits[0])? * 16 + digit(digits[1])?).ok()
}

fn unquote(text: &str) -> Cow<'_, str> {
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let Some(inner) = inner else { return Cow::Borrowed(text) };
    let (mut unquoted, mut letters) = (String::with_capacity(inner.len()), inner.chars());
    while let Some(letter) = letters.next() {
        unquoted.extend(if letter == '\\' { letters.next() } else { Some(letter) });
    }
    Cow::Owned(unquoted)
}

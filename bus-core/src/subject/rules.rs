//! What makes a text a subject, in `const`. The derive macro checks literals by the same rules
//! and with spans; a table of literals holds the two together.

use super::MAX_SUBJECT;

/// The rule that a text breaks.
#[derive(Clone, Copy)]
pub(super) enum Problem {
    TooLong,
    OneToken,
    EmptyToken,
    FirstToken,
    Wildcard,
    Character,
    Brace,
}

impl Problem {
    pub(super) const fn text(self) -> &'static str {
        match self {
            Self::TooLong => "it is longer than 1024 bytes",
            Self::OneToken => "it needs at least two tokens, such as `orders.placed`",
            Self::EmptyToken => "it has an empty token",
            Self::FirstToken => {
                "its first token names the stream: a lower case letter, then `a-z`, `0-9`, `-`, `_`"
            }
            Self::Wildcard => "`*` and `>` are wildcards",
            Self::Character => "white space and control characters can not travel",
            Self::Brace => "a field is a whole token, such as `{region}`",
        }
    }

    /// For literals: the message of a compile error, or of a panic at run time.
    #[expect(clippy::panic, reason = "this is how a const function refuses to compile")]
    pub(super) const fn fail(self) -> ! {
        panic!("{}", self.text())
    }
}

/// Walks the bytes once. With `template`, whole tokens may be `{field}`.
pub(super) const fn check(text: &str, template: bool) -> Result<(), Problem> {
    let bytes = text.as_bytes();
    if bytes.len() > MAX_SUBJECT {
        return Err(Problem::TooLong);
    }
    let (mut tokens, mut start, mut at) = (0, 0, 0);
    while at <= bytes.len() {
        if at == bytes.len() || bytes[at] == b'.' {
            if let Err(problem) = token(bytes, start, at, tokens == 0, template) {
                return Err(problem);
            }
            tokens += 1;
            start = at + 1;
        }
        at += 1;
    }
    if tokens < 2 { Err(Problem::OneToken) } else { Ok(()) }
}

const fn token(
    bytes: &[u8],
    start: usize,
    end: usize,
    first: bool,
    template: bool,
) -> Result<(), Problem> {
    if start == end {
        return Err(Problem::EmptyToken);
    }
    let field = template && !first && bytes[start] == b'{' && bytes[end - 1] == b'}';
    if field && !is_name(bytes, start + 1, end - 1) {
        return Err(Problem::Brace);
    }
    let mut at = start;
    while at < end {
        let byte = bytes[at];
        at += 1;
        match byte {
            _ if first && !is_lower(byte, at - 1 == start) => return Err(Problem::FirstToken),
            b'*' | b'>' => return Err(Problem::Wildcard),
            0..=b' ' | 0x7f => return Err(Problem::Character),
            b'{' | b'}' if template && !field => return Err(Problem::Brace),
            _ => {}
        }
    }
    Ok(())
}

const fn is_lower(byte: u8, leads: bool) -> bool {
    byte.is_ascii_lowercase() || (!leads && (byte.is_ascii_digit() || byte == b'-' || byte == b'_'))
}

const fn is_name(bytes: &[u8], start: usize, end: usize) -> bool {
    let mut at = start;
    while at < end {
        if !(bytes[at].is_ascii_alphanumeric() || bytes[at] == b'_') {
            return false;
        }
        at += 1;
    }
    start < end
}

//! The frames of the NATS protocol, cut out of a stream of bytes.

use std::{io, mem, str};

/// The longest line before a payload; a server's greeting is one.
const LONGEST_LINE: usize = 64 * 1024;

/// The largest payload with its headers; servers take 64 MiB at most.
const LARGEST: usize = 64 * 1024 * 1024;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The server's greeting.
    Info,
    /// The client's answer to it.
    Connect,
    /// Is anybody there?
    Ping,
    /// Yes.
    Pong,
    /// A subscription.
    Sub,
    /// The end of one.
    Unsub,
    /// A message of the client.
    Pub,
    /// The same with headers.
    HPub,
    /// A message of the server.
    Msg,
    /// The same with headers.
    HMsg,
    /// A verbose server's agreement.
    Ok,
    /// The server's complaint.
    Err,
    /// Bytes of a protocol that is not looked into.
    Bytes,
}

/// One frame, as it was on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is.
    pub kind: Kind,
    raw: Vec<u8>,
    line: usize,
    headers: usize,
}

impl Frame {
    fn word(&self, number: usize) -> Option<&str> {
        str::from_utf8(&self.raw[..self.line]).ok()?.split_ascii_whitespace().nth(number)
    }

    /// Where a message or a subscription goes; empty where there is none.
    pub fn subject(&self) -> &str {
        let speaks =
            matches!(self.kind, Kind::Pub | Kind::HPub | Kind::Msg | Kind::HMsg | Kind::Sub);
        if speaks { self.word(1).unwrap_or_default() } else { "" }
    }

    /// Its headers, with the line that begins them.
    pub fn headers(&self) -> &[u8] {
        self.body().get(..self.headers).unwrap_or_default()
    }

    /// What a message carries; for other frames what follows the first word.
    pub fn payload(&self) -> &[u8] {
        match self.kind {
            Kind::Pub | Kind::HPub | Kind::Msg | Kind::HMsg => {
                self.body().get(self.headers..).unwrap_or_default()
            }
            Kind::Bytes => &self.raw,
            _ => {
                let line = &self.raw[..self.line];
                let word = line.iter().position(u8::is_ascii_whitespace);
                word.map_or(&[], |end| line[end..].trim_ascii())
            }
        }
    }

    /// The payload as text, as far as it is one.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.payload()).into_owned()
    }

    /// All of it.
    pub fn bytes(&self) -> &[u8] {
        &self.raw
    }

    /// All of it, to be sent.
    pub fn into_bytes(self) -> Vec<u8> {
        self.raw
    }

    /// The same with one bit of its payload turned.
    #[must_use]
    pub fn corrupted(mut self) -> Self {
        let length = self.payload().len();
        let end = if self.kind == Kind::Bytes { 0 } else { 2 };
        let middle = self.raw.len().saturating_sub(end + length.div_ceil(2));
        if let Some(byte) = self.raw.get_mut(middle).filter(|_| length > 0) {
            *byte ^= 1;
        }
        self
    }

    /// Without the addresses of other servers, which would lead a client around.
    pub(super) fn without_addresses(self) -> Self {
        let info: Option<serde_json::Value> = serde_json::from_slice(self.payload()).ok();
        let Some(mut info) = info.filter(|info| info.get("connect_urls").is_some()) else {
            return self;
        };
        if let Some(fields) = info.as_object_mut() {
            fields.remove("connect_urls");
        }
        let raw = format!("INFO {info}\r\n").into_bytes();
        Self { line: raw.len() - 2, raw, ..self }
    }

    fn body(&self) -> &[u8] {
        self.raw.get(self.line + 2..self.raw.len() - 2).unwrap_or_default()
    }
}

/// Cuts frames out of bytes that come in any pieces. What it keeps is bounded.
#[derive(Debug)]
pub struct Splitter {
    buffer: Vec<u8>,
    from: usize,
    looks: bool,
}

impl Default for Splitter {
    fn default() -> Self {
        Self { buffer: Vec::new(), from: 0, looks: true }
    }
}

impl Splitter {
    /// Takes all bytes as they come: TLS, or what servers say to each other.
    pub fn blind() -> Self {
        Self { looks: false, ..Self::default() }
    }

    /// Takes more bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..mem::take(&mut self.from));
        self.buffer.extend_from_slice(bytes);
    }

    /// The next whole frame.
    pub fn frame(&mut self) -> io::Result<Option<Frame>> {
        let rest = &self.buffer[self.from..];
        if rest.is_empty() {
            return Ok(None);
        }
        if !self.looks {
            self.from = 0;
            let raw = mem::take(&mut self.buffer);
            return Ok(Some(Frame { kind: Kind::Bytes, raw, line: 0, headers: 0 }));
        }
        let Some(end) = rest.iter().take(LONGEST_LINE).position(|byte| *byte == b'\n') else {
            return if rest.len() < LONGEST_LINE { Ok(None) } else { Err(malformed(rest)) };
        };
        let line = end.checked_sub(1).filter(|line| rest[*line] == b'\r');
        let line = line.ok_or_else(|| malformed(rest))?;
        let (kind, sizes) = read(&rest[..line]).ok_or_else(|| malformed(rest))?;
        let (headers, length) = match sizes {
            None => (0, end + 1),
            Some((headers, size)) if headers <= size && size <= LARGEST => {
                (headers, end + 1 + size + 2)
            }
            Some(_) => return Err(malformed(rest)),
        };
        let Some(raw) = rest.get(..length).map(<[u8]>::to_vec) else { return Ok(None) };
        if !raw.ends_with(b"\r\n") {
            return Err(malformed(rest));
        }
        self.from += length;
        Ok(Some(Frame { kind, raw, line, headers }))
    }
}

fn malformed(bytes: &[u8]) -> io::Error {
    let text = String::from_utf8_lossy(&bytes[..bytes.len().min(80)]).into_owned();
    io::Error::other(format!("no frame of the protocol: {text:?}"))
}

/// What the line says: the kind, and for a message the bytes of its headers and of all of it.
fn read(line: &[u8]) -> Option<(Kind, Option<(usize, usize)>)> {
    let text = String::from_utf8_lossy(line);
    let mut words = text.split_ascii_whitespace();
    let kind = match words.next()?.to_ascii_uppercase().as_str() {
        "INFO" => Kind::Info,
        "CONNECT" => Kind::Connect,
        "PING" => Kind::Ping,
        "PONG" => Kind::Pong,
        "SUB" => Kind::Sub,
        "UNSUB" => Kind::Unsub,
        "PUB" => Kind::Pub,
        "HPUB" => Kind::HPub,
        "MSG" => Kind::Msg,
        "HMSG" => Kind::HMsg,
        "+OK" => Kind::Ok,
        "-ERR" => Kind::Err,
        _ => return None,
    };
    let mut size = || words.next_back()?.parse().ok();
    let sizes = match kind {
        Kind::Pub | Kind::Msg => Some((0, size()?)),
        Kind::HPub | Kind::HMsg => {
            let all = size()?;
            Some((size()?, all))
        }
        _ => None,
    };
    Some((kind, sizes))
}

#[cfg(test)]
mod tests;

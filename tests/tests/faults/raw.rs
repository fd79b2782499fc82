//! A client of a server that leaves nothing out: it sends what no library would, and hears everything.

use bus_nats::dev_server::DevServer;
use tests::chaos::frame::{Frame, Kind, Splitter};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::PATIENCE;

const CONNECT: &[u8] = b"CONNECT {\"verbose\":false,\"headers\":true}\r\n";

/// Publishes without a client, which would not let some of it through.
pub(crate) async fn publish(server: &DevServer, subject: &[u8], headers: &[u8], payload: &[u8]) {
    let mut stream = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
    let mut message = CONNECT.to_vec();
    let sizes = format!(" {} {}\r\n", headers.len(), headers.len() + payload.len());
    for part in [b"HPUB ", subject, sizes.as_bytes(), headers, payload, b"\r\nPING\r\n"] {
        message.extend_from_slice(part);
    }
    stream.write_all(&message).await.unwrap();
    let (mut answer, mut buffer) = (String::new(), [0; 4096]);
    while !answer.contains("PONG") {
        let count = timeout(PATIENCE, stream.read(&mut buffer)).await.unwrap().unwrap();
        answer += &String::from_utf8_lossy(&buffer[..count]);
        assert!(count > 0 && !answer.contains("-ERR"), "{answer}");
    }
}

/// What one client sent, as the others hear it.
#[derive(Clone, Debug)]
pub(crate) struct Heard(Frame);

impl Heard {
    pub(crate) fn subject(&self) -> &str {
        self.0.subject()
    }

    pub(crate) fn payload(&self) -> &[u8] {
        self.0.payload()
    }

    pub(crate) fn text(&self) -> String {
        self.0.text()
    }

    /// Where its answer goes.
    pub(crate) fn reply(&self) -> String {
        let line = String::from_utf8_lossy(self.0.bytes());
        let words: Vec<_> = line.lines().next().unwrap_or_default().split(' ').collect();
        let sizes = if self.0.kind == Kind::HMsg { 2 } else { 1 };
        // Before the sizes, if there is one; before it stands the number of the subscription.
        if words.len() == 4 + sizes { words[3].to_owned() } else { String::new() }
    }

    pub(crate) fn headers(&self) -> String {
        String::from_utf8_lossy(self.0.headers()).into_owned()
    }

    /// Whether a dead letter is stored by this, and not read, or only asked whether it might be.
    pub(crate) fn is_letter(&self) -> bool {
        let (subject, reply) = (self.subject(), self.reply());
        let is_real = subject.starts_with("BUS.dead.") && !subject.ends_with(".none");
        is_real && reply.starts_with("_INBOX")
    }

    /// The values of a header.
    pub(crate) fn header(&self, name: &str) -> Vec<String> {
        let headers = self.headers();
        let lines = headers.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(of, _)| *of == name).map(|(_, value)| value.trim().to_owned()).collect()
    }
}

/// Hears all that goes through a server, in its order.
pub(crate) struct Tap {
    heard: watch::Receiver<Vec<Heard>>,
    _task: JoinSet<()>,
}

impl Tap {
    pub(crate) async fn on(server: &DevServer) -> Self {
        Self::of(server, ">").await
    }

    /// Hears only what is sent to these subjects.
    pub(crate) async fn of(server: &DevServer, subjects: &str) -> Self {
        let ask = format!("SUB {subjects} 1\r\nPING\r\n");
        let mut stream = TcpStream::connect(("127.0.0.1", server.port())).await.unwrap();
        let (listens, mut listening) = watch::channel(false);
        let (all, heard) = watch::channel(Vec::new());
        let mut task = JoinSet::new();
        task.spawn(async move {
            stream.write_all(&[CONNECT, ask.as_bytes()].concat()).await.unwrap();
            let (mut frames, mut buffer) = (Splitter::default(), vec![0; 64 * 1024]);
            loop {
                while let Some(frame) = frames.frame().unwrap() {
                    match frame.kind {
                        Kind::Ping => stream.write_all(b"PONG\r\n").await.unwrap(),
                        Kind::Pong => drop(listens.send_replace(true)),
                        Kind::Msg | Kind::HMsg => {
                            all.send_modify(|all: &mut Vec<_>| all.push(Heard(frame)));
                        }
                        _ => {}
                    }
                }
                match stream.read(&mut buffer).await {
                    Ok(count @ 1..) => frames.push(&buffer[..count]),
                    // The server is gone.
                    _ => return,
                }
            }
        });
        timeout(PATIENCE, listening.wait_for(|listens| *listens)).await.unwrap().unwrap();
        Self { heard, _task: task }
    }

    pub(crate) fn all(&self) -> Vec<Heard> {
        self.heard.borrow().clone()
    }

    /// How many there were like this, as soon as there were so many, and at the latest after a while.
    pub(crate) async fn counts(&self, count: u64, is: impl Fn(&Heard) -> bool) -> u64 {
        let mut heard = self.heard.clone();
        let counts = |all: &Vec<Heard>| all.iter().filter(|one| is(one)).count() as u64;
        let _ = timeout(PATIENCE / 8, heard.wait_for(|all| counts(all) >= count)).await;
        counts(&self.heard.borrow())
    }

    /// Whether a dead letter was stored before its event was taken from the group, and what it was.
    pub(crate) fn stored_before_taken(&self) -> Heard {
        let all = self.all();
        let place = |is: &dyn Fn(&Heard) -> bool| all.iter().position(is).unwrap();
        let sent = place(&Heard::is_letter);
        let reply = all[sent].reply();
        let stored = place(&|heard| heard.subject() == reply && heard.text().contains("\"seq\""));
        let taken = place(&|heard| heard.text().starts_with("+TERM"));
        assert!(sent < stored && stored < taken, "{sent}, {stored}, {taken}");
        all[sent].clone()
    }
}

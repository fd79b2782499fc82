//! One way of a connection: bytes → frames → what is done to them → bytes, each at its time.

use std::sync::Arc;
use std::time::Duration;
use std::{io, mem};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};

use super::{Action, Shared, Way};
use crate::chaos::frame::{Frame, Kind, Splitter};

/// Bytes that may be under way; whoever sends more waits, as with a full socket.
const UNDER_WAY: u32 = 16 * 1024 * 1024;

/// Pieces that may be under way.
const PIECES: usize = 4096;

const READ: usize = 64 * 1024;

pub(super) struct Pump<'a> {
    pub(super) way: Way,
    pub(super) shared: &'a Shared,
    pub(super) splitter: Splitter,
}

/// What is under way.
enum Piece {
    /// To be written then; the room it takes is free afterwards.
    Bytes(Instant, Vec<u8>, OwnedSemaphorePermit),
    /// Nothing more until the proxy is thawed.
    Freeze,
    /// The end of the connection.
    Cut,
}

/// Carries until the end of what comes this way, which is passed on; a rule that cuts is an error.
pub(super) async fn carry(
    pump: Pump<'_>,
    from: OwnedReadHalf,
    to: OwnedWriteHalf,
) -> io::Result<()> {
    let (queue, pieces) = mpsc::channel(PIECES);
    let (way, shared) = (pump.way, pump.shared);
    let reading = async move {
        let outcome = pump.read(from, &queue).await;
        drop(queue);
        outcome
    };
    // Who has ended is still heard to the end.
    let (read, written) = tokio::join!(reading, write(way, shared, to, pieces));
    read.and(written)
}

impl Pump<'_> {
    async fn read(mut self, mut from: OwnedReadHalf, queue: &Queue) -> io::Result<()> {
        let mut buffer = vec![0; READ];
        let room = Arc::new(Semaphore::new(UNDER_WAY as usize));
        let (due, batch, late) = (Instant::now(), Vec::new(), JoinSet::new());
        let mut out = Out { queue, room, due, batch, late };
        loop {
            let length = tokio::select! {
                length = from.read(&mut buffer) => length?,
                () = queue.closed() => 0,
            };
            if length == 0 {
                out.late.join_all().await;
                return Ok(());
            }
            self.splitter.push(&buffer[..length]);
            // What came later does not pass before.
            out.due = out.due.max(self.shared.link.due());
            while let Some(frame) = self.splitter.frame()? {
                let frame =
                    if frame.kind == Kind::Info { frame.without_addresses() } else { frame };
                out.act(self.shared.rules.judge(self.way, &frame), frame).await?;
            }
            out.send().await?;
        }
    }
}

type Queue = mpsc::Sender<Piece>;

/// What is to pass, collected.
struct Out<'a> {
    queue: &'a Queue,
    room: Arc<Semaphore>,
    due: Instant,
    batch: Vec<u8>,
    /// What others overtake.
    late: JoinSet<()>,
}

impl Out<'_> {
    async fn act(&mut self, action: Action, frame: Frame) -> io::Result<()> {
        match action {
            Action::Pass => self.batch.extend_from_slice(frame.bytes()),
            Action::Drop => {}
            Action::Duplicate => self.batch.extend(frame.bytes().repeat(2)),
            Action::Corrupt => self.batch.extend(frame.corrupted().into_bytes()),
            Action::Delay(time) => {
                self.send().await?;
                self.due += time;
                self.batch = frame.into_bytes();
            }
            Action::Late(time) => {
                let (queue, piece) = (self.queue.clone(), self.piece(frame.into_bytes()).await?);
                while self.late.try_join_next().is_some() {}
                self.late.spawn(async move {
                    sleep(time).await;
                    // Its connection may have ended.
                    let _ = queue.send(piece).await;
                });
            }
            Action::CutBefore => self.halt(Piece::Cut).await?,
            Action::CutAfter => {
                self.batch.extend_from_slice(frame.bytes());
                self.halt(Piece::Cut).await?;
            }
            Action::Freeze => {
                self.halt(Piece::Freeze).await?;
                self.batch = frame.into_bytes();
            }
        }
        Ok(())
    }

    async fn halt(&mut self, piece: Piece) -> io::Result<()> {
        self.send().await?;
        self.put(piece).await
    }

    async fn send(&mut self) -> io::Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let bytes = mem::take(&mut self.batch);
        let piece = self.piece(bytes).await?;
        self.put(piece).await
    }

    /// Once there is room for it.
    async fn piece(&self, bytes: Vec<u8>) -> io::Result<Piece> {
        let size = u32::try_from(bytes.len()).map_or(UNDER_WAY, |size| size.min(UNDER_WAY));
        let room = Arc::clone(&self.room).acquire_many_owned(size);
        Ok(Piece::Bytes(self.due, bytes, room.await.map_err(io::Error::other)?))
    }

    async fn put(&self, piece: Piece) -> io::Result<()> {
        self.queue.send(piece).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}

async fn write(
    way: Way,
    shared: &Shared,
    mut to: OwnedWriteHalf,
    mut pieces: mpsc::Receiver<Piece>,
) -> io::Result<()> {
    while let Some(piece) = pieces.recv().await {
        match piece {
            Piece::Cut => return Err(io::ErrorKind::ConnectionAborted.into()),
            Piece::Freeze => shared.link.freeze(way, true),
            Piece::Bytes(due, bytes, _taken) => {
                if due > Instant::now() {
                    sleep_until(due).await;
                }
                for part in bytes.chunks(shared.link.width().map_or(usize::MAX, part)) {
                    shared.link.open(way).await;
                    to.write_all(part).await?;
                    if let Some(width) = shared.link.width() {
                        sleep(Duration::from_secs_f64(part.len() as f64 / width as f64)).await;
                    }
                }
            }
        }
    }
    shared.link.open(way).await;
    to.shutdown().await
}

/// So that a narrow link does not go in leaps.
fn part(width: usize) -> usize {
    (width / 50).max(1)
}

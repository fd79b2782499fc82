//! Credit → pull requests → messages, through every fault: on an inbox of our own, which is
//! replaced as soon as the server may have forgotten what we asked for.

use std::sync::Arc;
use std::time::Duration;

use async_nats::{Client, Subject, Subscriber};
use futures_util::StreamExt;
use tokio::sync::{broadcast, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::lane::Lane;
use crate::lease::{Arrival, Kind};
use crate::refusals::refused;
use crate::topology::consumer;

use self::silence::Silence;
use self::trouble::Trouble;

mod reply;
mod silence;
mod trouble;

/// How long the server keeps a request. Its end is a sign of life, and the only way to be rid of a
/// request without losing what is on its way: a message to an inbox that nobody listens to any more
/// comes again after its lease, and not before.
const EXPIRES: Duration = Duration::from_secs(1);

/// A server that is only slow, or stood still, sends that much later what it was asked for before; what
/// nobody listens for comes after its lease. Longer than any silence, so that a request that was given up for
/// one is listened for until the next one is given up as well.
const LATE: Duration = Duration::from_secs(30);

/// How long it may take to find out whether a consumer is gone.
const LOOK: Duration = Duration::from_secs(1);

/// What brings the messages of one consumer.
pub(crate) struct Pull {
    lane: Arc<Lane>,
    kind: Kind,
    stream: Arc<str>,
    /// Where it is asked for messages.
    next: String,
    /// Read, and not handed over yet.
    arrived: Vec<Arrival>,
    /// Changes with every new connection.
    connections: watch::Receiver<u64>,
    refusals: broadcast::Receiver<String>,
    trouble: Trouble,
    /// The server of this inbox, and when the one before was lost.
    server: String,
    lost: Option<Instant>,
    /// Another has taken its place; it only takes what still comes.
    old: bool,
    silence: Silence,
    /// When to ask again, where that is not at once.
    not_before: Option<Instant>,
}

/// How an inbox ended.
enum End {
    Stopped,
    /// Another inbox is needed.
    Again,
    /// The consumer was deleted, the server says.
    Gone(String),
    /// There is no more to be had, and this is why.
    Broken(String),
}

impl Pull {
    pub(crate) fn new(lane: Arc<Lane>, kind: Kind, stream: &str) -> Self {
        let signals = &lane.shared.signals;
        Self {
            stream: stream.into(),
            next: format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{}", lane.name()),
            arrived: Vec::new(),
            connections: signals.connections.subscribe(),
            refusals: signals.refusals.subscribe(),
            trouble: Trouble::default(),
            server: lane.shared.client().server_info().server_id,
            lost: None,
            old: false,
            silence: Silence::new(Instant::now()),
            not_before: None,
            lane,
            kind,
        }
    }

    /// Brings messages until the member stops, or there are none to be had.
    pub(crate) async fn run(mut self) {
        loop {
            match self.inbox().await {
                End::Stopped => return,
                End::Again => {}
                End::Gone(reason) => return self.lane.lose(self.kind, reason),
                End::Broken(reason) if self.is_gone().await => {
                    return self.lane.lose(self.kind, reason);
                }
                End::Broken(reason) => return self.lane.end(reason),
            }
        }
    }

    /// Whether there is no consumer any more, where that may be asked and is known at once.
    async fn is_gone(&self) -> bool {
        let shared = &self.lane.shared;
        let info = consumer::info(&shared.context, &self.stream, self.lane.name());
        shared.may_look() && matches!(timeout(LOOK, info).await, Ok(Ok(None)))
    }

    /// Brings messages by one inbox.
    async fn inbox(&mut self) -> End {
        self.connections.mark_unchanged();
        let client = self.lane.shared.client().clone();
        let inbox = Subject::from(client.new_inbox());
        let (stop, subscribed) = (self.lane.halt.clone(), client.subscribe(inbox.clone()));
        // While there is no connection the client may take nothing more.
        let mut messages = match stop.run_until_cancelled(subscribed).await {
            Some(Ok(messages)) => messages,
            Some(Err(_)) => return ended(),
            None => return End::Stopped,
        };
        self.give_up(usize::MAX);
        self.silence.asked(Instant::now());
        self.not_before = None;
        loop {
            let asked = self.ask(&client, &inbox).await;
            let end = match asked {
                Ok(()) => self.hear(&mut messages).await.err(),
                Err(end) => Some(end),
            };
            match end {
                None => {}
                Some(End::Stopped) => {
                    self.leave(messages).await;
                    return End::Stopped;
                }
                Some(End::Again) => {
                    self.leave_behind(messages);
                    return End::Again;
                }
                Some(end) => return end,
            }
        }
    }

    /// What is on its way to an old inbox is still taken.
    fn leave_behind(&self, messages: Subscriber) {
        let mut old = Self::new(Arc::clone(&self.lane), self.kind, "");
        (old.old, old.silence) = (true, self.silence.clone());
        let pulling = self.lane.pull();
        self.lane.go(async move {
            old.leave(messages).await;
            drop(pulling);
        });
    }

    /// Asks for as much as there is room for, if that is worth it.
    async fn ask(&mut self, client: &Client, inbox: &Subject) -> Result<(), End> {
        let now = Instant::now();
        if self.lane.halt.is_cancelled() || self.not_before.is_some_and(|time| now < time) {
            return Ok(());
        }
        self.not_before = None;
        let (asking, count) = self.lane.leases(|leases| leases.ask(self.kind));
        let Some(count) = count else { return Ok(()) };
        if !asking {
            self.silence.asked(now);
        }
        let (next, request) = (self.next.clone(), request(count).into());
        let sending = client.publish_with_reply(next, inbox.clone(), request);
        match self.lane.halt.run_until_cancelled(sending).await {
            None | Some(Ok(())) => Ok(()),
            Some(Err(_)) => Err(ended()),
        }
    }

    /// Waits for whatever comes first, and sees to it.
    async fn hear(&mut self, messages: &mut Subscriber) -> Result<(), End> {
        let asking = self.lane.leases(|leases| leases.credit(self.kind).is_asking());
        let not_before = self.not_before;
        tokio::select! {
            biased;
            () = self.lane.halt.cancelled() => Err(End::Stopped),
            message = messages.next() => {
                self.silence.heard(Instant::now());
                self.take_all(message.ok_or_else(ended)?, messages)
            }
            changed = self.connections.changed() => {
                changed.map_err(|_| ended())?;
                self.suspect();
                Err(End::Again)
            }
            () = self.lane.room(self.kind) => Ok(()),
            text = refused(&mut self.refusals, &self.next) => Err(End::Broken(text)),
            () = sleep_until(self.silence.end()), if asking => self.silent(),
            () = sleep_until(not_before.unwrap_or(self.silence.end())), if not_before.is_some() => Ok(()),
        }
    }

    fn give_up(&self, count: usize) {
        self.lane.leases(|leases| leases.credit(self.kind).give_up(count));
    }

    /// Takes what was asked for, and asks for no more; hands it back where the member has stopped.
    async fn leave(&mut self, mut messages: Subscriber) {
        let (halt, old, least) =
            (self.lane.halt.clone(), self.old, Instant::now() + silence::FIRST);
        let late = async {
            if old {
                halt.run_until_cancelled(sleep(LATE)).await;
            }
            sleep_until(least).await;
        };
        let rest = async {
            while self.old || self.lane.leases(|leases| leases.credit(self.kind).is_asking()) {
                let Some(message) = messages.next().await else { return };
                if self.old {
                    self.silence.late(Instant::now());
                }
                // How requests end does not matter any more.
                let _ = self.take(message);
                self.hand_over();
            }
        };
        tokio::select! {
            () = rest => {}
            () = late => {}
        }
    }
}

fn ended() -> End {
    End::Broken("the client has ended".to_owned())
}

fn request(batch: usize) -> String {
    let expires = EXPIRES.as_nanos();
    format!("{{\"batch\":{batch},\"expires\":{expires}}}")
}

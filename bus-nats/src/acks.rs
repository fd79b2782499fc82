//! Who waits for the server's ack of a publish: one inbox for all of them, one look at the clock
//! for all that wait too long, and the server's refusals, which come beside the acks.

use std::mem;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_nats::client::PublishErrorKind;
use async_nats::{Client, HeaderMap, Message, StatusCode, Subject, Subscriber};
use bus_core::transport::ByNumber;
use bytes::Bytes;
use futures_util::StreamExt;
use serde::Deserialize;
use tokio::sync::{broadcast, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use crate::capabilities::ApiError;
use crate::connection::Signals;
use crate::lock::lock;
use crate::refusals;

/// How long one try waits for the server's ack, before it is sent again under the same id.
pub(crate) const ATTEMPT: Duration = Duration::from_secs(2);

/// How often it is looked who waits too long.
const LOOK: Duration = Duration::from_millis(250);

/// How many may wait at once; the bus allows fewer.
const MOST: usize = 65_536;

/// What became of one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is stored under this sequence.
    Stored(u64),
    /// The server's answer is an error of the JetStream API.
    Error { code: u64, text: String },
    /// There is nobody to store it.
    Nobody,
    /// It is larger than the server takes.
    TooLarge(String),
    /// The server does not permit it.
    Refused(String),
    /// The server does not permit us to hear its answer.
    Deaf(String),
    /// Too many wait already.
    Full,
    /// No answer came, or none that is understood.
    Unknown(String),
}

/// All who wait.
#[derive(Debug)]
pub(crate) struct Acks {
    /// Where acks go, up to the number.
    inbox: String,
    waiting: Mutex<Waiting>,
}

#[derive(Debug, Default)]
struct Waiting {
    number: u64,
    tries: ByNumber<Try>,
    /// Why nothing can be heard.
    deaf: Option<String>,
}

#[derive(Debug)]
struct Try {
    subject: Subject,
    since: Instant,
    fate: oneshot::Sender<Fate>,
}

#[derive(Deserialize)]
struct Reply {
    #[serde(default)]
    seq: u64,
    error: Option<ApiError>,
}

impl Acks {
    /// To be called on the client's thread, where [`listen`](Self::listen) has to run.
    pub(crate) async fn open(client: &Client) -> Option<(Arc<Self>, Subscriber)> {
        let inbox = client.new_inbox();
        let acks = client.subscribe(format!("{inbox}.*")).await.ok()?;
        let waiting = Mutex::default();
        Some((Arc::new(Self { inbox: format!("{inbox}."), waiting }), acks))
    }

    /// Sends a message, and waits for what becomes of it.
    pub(crate) async fn send(
        &self,
        client: &Client,
        subject: Subject,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Fate {
        let (number, fate) = match self.wait_for(subject.clone()) {
            Ok(waits) => waits,
            Err(fate) => return fate,
        };
        // From here on the number is given back also if nobody waits any more.
        let turn = Turn { acks: self, number };
        let reply = format!("{}{number}", self.inbox);
        let sending = client.publish_with_reply_and_headers(subject, reply, headers, payload);
        match timeout(ATTEMPT, sending).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) if error.kind() == PublishErrorKind::MaxPayloadExceeded => {
                return Fate::TooLarge(error.to_string());
            }
            Ok(Err(error)) => return Fate::Unknown(error.to_string()),
            Err(_) => return Fate::Unknown("the client does not take it".to_owned()),
        }
        let fate = fate.await;
        // Whoever sent it has taken the number away.
        mem::forget(turn);
        fate.unwrap_or_else(|_| Fate::Unknown("the client has ended".to_owned()))
    }

    fn wait_for(&self, subject: Subject) -> Result<(u64, oneshot::Receiver<Fate>), Fate> {
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.waiting();
        if let Some(reason) = &waiting.deaf {
            return Err(Fate::Deaf(reason.clone()));
        }
        if waiting.tries.len() >= MOST {
            return Err(Fate::Full);
        }
        waiting.number += 1;
        let number = waiting.number;
        waiting.tries.insert(number, Try { subject, since: Instant::now(), fate: sender });
        Ok((number, receiver))
    }

    /// Gives everybody what they wait for, until the client ends.
    pub(crate) async fn listen(self: Arc<Self>, mut acks: Subscriber, signals: Signals) {
        let mut refusals = signals.refusals.subscribe();
        let mut connections = signals.connections.subscribe();
        let mut look = interval(LOOK);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                ack = acks.next() => match ack {
                    Some(ack) => self.answer(&ack),
                    None => return,
                },
                // It subscribes once more, and may now be allowed to.
                Ok(()) = connections.changed() => self.waiting().deaf = None,
                refusal = refusals.recv() => match refusal {
                    Ok(text) => self.refuse(&text),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                now = look.tick() => self.give_up(now),
            }
        }
    }

    fn answer(&self, ack: &Message) {
        let number = ack.subject.strip_prefix(&self.inbox).and_then(|text| text.parse().ok());
        // Who gave up does not wait any more.
        let tried = number.and_then(|number: u64| self.waiting().tries.remove(&number));
        if let Some(tried) = tried {
            let _ = tried.fate.send(read(ack));
        }
    }

    fn refuse(&self, text: &str) {
        let mut waiting = self.waiting();
        let fate = |tried: &Try| {
            let refused = refusals::names(text) == Some(tried.subject.as_str());
            refused.then(|| Fate::Refused(text.to_owned()))
        };
        if text.contains(&self.inbox) {
            waiting.deaf = Some(text.to_owned());
            waiting.end(|_| Some(Fate::Deaf(text.to_owned())));
        } else {
            waiting.end(fate);
        }
    }

    fn give_up(&self, now: Instant) {
        let late = |tried: &Try| {
            let late = now.saturating_duration_since(tried.since) >= ATTEMPT;
            late.then(|| Fate::Unknown(format!("no ack within {ATTEMPT:?}")))
        };
        self.waiting().end(late);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }
}

impl Waiting {
    /// Ends the wait of those that have a fate.
    fn end(&mut self, fate: impl Fn(&Try) -> Option<Fate>) {
        let ended: Vec<_> =
            self.tries.iter().filter_map(|(number, tried)| Some((*number, fate(tried)?))).collect();
        for (number, fate) in ended {
            if let Some(tried) = self.tries.remove(&number) {
                let _ = tried.fate.send(fate);
            }
        }
    }
}

/// One who waits, or does not any more.
struct Turn<'a> {
    acks: &'a Acks,
    number: u64,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.acks.waiting().tries.remove(&self.number);
    }
}

fn read(ack: &Message) -> Fate {
    if ack.status == Some(StatusCode::NO_RESPONDERS) {
        return Fate::Nobody;
    }
    match serde_json::from_slice(&ack.payload) {
        Ok(Reply { error: Some(ApiError { code, description: text }), .. }) => {
            Fate::Error { code, text }
        }
        Ok(Reply { seq: 0, .. }) => Fate::Unknown("an ack without a sequence".to_owned()),
        Ok(Reply { seq, .. }) => Fate::Stored(seq),
        Err(error) => Fate::Unknown(format!("an ack that is not understood: {error}")),
    }
}

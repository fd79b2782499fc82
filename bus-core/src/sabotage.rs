//! What tests break on purpose, to see that one of them finds it. Without the feature `sabotage` a
//! question for it is answered when the program is built, and nothing is left of it.

macro_rules! sabotages {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)+) => {
        /// One thing done wrong.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Sabotage {
            $($(#[$doc])* $name,)+
        }

        impl Sabotage {
            /// All that there are.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// What names it in `$BUS_SABOTAGE`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)+
                }
            }
        }
    };
}

sabotages! {
    /// The event is acked before its dead letter is stored.
    AckBeforeLetter = "ack-before-letter",
    /// The deliveries of a message are taken for runs of the handler.
    AttemptsByDelivery = "attempts-by-delivery",
    /// A retry is a NAK without a delay and without a note.
    BareNak = "bare-nak",
    /// A plain error is taken for success.
    DroppedErrors = "dropped-errors",
    /// A subscription that ended says nothing.
    EndSilently = "end-silently",
    /// The connection is never said to be lost.
    LooksHealthy = "looks-healthy",
    /// No circuit breaker opens.
    NoBreaker = "no-breaker",
    /// A redriven copy does not mark its record.
    NoMark = "no-mark",
    /// Nobody looks for messages that can not be read.
    NoPoisonSearch = "no-poison-search",
    /// No lease is renewed.
    NoRenewal = "no-renewal",
    /// A run may take as long as it likes.
    NoTimeout = "no-timeout",
    /// Each try of a publish has an id of its own.
    NewIdOnRetry = "new-id-on-retry",
    /// A panic is taken for success.
    PanicsAreDone = "panics-are-done",
    /// As much is fetched as can be.
    Prefetch = "prefetch",
    /// A redriven record is removed before its copy is stored.
    RemoveFirst = "remove-first",
    /// A stop hands nothing back.
    StopWithoutHandBack = "stop-without-hand-back",
    /// A stop does not wait for its last answers.
    StopWithoutFlush = "stop-without-flush",
    /// What is to be stored once is stored as often as it is sent.
    StoredAgain = "stored-again",
    /// A publish without an answer is taken for success.
    UnknownIsStored = "unknown-is-stored",
}

/// Whether this one is planted.
#[cfg(feature = "sabotage")]
pub fn planted(sabotage: Sabotage) -> bool {
    static NAME: std::sync::OnceLock<Option<String>> = std::sync::OnceLock::new();
    let name = NAME.get_or_init(|| std::env::var("BUS_SABOTAGE").ok());
    name.as_deref() == Some(sabotage.name())
}

/// Whether this one is planted: never.
#[cfg(not(feature = "sabotage"))]
#[inline(always)]
pub const fn planted(_: Sabotage) -> bool {
    false
}

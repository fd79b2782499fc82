//! What the answer to a publish means.

use bus_core::transport::TransportError;

use crate::acks::Fate;

/// What an error says of the message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may be stored: send it again under the same id.
    Unknown(String),
    /// It is not stored now, and may be in a moment.
    Again(TransportError),
    /// Nothing took it: there is no stream, or its leader is being elected.
    Nobody,
    /// Another message stands where this one was to be the first.
    Before,
    /// It is not stored, and will not be.
    Final(TransportError),
}

/// The table of what a publish can come back with.
pub(super) fn judge(fate: Fate) -> Result<u64, Verdict> {
    Err(match fate {
        Fate::Stored(sequence) => return Ok(sequence),
        Fate::Error { code, text } => by_code(code, text),
        Fate::Nobody => Verdict::Nobody,
        Fate::TooLarge(reason) => Verdict::Final(TransportError::Full { reason }),
        Fate::Refused(reason) => Verdict::Final(TransportError::Denied { reason }),
        // It may be stored; to send it again would bring no answer either.
        Fate::Deaf(reason) => Verdict::Final(TransportError::Unknown { reason }),
        Fate::Full => {
            let reason = "too many publishes wait for their acks".to_owned();
            Verdict::Again(TransportError::Full { reason })
        }
        Fate::Unknown(reason) => Verdict::Unknown(reason),
    })
}

/// Codes of the JetStream API, as its `errors.json` numbers them.
fn by_code(code: u64, reason: String) -> Verdict {
    match code {
        10071 => Verdict::Before,
        // Unavailable, too many requests, and the same id being stored already. Also another message
        // on the subject, whose fate is open.
        10008 | 10158 | 10164 | 10167 | 10176 | 10210 | 10211 => {
            Verdict::Again(TransportError::Unavailable { reason })
        }
        // The stream's limits with `discard: new`, its largest message, and the limits of the account,
        // of the server, and of its store.
        10002 | 10023 | 10028 | 10047 | 10054 | 10077 => {
            Verdict::Final(TransportError::Full { reason })
        }
        _ => Verdict::Final(TransportError::Unsupported { reason }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_means_one_thing() {
        let verdict = |code| by_code(code, "x".to_owned());
        for code in [10008, 10158, 10167] {
            assert!(
                matches!(verdict(code), Verdict::Again(TransportError::Unavailable { .. })),
                "{code}"
            );
        }
        for code in [10002, 10023, 10028, 10047, 10054, 10077] {
            assert!(matches!(verdict(code), Verdict::Final(TransportError::Full { .. })), "{code}");
        }
        // Headers that this server does not know, and everything that is new.
        for code in [10166, 10188, 99999] {
            assert!(
                matches!(verdict(code), Verdict::Final(TransportError::Unsupported { .. })),
                "{code}"
            );
        }
        assert_eq!(verdict(10071), Verdict::Before);
    }

    #[test]
    fn every_fate_means_one_thing() {
        let text = || "x".to_owned();
        assert_eq!(judge(Fate::Stored(7)), Ok(7));
        let verdict = |fate| judge(fate).unwrap_err();
        assert_eq!(verdict(Fate::Nobody), Verdict::Nobody);
        assert_eq!(verdict(Fate::Unknown(text())), Verdict::Unknown(text()));
        let reason = text;
        let full = TransportError::Full { reason: reason() };
        assert_eq!(verdict(Fate::TooLarge(text())), Verdict::Final(full));
        let denied = TransportError::Denied { reason: reason() };
        assert_eq!(verdict(Fate::Refused(text())), Verdict::Final(denied));
        let deaf = TransportError::Unknown { reason: reason() };
        assert_eq!(verdict(Fate::Deaf(text())), Verdict::Final(deaf));
        let again = verdict(Fate::Full);
        assert!(matches!(again, Verdict::Again(TransportError::Full { .. })), "{again:?}");
        assert_eq!(verdict(Fate::Error { code: 10071, text: text() }), Verdict::Before);
    }
}

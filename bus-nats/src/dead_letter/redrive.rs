//! Back to the group, or away.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::DeleteMessageErrorKind;
use bus_core::envelope::TraceContext;
use bus_core::operator::{DeadLetterId, OperatorError};
use bus_core::sabotage::{Sabotage, planted};

use super::list::{Record, find};
use super::{redriven, unavailable};
use crate::copy;
use crate::headers::stamp::Stamp;
use crate::topology::{consumer, own};
use crate::transport::Shared;

/// Sends a record back to its group: the copy is stored first, and the record marked after. Should the
/// end come in between, whoever runs the copy marks the record before: so the copy is stored once for
/// as long as there is a record.
pub(crate) async fn redrive(
    shared: &Shared,
    id: &DeadLetterId,
    hop: Option<&TraceContext>,
) -> Result<(), OperatorError> {
    let Record { sequence, headers, payload } = find(shared, id).await?;
    let none = || OperatorError::NoDeadLetter { id: id.clone() };
    let mut stamp = Stamp::read(&headers).ok_or_else(none)?;
    if shared.may_look() {
        // A copy that nobody reads would be in no list.
        let reader = consumer::info(&shared.context, own::COPIES, &stamp.group).await;
        let no_group = || OperatorError::NoGroup { group: stamp.group.clone() };
        reader.map_err(unavailable)?.ok_or_else(no_group)?;
    }
    stamp.origin.redrives += 1;
    (stamp.attempts, stamp.first_failure, stamp.previous) = (0, None, None);
    stamp.letter = Some(sequence);
    let mark = async || {
        let marked = redriven(shared, &stamp.group, &stamp.origin, sequence).await;
        marked.map_err(unavailable)
    };
    if planted(Sabotage::RemoveFirst) {
        mark().await?;
    }
    copy::now(shared, &stamp, &headers, hop, payload).await.map_err(unavailable)?;
    mark().await
}

/// Removes a record for good; the server writes over its bytes.
pub(crate) async fn purge(shared: &Shared, id: &DeadLetterId) -> Result<(), OperatorError> {
    let Record { sequence, .. } = find(shared, id).await?;
    let stream = shared.context.get_stream_no_info(own::LETTERS).await.map_err(unavailable)?;
    match stream.delete_message(sequence).await {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.kind() {
            // Somebody else was faster.
            DeleteMessageErrorKind::JetStream(error)
                if error.error_code() == ErrorCode::SEQUENCE_NOT_FOUND =>
            {
                OperatorError::NoDeadLetter { id: id.clone() }
            }
            _ => unavailable(error),
        }),
    }
}

//! Back to the group, or away.

use async_nats::jetstream::ErrorCode;
use async_nats::jetstream::stream::DeleteMessageErrorKind;
use bus_core::operator::{DeadLetterId, OperatorError};
use bus_core::sabotage::{Sabotage, planted};

use super::list::{Record, find};
use super::unavailable;
use crate::copy;
use crate::headers::stamp::Stamp;
use crate::topology::{consumer, own};
use crate::transport::Shared;

/// Sends a record back to its group: the copy is stored first, and the record removed after. Should
/// the end come in between, whoever runs the copy removes the record before: so the copy is stored
/// once for as long as there is a record.
pub(crate) async fn redrive(shared: &Shared, id: &DeadLetterId) -> Result<(), OperatorError> {
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
    (stamp.attempts, stamp.first_failure, stamp.letter) = (0, None, Some(sequence));
    if planted(Sabotage::RemoveFirst) {
        remove(shared, sequence).await?;
    }
    copy::now(shared, &stamp, &headers, payload).await.map_err(unavailable)?;
    remove(shared, sequence).await
}

/// Removes a record for good.
pub(crate) async fn purge(shared: &Shared, id: &DeadLetterId) -> Result<(), OperatorError> {
    let record = find(shared, id).await?;
    remove(shared, record.sequence).await
}

/// What is gone already is as good as removed. The server has two codes for that: one for what it does
/// not find, and one where somebody else was faster while it looked.
async fn remove(shared: &Shared, sequence: u64) -> Result<(), OperatorError> {
    let stream = shared.context.get_stream_no_info(own::LETTERS).await.map_err(unavailable)?;
    let gone = |error: &DeleteMessageErrorKind| match error {
        DeleteMessageErrorKind::JetStream(error) => match error.error_code() {
            ErrorCode::SEQUENCE_NOT_FOUND => true,
            ErrorCode::STREAM_MESSAGE_DELETE_FAILED => error.to_string().contains("no message"),
            _ => false,
        },
        _ => false,
    };
    match stream.delete_message(sequence).await {
        Err(error) if !gone(&error.kind()) => Err(unavailable(error)),
        _ => Ok(()),
    }
}

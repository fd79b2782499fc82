//! What the server does not permit: it says so beside the call, which would only time out.

use std::future::pending;

use bus_core::transport::TransportError;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use crate::connection::Signals;

/// Ends when publishing on this subject is not permitted.
pub(crate) async fn refused(refusals: &mut Receiver<String>, subject: &str) -> String {
    first(refusals, |text| names(text) == Some(subject)).await
}

/// As [`refused`], and when there can be no answer because our inbox is not permitted.
pub(crate) async fn refused_or_deaf(refusals: &mut Receiver<String>, subject: &str) -> String {
    first(refusals, |text| is_deaf(text) || names(text) == Some(subject)).await
}

/// What calls of the JetStream API come to, unless one of them is not permitted.
pub(crate) async fn permitted<T>(
    signals: &Signals,
    calls: impl Future<Output = T>,
) -> Result<T, TransportError> {
    let mut refusals = signals.refusals.subscribe();
    // Whoever asks for messages at the same time sees to that alone.
    let is_call =
        |subject: &str| subject.starts_with("$JS.API.") && !subject.contains(".MSG.NEXT.");
    let denied = first(&mut refusals, |text| is_deaf(text) || names(text).is_some_and(is_call));
    tokio::select! {
        biased;
        done = calls => Ok(done),
        reason = denied => Err(TransportError::Denied { reason }),
    }
}

async fn first(refusals: &mut Receiver<String>, is: impl Fn(&str) -> bool) -> String {
    loop {
        match refusals.recv().await {
            Ok(text) if is(&text) => return text,
            Ok(_) | Err(RecvError::Lagged(_)) => {}
            Err(RecvError::Closed) => return pending().await,
        }
    }
}

/// The subject of `Permissions Violation for Publish to "orders.placed"`.
pub(crate) fn names(text: &str) -> Option<&str> {
    let (_, subject) = text.split_once("Publish to \"")?;
    subject.split('"').next()
}

/// We subscribe to nothing but inboxes.
fn is_deaf(text: &str) -> bool {
    text.contains("Subscription to \"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_for_the_subject_that_it_names() {
        let text = "Permissions Violation for Publish to \"orders.placed\"";
        assert_eq!((names(text), is_deaf(text)), (Some("orders.placed"), false));
        let text = "Permissions Violation for Subscription to \"_INBOX_bus.x.*\"";
        assert_eq!((names(text), is_deaf(text)), (None, true));
    }

    #[tokio::test]
    async fn calls_end_with_the_refusal_of_one_of_them_and_of_nothing_else() {
        let signals = Signals::new();
        let call = async |refusals: &[&str]| {
            let tell = async {
                for refusal in refusals {
                    signals.refusals.send((*refusal).to_owned()).unwrap();
                }
                tokio::task::yield_now().await;
            };
            let calls = async {
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
            };
            tokio::join!(permitted(&signals, calls), tell).0
        };
        let publish = |subject| format!("Permissions Violation for Publish to \"{subject}\"");
        let others = ["orders.placed", "$JS.API.CONSUMER.MSG.NEXT.ORDERS.billing"].map(publish);
        assert_eq!(call(&others.each_ref().map(String::as_str)).await, Ok(()));
        let reason = publish("$JS.API.INFO");
        assert_eq!(call(&[&reason]).await, Err(TransportError::Denied { reason: reason.clone() }));
    }
}

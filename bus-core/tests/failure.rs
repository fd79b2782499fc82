//! A declared verdict survives every way that an error takes; anything else is retried.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::error::Error;
use std::time::Duration;

use anyhow::Context as _;
use bus_core::prelude::*;

#[derive(Debug, thiserror::Error, Failure)]
enum Charge {
    #[error("gateway")]
    Gateway(#[from] std::io::Error),
    #[error("busy")]
    #[failure(retry_after)]
    Busy(Duration),
    #[error("declined: {code}")]
    #[failure(reject)]
    Declined { code: u32 },
    #[error("publish")]
    #[failure(inherit)]
    Publish(#[from] PublishError),
    #[error("odd")]
    #[failure(verdict = by_code, class = "strange")]
    Odd { code: u32 },
}

fn by_code(error: &Charge) -> Verdict {
    match error {
        Charge::Odd { code: 0..=9 } => Verdict::Reject,
        _ => Verdict::Retry,
    }
}

#[derive(Debug, thiserror::Error, Failure)]
#[error("never")]
#[failure(reject, class = "hopeless")]
struct Never;

#[derive(Debug, thiserror::Error, Failure)]
#[failure(reject)]
#[error("shared")]
enum Shared {
    ByTheType,
    #[failure(retry)]
    ByTheVariant,
}

#[derive(Debug, thiserror::Error)]
#[error("wrapped")]
struct Wrapped(#[source] Charge);

const DECLINED: Charge = Charge::Declined { code: 51 };

#[test]
fn each_variant_says_its_own() {
    let seconds = Duration::from_secs(7);
    let too_large = PublishError::TooLarge { bytes: 9, limit: 8 };
    let busy = PublishError::Busy { waited: seconds };
    for (failure, verdict, class) in [
        (Charge::Gateway(std::io::Error::other("x")), Verdict::Retry, "gateway"),
        (Charge::Busy(seconds), Verdict::RetryAfter(seconds), "busy"),
        (DECLINED, Verdict::Reject, "declined"),
        (Charge::Publish(too_large), Verdict::Reject, "publish"),
        (Charge::Publish(busy), Verdict::Retry, "publish"),
        (Charge::Odd { code: 3 }, Verdict::Reject, "strange"),
        (Charge::Odd { code: 30 }, Verdict::Retry, "strange"),
    ] {
        assert_eq!((failure.verdict(), &*failure.class()), (verdict, class), "{failure:?}");
    }
    assert_eq!((Never.verdict(), &*Never.class()), (Verdict::Reject, "hopeless"));
    assert_eq!(Shared::ByTheType.verdict(), Verdict::Reject);
    assert_eq!(Shared::ByTheVariant.verdict(), Verdict::Retry);
}

fn question_mark<E>(error: E) -> HandlerError
where
    HandlerError: From<E>,
{
    fn run<E>(error: E) -> HandlerResult
    where
        HandlerError: From<E>,
    {
        Err(error)?;
        Ok(())
    }
    run(error).unwrap_err()
}

#[test]
fn a_verdict_survives_the_question_mark_and_every_wrapping() {
    let boxed: Box<dyn Error + Send + Sync> = Box::new(DECLINED);
    for error in [
        question_mark(DECLINED),
        question_mark(boxed),
        question_mark(Wrapped(DECLINED)),
        question_mark(anyhow::Error::from(DECLINED)),
        question_mark(Err::<(), _>(DECLINED).context("while charging").unwrap_err()),
        question_mark(Err::<(), _>(Wrapped(DECLINED)).context("a").context("b").unwrap_err()),
        question_mark(std::io::Error::other(DECLINED)),
    ] {
        assert_eq!((error.verdict(), error.class()), (Verdict::Reject, "declined"), "{error:?}");
    }
}

#[test]
fn the_outermost_declared_failure_decides() {
    #[derive(Debug, thiserror::Error, Failure)]
    #[error("outer")]
    #[failure(retry)]
    struct Outer(#[source] Charge);

    assert_eq!(question_mark(Outer(DECLINED)).verdict(), Verdict::Retry);
}

#[test]
fn what_nobody_declared_is_retried() {
    for error in [
        question_mark("a text"),
        question_mark(String::from("a string")),
        question_mark(std::io::Error::other("io")),
        question_mark(anyhow::anyhow!("any")),
        question_mark("x".parse::<u8>().unwrap_err()),
    ] {
        assert_eq!((error.verdict(), error.class()), (Verdict::Retry, "_OTHER"), "{error:?}");
    }
}

#[test]
fn a_handler_can_say_it_in_place() {
    let after = Duration::from_secs(3);
    assert_eq!(HandlerError::reject("no").verdict(), Verdict::Reject);
    assert_eq!(HandlerError::retry(DECLINED).verdict(), Verdict::Retry);
    assert_eq!(HandlerError::retry_after(after, "later").verdict(), Verdict::RetryAfter(after));
    assert_eq!(HandlerError::reject("no").classed("mine").class(), "mine");
}

#[test]
fn the_text_holds_the_causes_and_a_ring_of_causes_ends() {
    let error = question_mark(Wrapped(Charge::Gateway(std::io::Error::other("refused"))));
    assert_eq!(error.to_string(), "wrapped: gateway: refused");

    #[derive(Debug, thiserror::Error)]
    #[error("ring")]
    struct Ring;
    #[derive(Debug)]
    struct Endless;
    impl std::fmt::Display for Endless {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("endless")
        }
    }
    impl Error for Endless {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            Some(self)
        }
    }
    let error = question_mark(Endless);
    assert_eq!(error.verdict(), Verdict::Retry);
    assert!(error.to_string().len() < 1000);
    assert_eq!(question_mark(Ring).to_string(), "ring");
}

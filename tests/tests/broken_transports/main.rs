//! The conformance cases can fail: each sabotage of an honest transport is found by a case.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bus_core::testing::conformance::{Bench, Settings, cases};
use tokio::task::JoinSet;

use self::sabotage::{Broken, Sabotage};

mod member;
mod sabotage;

fn bench(sabotage: Sabotage) -> Bench {
    let settings = Settings {
        duplicate_window: Some(Duration::from_secs(120)),
        epoch: SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600),
        ..Settings::paused()
    };
    Bench::new(Arc::new(Broken::new(sabotage)), settings)
}

/// What a case says when it fails on a sabotaged transport.
async fn failure<F>(sabotage: Sabotage, case: fn(Bench) -> F) -> String
where
    F: Future<Output = ()> + Send + 'static,
{
    let mut cases = JoinSet::new();
    cases.spawn(case(bench(sabotage)));
    let ended = cases.join_next().await.unwrap();
    let Err(error) = ended else { panic!("the case passes on a transport that {sabotage:?}") };
    let panic = error.into_panic();
    panic.downcast_ref::<String>().cloned().unwrap_or_default()
}

macro_rules! found {
    ($($test:ident: $sabotage:ident by $($case:ident),+;)+) => {
        $(
            #[tokio::test(start_paused = true)]
            async fn $test() {
                $(failure(Sabotage::$sabotage, cases::$case).await;)+
            }
        )+
    };
}

found! {
    lost_headers_are_found: LosesHeaders by
        headers_survive, an_envelope_arrives_as_it_was_sent, a_retry_is_the_same_envelope;
    times_cut_to_seconds_are_found: CutsTimes by a_time_survives_to_the_millisecond;
    payloads_read_as_text_are_found: ReadsPayloadsAsText by any_byte_survives;
    forgotten_acks_are_found: ForgetsAcks by an_ack_is_final, a_stop_leaves_other_members_alone;
    an_ack_before_the_run_is_found: AcksOnArrival by
        a_dropped_delivery_comes_back_after_its_lease, a_retry_without_delay_comes_back_at_once;
    an_ack_of_all_before_is_found: AcksAllBefore by an_ack_covers_one_event;
    retries_without_delay_are_found: RetriesAtOnce by
        a_retry_waits_its_delay, a_delay_of_an_hour_is_kept;
    delays_with_a_limit_are_found: LimitsDelays by a_delay_of_an_hour_is_kept;
    retries_that_do_not_count_are_found: ForgetsAttempts by every_failed_run_counts;
    a_forgotten_first_failure_is_found: ForgetsFirstFailure by the_first_failure_is_kept;
    releases_that_count_are_found: CountsReleases by
        a_thousand_releases_burn_nothing, a_release_comes_again_at_once;
    lost_traces_are_found: LosesTraces by
        the_trace_travels_whole, a_retry_names_the_span_before,
        a_dead_letter_keeps_its_trace_and_span;
    traces_lost_while_waiting_are_found: LosesTracesThatWait by a_delayed_event_keeps_its_trace;
    a_lost_origin_is_found: TakesTheHopForTheOrigin by
        the_trace_travels_whole, a_redrive_gets_a_new_hop_and_keeps_the_origin;
    spans_that_are_forgotten_are_found: ForgetsSpans by
        a_retry_names_the_span_before, a_redrive_gets_a_new_hop_and_keeps_the_origin;
    spans_that_are_not_followed_are_found: NamesTheFirstSpan by a_retry_names_the_span_before;
    spans_that_outlive_a_redrive_are_found: KeepsSpansThroughRedrives by
        a_redrive_gets_a_new_hop_and_keeps_the_origin;
    lost_spans_of_dead_letters_are_found: LosesSpansOfDeadLetters by
        a_dead_letter_keeps_its_trace_and_span;
    a_redrive_that_keeps_the_hop_is_found: RedrivesWithoutHop by
        a_redrive_gets_a_new_hop_and_keeps_the_origin;
    lost_dead_letters_are_found: LosesDeadLetters by
        a_dead_letter_is_kept_whole, the_oldest_dead_letters_are_listed_first;
    unlimited_lists_are_found: ListsWithoutLimit by the_oldest_dead_letters_are_listed_first;
    redrives_to_all_are_found: RedrivesToAll by a_redrive_reaches_the_failed_group_only;
    what_is_delayed_is_not_done:
        ForgetsWhatIsDelayed by the_lag_counts_what_waits_for_its_next_attempt;
    a_purge_that_redrives_is_found: PurgesByRedrive by a_purged_record_is_gone_for_good;
    pages_that_overlap_are_found: ReadsTheFirstPageAgain by dead_letters_are_read_page_by_page;
    what_is_not_shown_is_found: ShowsNoPayload by one_dead_letter_is_found_by_its_id;
    silent_redrives_are_found: RedrivesSilently by a_redrive_of_nothing_is_an_error;
    what_a_drop_loses_is_found: LosesWhatIsDropped by
        a_dropped_delivery_comes_back_after_its_lease, a_member_that_vanishes_loses_nothing;
    a_drop_that_releases_is_found: ReleasesWhatIsDropped by
        a_dropped_delivery_comes_back_after_its_lease, a_run_that_was_dropped_counts;
    runs_that_never_count_are_found: IgnoresBegin by a_run_that_was_dropped_counts;
    leases_without_renewal_are_found: NeverRenews by a_held_delivery_is_not_given_to_another;
    stored_duplicates_are_found: StoresDuplicates by
        an_id_is_stored_once, an_id_published_at_the_same_time_is_stored_once;
    what_comes_early_is_found: ComesEarly by a_delayed_event_comes_when_it_is_due;
    what_is_forgotten_while_it_waits_is_found: ForgetsWhatWaits by
        a_delayed_event_comes_when_it_is_due, many_delayed_events_come_once_each;
    silent_cancels_are_found: CancelsSilently by
        a_cancelled_event_does_not_come, a_cancel_of_nothing_is_false;
    starts_that_are_ignored_are_found: StartsAtTheBeginning by
        a_group_may_start_now, a_group_may_start_at_a_time;
    a_stop_that_goes_on_is_found: GoesOnAfterStop by a_stopped_member_takes_nothing_more;
    a_reversed_order_is_found: ReversesPairs by events_arrive_in_the_order_of_publishing;
    what_an_early_end_loses_is_found: LosesAGlance by a_wait_that_ends_early_loses_nothing;
}

/// A transport that does nothing makes a case fail, and not hang; the message names the line that
/// waited.
#[tokio::test(start_paused = true)]
async fn silence_is_found() {
    let message = failure(Sabotage::NeverDelivers, cases::an_ack_is_final).await;
    assert!(message.contains("settlement.rs"), "{message}");
    assert!(message.contains("nothing arrived"), "{message}");
}

/// What comes at the wrong time is told with the time that was expected.
#[tokio::test(start_paused = true)]
async fn a_wrong_time_is_told() {
    let message = failure(Sabotage::RetriesAtOnce, cases::a_retry_waits_its_delay).await;
    assert!(message.ends_with("`a` came after 0 ns, expected after 1 s"), "{message}");
}

/// The wrapper itself is honest: without a sabotage all cases pass.
mod without_sabotage {
    use super::*;

    async fn honest() -> Bench {
        bench(Sabotage::None)
    }

    bus_core::conformance! {
        #[tokio::test(start_paused = true)]
        honest
    }
}

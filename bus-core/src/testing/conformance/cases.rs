//! The cases, each a function of a [`Bench`](super::Bench) that panics where a transport fails it.
//! What each wants stands at it; [`conformance!`](crate::conformance) makes tests of them.

/// The one list of cases; whoever needs it gives the name of a macro. A case that is missing here
/// is dead code, which the compiler reports.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_cases {
    ($then:ident $given:tt) => {
        $crate::$then! { $given
            lifecycle:
                an_event_published_before_its_group_reaches_it
                a_group_is_made_once
                a_group_without_members_keeps_its_events
                joining_twice_is_one_group
                a_group_does_not_change_its_filter
                a_transport_that_works_is_ready
                an_uncovered_subject_is_refused
                a_survey_tells_what_waits
                a_wait_that_ends_early_loses_nothing;
            shape:
                an_envelope_arrives_as_it_was_sent
                what_is_absent_stays_absent
                a_foreign_id_survives
                a_time_survives_to_the_millisecond
                headers_survive
                as_many_headers_as_there_may_be_survive
                text_of_any_script_survives
                a_subject_with_an_encoded_field_survives
                any_byte_survives
                an_empty_payload_survives
                a_large_payload_survives;
            start:
                a_group_may_start_at_the_beginning
                a_group_may_start_now
                a_group_may_start_at_a_time
                a_group_that_exists_goes_on_where_it_was
                every_group_has_its_own_start;
            groups:
                every_group_receives_every_event
                two_members_share_without_overlap
                a_retry_stays_in_its_group
                a_star_matches_one_token
                a_group_hears_of_its_subject_only
                a_member_that_vanishes_loses_nothing
                a_busy_member_does_not_stop_the_group;
            order:
                events_arrive_in_the_order_of_publishing
                pipelined_events_arrive_in_the_order_of_the_calls
                subjects_keep_their_common_order
                a_redelivery_does_not_stop_later_events;
            flow:
                a_member_that_takes_nothing_loses_nothing
                concurrent_events_are_stored_once_each
                many_groups_receive_the_same
                many_deliveries_may_be_open;
            duplicates:
                an_id_is_stored_once
                an_id_is_stored_once_whatever_it_carries
                equal_content_under_two_ids_is_two_events
                an_id_published_at_the_same_time_is_stored_once
                an_id_is_remembered_when_its_event_is_done
                an_id_is_forgotten_after_the_window;
            delayed:
                a_delayed_event_comes_when_it_is_due
                a_delayed_event_that_is_due_comes_at_once
                a_delayed_event_is_the_same_envelope
                a_delayed_event_is_seen_by_no_group_before
                a_delayed_event_does_not_hold_up_others
                a_delayed_event_outlives_its_publisher
                an_event_can_wait_for_a_day
                a_delayed_id_is_stored_once
                a_delayed_id_is_stored_once_while_it_waits
                many_delayed_events_come_once_each
                a_group_that_is_made_meanwhile_receives_it
                a_group_that_is_made_afterwards_receives_it
                delayed_events_come_in_the_order_of_their_times;
            cancel:
                a_cancelled_event_does_not_come
                a_cancel_of_nothing_is_false
                an_id_of_any_text_can_wait_and_be_cancelled;
            settlement:
                an_ack_is_final
                an_ack_covers_one_event
                answers_may_come_in_any_order
                different_answers_do_not_mix
                a_late_ack_does_no_harm
                a_late_retry_does_not_undo_an_ack
                a_late_release_does_not_undo_an_ack;
            retry:
                a_retry_waits_its_delay
                a_retry_without_delay_comes_back_at_once
                a_delay_of_milliseconds_is_kept
                every_failed_run_counts
                the_first_failure_is_kept
                a_waiting_retry_does_not_hold_up_others
                a_delay_of_an_hour_is_kept
                a_delay_of_a_hundred_years_does_no_harm
                many_retries_come_back_once_each
                the_shortest_delay_comes_first
                a_retry_is_the_same_envelope
                a_retry_outlives_its_member;
            release:
                a_release_comes_again_at_once
                a_thousand_releases_burn_nothing
                a_release_keeps_the_history
                a_release_is_the_same_envelope
                a_released_event_goes_to_another_member;
            lease:
                a_dropped_delivery_comes_back_after_its_lease
                a_run_that_was_dropped_counts
                a_delivery_that_never_began_does_not_count
                a_dropped_delivery_does_not_hold_up_others
                a_held_delivery_is_not_given_to_another
                a_run_beyond_its_time_out_is_given_away
                many_dropped_deliveries_come_back_once_each;
            letters:
                a_dead_letter_is_kept_whole
                every_reason_is_kept
                a_dead_letter_is_gone_from_its_group
                a_dead_letter_is_gone_from_no_other_group
                an_event_has_a_record_for_every_group
                dead_letters_are_listed_by_group
                the_oldest_dead_letters_are_listed_first;
            redrive:
                a_redrive_reaches_the_failed_group_only
                a_redriven_event_begins_anew
                redrives_are_counted_through_retries
                a_redriven_event_can_die_again
                a_redrive_moves_one_record
                a_redrive_of_nothing_is_an_error;
            purge:
                a_purged_record_is_gone_for_good
                a_purge_of_nothing_is_an_error
                dead_letters_are_read_page_by_page
                one_dead_letter_is_found_by_its_id;
            stop:
                a_stop_hands_back_what_was_not_yielded
                a_stopped_member_takes_nothing_more
                a_delivery_can_be_answered_after_the_stop
                a_flush_ends_when_all_answers_have_arrived
                a_stop_leaves_other_members_alone;
            lag:
                the_lag_counts_what_waits
                the_lag_counts_what_is_in_flight
                the_lag_counts_what_waits_for_its_next_attempt
                the_lag_goes_to_nothing
                the_oldest_event_grows_older
                a_redriven_event_is_not_older_than_it_is
                the_lag_tells_of_redeliveries
                the_lag_of_an_unknown_group_is_an_error;
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __conformance_exports {
    (() $($family:ident: $($case:ident)+;)+) => {
        $(pub use super::$family::{$($case),+};)+

        /// The names of all cases.
        pub const CASES: &[&str] = &[$($(stringify!($case)),+),+];
    };
}

__conformance_cases!(__conformance_exports());

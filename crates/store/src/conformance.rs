//! The rules of the [`Store`], as cases that any implementation runs unchanged.
//!
//! A case gets a function that opens the store: the first call opens an empty one, a later call
//! opens the same one again, as the next process would. A case fails by panicking.
//!
//! ```no_run
//! # use std::sync::Arc;
//! # async fn all(open: impl Fn() -> Arc<dyn ringback_store::Store> + Sync) {
//! for case in ringback_store::conformance::CASES {
//!     case.run(&open).await;
//! }
//! # }
//! ```

#![allow(clippy::unwrap_used, reason = "a case is a test: it fails by panicking")]

mod bench;

use std::sync::Arc;

use self::bench::Bench;
use crate::{BoxFuture, Store};

/// Opens the store of one case.
pub type Open<'a> = &'a (dyn Fn() -> Arc<dyn Store> + Sync);

/// One rule, checked.
#[derive(Clone, Copy)]
pub struct Case {
    /// What has to hold.
    pub name: &'static str,
    check: fn(Bench<'_>) -> BoxFuture<'_, ()>,
}

impl Case {
    /// Checks the rule against a store of its own.
    ///
    /// # Panics
    /// When the store does not keep the rule.
    pub async fn run(&self, open: Open<'_>) {
        (self.check)(Bench::new(open).await).await;
    }
}

macro_rules! cases {
    ($($part:ident: $($name:ident)*;)*) => {
        $(mod $part;)*

        /// Every case.
        pub const CASES: &[Case] = &[$($(
            Case { name: stringify!($name), check: |bench| Box::pin($part::$name(bench)) },
        )*)*];
    };
}

cases! {
    append:
        what_is_appended_survives
        payloads_are_kept_byte_by_byte
        a_repeated_claim_returns_the_first_message
        only_ringback_writes_to_the_hidden_application
        one_batch_may_have_an_event_id_many_times
        a_claim_with_another_body_is_a_conflict
        an_expired_claim_is_forgotten
        a_duplicate_fails_alone
        an_event_id_is_unique_in_its_application
        a_missing_application_gets_nothing
        deliveries_follow_their_message
        keys_grow_when_the_clock_goes_back
        a_message_can_be_for_one_endpoint_only
        what_a_message_carries_is_kept;
    deliver:
        due_is_oldest_first_and_cut
        due_leaves_out_the_future
        a_retry_moves_the_delivery
        a_settled_delivery_is_gone
        an_attempt_takes_effect_once
        an_older_epoch_changes_nothing
        a_failed_resend_changes_nothing
        a_successful_resend_settles_the_schedule
        a_resend_needs_an_endpoint_that_takes_messages
        a_failing_endpoint_is_disabled
        notices_come_with_their_record
        waiting_endpoints_are_each_found_once
        the_backlog_counts_what_is_attempted
        a_lane_knows_its_endpoint
        what_was_sent_is_kept
        what_was_sent_first_can_be_asked_for
        attempt_keys_go_on_after_a_restart;
    ordering:
        of_an_order_one_is_due
        a_batch_is_in_order
        what_blocks_an_order_stays
        what_blocks_an_order_is_skipped
        whatever_goes_lets_the_next_one_go
        what_blocks_is_what_the_endpoint_wants_now
        an_order_that_is_given_up_lets_all_go
        an_order_can_be_given_up;
    explain:
        every_endpoint_has_a_verdict
        changes_count_for_later_messages_only
        progress_is_told
        what_a_filter_does_not_want_is_settled;
    catalog:
        applications_are_kept
        application_uids_are_unique
        a_deleted_application_takes_its_endpoints_along
        the_hidden_application_stays
        endpoints_are_kept
        endpoint_uids_are_unique
        a_deleted_endpoint_is_gone
        destinations_have_a_list_of_their_own
        secrets_rotate
        headers_change_only_from_what_was_expected
        a_transformation_changes_only_from_what_was_expected
        what_opens_an_endpoint_is_kept
        event_types_are_kept
        event_types_are_archived_and_come_back
        environments_are_made_once
        tokens_are_found_until_the_end
        answers_are_kept_with_what_they_answer;
    race:
        one_of_many_gets_a_name
        one_of_many_appends_with_an_event_id
        one_of_many_makes_a_claim
        one_of_many_changes_settings
        one_of_many_arrivals_is_a_message
        one_of_many_releases_a_request
        one_of_many_changes_a_contract
        an_order_is_kept_by_many
        nobody_waits_for_an_order_in_a_circle;
    import:
        an_import_creates_and_replaces
        an_import_archives_what_it_does_not_name
        what_is_imported_again_is_not_touched
        an_import_is_done_or_not
        a_large_import_is_one;
    lists:
        pages_join_in_both_orders_and_both_ways
        a_cursor_may_be_deleted
        event_types_are_listed_by_name
        messages_are_filtered
        attempts_are_filtered;
    search:
        messages_are_found_by_what_became_of_them
        one_endpoint_is_not_another
        every_endpoint_of_a_message_is_listed
        a_page_looks_at_a_bounded_number
        messages_are_found_by_their_keys
        nobody_finds_what_belongs_to_others;
    statistics:
        a_message_counts_once
        windows_have_a_first_and_no_last
        too_many_are_counted_for_a_shorter_time
        usage_is_counted_step_by_step;
    tenancy:
        foreign_scopes_read_nothing
        foreign_scopes_write_nothing
        foreign_records_write_nothing
        guessed_ids_find_nothing;
    access:
        a_grant_is_kept_with_its_token
        a_confined_token_ends_with_its_application
        event_types_with_a_flag_are_for_those_who_have_it
        sessions_end_by_application_and_by_name
        environments_are_created_once_and_listed;
    quota:
        quotas_are_kept
        a_quota_needs_its_application
        endpoints_are_limited
        pending_deliveries_are_counted;
    audit:
        an_entry_comes_with_its_change
        what_changes_nothing_leaves_no_entry
        every_change_is_noted
        what_the_server_does_is_noted
        entries_are_listed_and_narrowed_down
        entries_are_forgotten_in_steps;
    upkeep:
        the_sweep_deletes_what_expired
        the_sweep_spares_what_is_pending
        the_sweep_cancels_what_was_deleted
        a_store_is_checked_and_measured
        a_closed_store_says_so
        epochs_grow;
    task:
        tasks_are_kept
        tasks_are_listed
        a_task_needs_what_it_is_about
        running_tasks_are_limited
        a_task_moves_on_once
        tasks_that_ended_are_forgotten
        a_recovery_skips_no_message
        a_step_is_done_once_whoever_does_it
        what_is_planned_is_not_planned_twice
        what_waits_long_is_sent_now
        missing_messages_are_those_never_sent
        a_selection_narrows_down_what_is_replayed
        a_span_of_time_is_kept_to
        a_replay_waits_for_its_endpoint
        a_replay_ends_with_its_endpoint;
    expunge:
        an_expunged_message_stays_without_content
        a_replay_counts_what_has_no_content
        an_expunged_answer_is_gone
        a_purge_empties_what_was_there;
    source:
        sources_are_kept
        source_names_are_unique
        a_source_changes_as_it_was_said
        settings_change_only_from_what_was_expected
        a_deleted_source_takes_its_application_along
        a_deleted_application_takes_its_source_along
        source_tokens_rotate
        source_tokens_are_limited
        an_answer_is_kept_with_the_source;
    contract:
        a_contract_is_kept
        contracts_are_listed
        a_contract_is_changed_as_a_whole
        a_contract_changes_with_its_event_type;
    request:
        an_accepted_request_comes_with_its_message
        a_repeated_arrival_is_a_duplicate
        a_duplicate_may_outlive_its_message
        a_repeated_arrival_is_recognised_in_time
        what_is_refused_is_written_down
        a_kept_request_becomes_a_message_once
        what_was_kept_may_be_a_duplicate_by_now
        a_kept_batch_becomes_its_messages_at_once
        what_was_kept_may_be_gone_by_now
        requests_are_filtered
        a_page_of_requests_looks_at_a_bounded_number
        requests_go_with_their_messages
        the_sweep_keeps_the_newest_requests
        a_flood_of_requests_stays_small_without_a_sweep
        an_expunged_message_is_expunged_as_it_arrived
        nobody_reads_what_arrived_elsewhere;
    redeliver:
        redelivering_tries_where_it_is_missing
        redelivering_leaves_what_is_held;
    callback:
        callbacks_are_kept
        a_callback_is_made_once
        one_of_many_answers_wins
        every_request_is_listed
        what_floods_a_callback_is_counted
        deadlines_pass_by_themselves
        callbacks_are_filtered
        a_message_answers_whichever_comes_first
        a_message_about_another_price_answers_nothing
        a_message_and_a_callback_that_meet_find_each_other
        callbacks_are_forgotten
        callbacks_end_with_their_application
        an_errand_is_done_until_it_is_ended
        whatever_happens_a_callback_ends_once;
    oauth:
        clients_are_kept
        a_client_with_connections_stays
        authorizations_are_kept
        an_authorization_goes_its_way_once
        one_of_many_returns_and_one_confirms
        a_step_writes_its_connection_or_nothing
        an_authorization_renews_a_connection
        authorizations_are_settled
        authorizations_are_filtered
        a_page_of_authorizations_looks_at_a_bounded_number
        connections_are_kept
        one_of_many_refreshes
        what_is_refreshed_replaces_what_it_was_made_from
        connections_are_filtered
        connections_end_with_their_application
        whatever_happens_follows_the_rules;
    consumer:
        consumers_are_kept
        a_consumer_goes_forward
        a_consumer_is_never_ahead
        consumers_are_bounded_and_forgotten;
    listener:
        listeners_are_kept
        a_listener_begins_with_what_comes
        a_listener_goes_forward
        a_listener_may_be_moved
        listeners_at_which_nobody_is_are_forgotten
        an_answer_is_kept_with_the_listener
        arrivals_come_by_key_from_all_applications
        arrivals_are_bounded
        what_has_no_content_is_passed_over
        arrivals_know_whom_they_concern
        arrivals_know_what_they_were_as_requests
        how_far_behind_is_counted_to_a_bound
        nobody_listens_to_what_belongs_to_others
        event_streams_are_kept
        whoever_reads_on_misses_nothing;
    reseal:
        whatever_is_sealed_is_found_and_sealed_anew
        what_is_sealed_anew_is_read
        answers_that_are_kept_sealed_are_counted;
}

//! A test for each case of the conformance suite, so that each is reported and runs beside others.
//!
//! `conformance_tests!()` stands in the module of an implementation, beside an
//! `async fn conform(case: Case)` that runs one of them.

macro_rules! conformance_tests {
    () => {
        conformance_tests! {
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
            attempt_keys_go_on_after_a_restart
            every_endpoint_has_a_verdict
            changes_count_for_later_messages_only
            progress_is_told
            applications_are_kept
            application_uids_are_unique
            a_deleted_application_takes_its_endpoints_along
            the_hidden_application_stays
            endpoints_are_kept
            endpoint_uids_are_unique
            a_deleted_endpoint_is_gone
            secrets_rotate
            headers_change_only_from_what_was_expected
            event_types_are_kept
            event_types_are_archived_and_come_back
            environments_are_made_once
            tokens_are_found_until_the_end
            answers_are_kept_with_what_they_answer
            one_of_many_gets_a_name
            one_of_many_appends_with_an_event_id
            one_of_many_makes_a_claim
            an_import_creates_and_replaces
            an_import_archives_what_it_does_not_name
            what_is_imported_again_is_not_touched
            an_import_is_done_or_not
            a_large_import_is_one
            pages_join_in_both_orders_and_both_ways
            a_cursor_may_be_deleted
            event_types_are_listed_by_name
            messages_are_filtered
            attempts_are_filtered
            messages_are_found_by_what_became_of_them
            one_endpoint_is_not_another
            every_endpoint_of_a_message_is_listed
            a_page_looks_at_a_bounded_number
            messages_are_found_by_their_keys
            nobody_finds_what_belongs_to_others
            a_message_counts_once
            windows_have_a_first_and_no_last
            too_many_are_counted_for_a_shorter_time
            usage_is_counted_step_by_step
            foreign_scopes_read_nothing
            foreign_scopes_write_nothing
            foreign_records_write_nothing
            guessed_ids_find_nothing
            a_grant_is_kept_with_its_token
            a_confined_token_ends_with_its_application
            event_types_with_a_flag_are_for_those_who_have_it
            sessions_end_by_application_and_by_name
            environments_are_created_once_and_listed
            quotas_are_kept
            a_quota_needs_its_application
            endpoints_are_limited
            pending_deliveries_are_counted
            an_entry_comes_with_its_change
            what_changes_nothing_leaves_no_entry
            every_change_is_noted
            what_the_server_does_is_noted
            entries_are_listed_and_narrowed_down
            entries_are_forgotten_in_steps
            the_sweep_deletes_what_expired
            the_sweep_spares_what_is_pending
            the_sweep_cancels_what_was_deleted
            a_store_is_checked_and_measured
            a_closed_store_says_so
            epochs_grow
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
            a_replay_ends_with_its_endpoint
            an_expunged_message_stays_without_content
            a_replay_counts_what_has_no_content
            an_expunged_answer_is_gone
            a_purge_empties_what_was_there
        }
    };
    ($($name:ident)*) => {
        $(#[tokio::test]
        async fn $name() {
            let mut cases = ringback_store::conformance::CASES.iter();
            conform(*cases.find(|case| case.name == stringify!($name)).unwrap()).await;
        })*

        #[test]
        fn every_case_is_a_test() {
            let cases = ringback_store::conformance::CASES.iter().map(|case| case.name);
            assert_eq!(cases.collect::<Vec<_>>(), [$(stringify!($name)),*]);
        }
    };
}

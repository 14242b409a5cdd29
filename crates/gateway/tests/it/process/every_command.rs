//! No command without a test of what it prints and how it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use clap::Command;

/// Every command that can be run, and the test beside this file that runs it.
const TESTS: [(&str, &str); 47] = [
    ("ringback api", "any_operation_of_a_server"),
    ("ringback api list", "operations_are_listed_and_shown"),
    ("ringback api show", "operations_are_listed_and_shown"),
    ("ringback audit", "what_commands_and_requests_change_is_in_the_audit_log"),
    ("ringback completions", "bash_completes_commands_and_flags"),
    ("ringback connect", "a_browser_comes_back_to_this_machine"),
    ("ringback connections check", "files_of_ones_own_are_checked"),
    ("ringback connections delete", "connections_are_listed_used_and_ended"),
    ("ringback connections get", "connections_are_listed_used_and_ended"),
    ("ringback connections list", "connections_are_listed_used_and_ended"),
    ("ringback connections provider", "one_is_shown_and_another_proposed"),
    ("ringback connections providers", "all_at_whom_accounts_can_be_connected_are_listed"),
    ("ringback connections revoke", "connections_are_listed_used_and_ended"),
    ("ringback connections token", "connections_are_listed_used_and_ended"),
    ("ringback destinations show", "kinds_are_listed_and_shown"),
    ("ringback destinations", "kinds_are_listed_and_shown"),
    ("ringback dev", "dev_shows_a_sample_that_arrived"),
    ("ringback environment create", "environments_are_made_with_and_without_a_server"),
    ("ringback environment list", "environments_are_made_with_and_without_a_server"),
    ("ringback export", "what_came_to_a_source_is_exported_byte_for_byte"),
    ("ringback inspect", "what_arrives_is_shown_and_the_url_is_thrown_away"),
    ("ringback keys list", "a_key_is_replaced_while_messages_go_out"),
    ("ringback keys retire", "a_key_is_replaced_while_messages_go_out"),
    ("ringback keys rotate", "a_key_is_replaced_while_messages_go_out"),
    ("ringback listen", "ends_and_exit_codes"),
    ("ringback man", "manual_pages_are_written_for_every_command"),
    ("ringback mcp", "what_does_not_work_says_why"),
    ("ringback migrate sqlite-to-postgres", "an_installation_moves_and_goes_on"),
    ("ringback providers check", "files_are_checked"),
    ("ringback providers show", "one_is_shown_for_people_for_programs_and_as_its_file"),
    ("ringback providers sign", "what_is_signed_verifies"),
    ("ringback providers", "the_list_has_every_provider_and_counts_the_grades"),
    ("ringback replay", "messages_go_once_more_to_where_they_went"),
    ("ringback sample", "a_sample_goes_the_way_of_an_event"),
    ("ringback send", "send_posts_a_message"),
    ("ringback serve", "a_dump_shows_what_holds_and_no_secret"),
    ("ringback sign", "standard_webhooks_are_signed_and_verified_without_a_provider"),
    ("ringback tail", "the_live_log_has_a_line_for_each_and_comes_again"),
    ("ringback token create", "tokens_are_made_and_revoked_while_the_server_runs"),
    ("ringback token list", "tokens_are_made_and_revoked_while_the_server_runs"),
    ("ringback token revoke", "tokens_are_made_and_revoked_while_the_server_runs"),
    ("ringback transform run", "a_program_is_tried_without_a_server"),
    ("ringback trigger", "a_sample_with_a_field_of_ones_own_is_signed"),
    ("ringback verify", "known_answers_are_given"),
    ("ringback verify", "one_request_is_judged_in_one_line"),
    ("ringback verify", "programs_get_the_verdict_as_json"),
    ("ringback", "without_words_it_says_what_people_come_for"),
];

fn runnable(command: &Command, found: &mut BTreeSet<String>) {
    if !command.is_subcommand_required_set() {
        found.insert(command.get_bin_name().unwrap_or(command.get_name()).to_owned());
    }
    command.get_subcommands().for_each(|one| runnable(one, found));
}

/// The functions of the files beside this one, with their text.
fn functions() -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/process");
    let mut functions = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            continue;
        }
        let text = fs::read_to_string(path).unwrap();
        for part in text.split("\nfn ").skip(1).chain(text.split("\nasync fn ").skip(1)) {
            let (name, rest) = part.split_once('(').unwrap();
            functions.insert(name.to_owned(), rest.split("\n}\n").next().unwrap().to_owned());
        }
    }
    functions
}

#[test]
fn every_command_has_a_test() {
    let mut command = ringback::cli::command().disable_help_subcommand(true);
    command.build();
    let mut found = BTreeSet::new();
    runnable(&command, &mut found);
    let named: BTreeSet<_> = TESTS.iter().map(|(name, _)| (*name).to_owned()).collect();
    let untested: Vec<_> = found.difference(&named).collect();
    assert!(
        untested.is_empty(),
        "no test runs {untested:?}: write one that looks at the output and the exit code, and name \
         it in TESTS of {}",
        file!()
    );
    assert_eq!(named, found, "TESTS names what is no command");
    let functions = functions();
    for (command, test) in TESTS {
        let text = functions.get(test).unwrap_or_else(|| panic!("there is no test {test}"));
        // Its last word has to be said: the name of a test alone runs nothing.
        let word = command.split(' ').skip(1).last().unwrap_or("run");
        assert!(text.contains(word), "{test} does not run `{command}`");
    }
}

//! `ringback` alone: what people come for, and what to type for it.

/// What is shown to somebody who has typed no command: five things to do, and where help is.
pub(super) const WELCOME: &str = "\
Ringback is one binary for webhooks and callback URLs. What people come for:

  Try it: a server on this machine, with a sample webhook to look at
    ringback dev

  Send a webhook: durably, signed, with retries and a record of everything
    ringback send sample invoice.paid '{\"invoice\": \"inv_1002\"}'

  Receive webhooks on localhost, byte for byte, without losing one
    ringback listen github --forward http://localhost:3000/webhooks

  Hand out a callback URL, and wait for the one answer
    ringback api callback.create -f application=sample

  Connect an account that somebody has elsewhere, and keep its tokens fresh
    ringback connect github --user-ref ada

`ringback help` lists all commands, `ringback help COMMAND` explains one.";

#[cfg(test)]
mod tests {
    use super::super::command;
    use super::*;

    #[test]
    fn what_is_shown_can_be_typed() {
        let typed = WELCOME.lines().filter_map(|line| line.strip_prefix("    ringback "));
        let mut commands = 0;
        for line in typed {
            // The only quotes are around a payload, which is the last word.
            let (words, payload) = line.split_once(" '").unwrap_or((line, ""));
            let payload = payload.strip_suffix('\'');
            let words = ["ringback"].into_iter().chain(words.split(' ')).chain(payload);
            let read = command().try_get_matches_from(words);
            assert!(read.is_ok(), "{line}: {}", read.unwrap_err());
            commands += 1;
        }
        assert_eq!(commands, 5, "{WELCOME}");
        assert!(WELCOME.lines().all(|line| line.chars().count() <= 80), "{WELCOME}");
    }
}

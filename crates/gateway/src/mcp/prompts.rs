//! Prompts: what people ask most, for whoever does not want to write it.

use rmcp::model::{GetPromptResult, JsonObject, Prompt, PromptArgument, PromptMessage, Role};
use serde_json::Value;

/// An argument: its name, and what it is.
type Argument = (&'static str, &'static str);
type Written = (&'static str, &'static str, &'static [Argument], &'static str);

/// Name, title, what it is about, its arguments, and what it says with those in its braces.
const PROMPTS: &[Written] = &[
    (
        "webhook_not_delivered",
        "Why did a webhook not reach its receiver?",
        &[
            ("application", "the application's id or uid"),
            ("what", "what is known of it: a message's id, an event type, a time"),
        ],
        "Find out why a webhook of the application {application} did not reach its receiver: {what}. \
         Find the message with search_messages, ask explain_message which endpoints it was for and \
         what happened to it at each, and look at the attempts that failed. Say what happened, what \
         proves it, and what a person could do about it.",
    ),
    (
        "webhook_not_received",
        "Why did a provider's webhook not come in?",
        &[
            ("source", "the source's id or uid"),
            ("what", "what is known of it: an event's id, a type, a time"),
        ],
        "Find out why a webhook of the provider did not come in at the source {source}: {what}. Look \
         at the source with get_source, then at what arrived with list_requests, those that were \
         refused included, and at the reason of each with get_request. Say what happened, what proves \
         it, and what a person could do about it.",
    ),
];

/// Every prompt.
pub(super) fn all() -> Vec<Prompt> {
    let argument = |(name, what): &Argument| {
        PromptArgument::new(*name).with_description(*what).with_required(true)
    };
    let prompt = |(name, title, arguments, _): &Written| {
        Prompt::new(*name, Some(*title), Some(arguments.iter().map(argument).collect()))
    };
    PROMPTS.iter().map(prompt).collect()
}

/// The prompt of this name with its arguments filled in.
pub(super) fn get(name: &str, values: &JsonObject) -> Option<GetPromptResult> {
    let (_, title, arguments, text) = PROMPTS.iter().find(|(known, ..)| *known == name)?;
    let mut said = (*text).to_owned();
    for (name, _) in *arguments {
        let value = values.get(*name).and_then(Value::as_str).unwrap_or("(nothing was said)");
        said = said.replace(&format!("{{{name}}}"), value);
    }
    let messages = vec![PromptMessage::new_text(Role::User, said)];
    Some(GetPromptResult::new(messages).with_description(*title))
}

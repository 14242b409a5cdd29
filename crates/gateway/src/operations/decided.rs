//! What only people can decide about an operation.
//!
//! Three things stand here and nowhere else: whether it destroys something, whether it changes where
//! data is sent, and which tool and which command of their own it has. An operation without a tool
//! has a dated reason. Every operation has a command: `ringback api ID`.

/// What was decided about an operation.
#[derive(Debug, PartialEq, Eq)]
pub struct Decided {
    /// Its id in the API's document.
    pub id: &'static str,
    /// What becomes of what is there.
    pub effect: Effect,
    /// Whether data may go elsewhere afterwards.
    pub routing: Routing,
    /// Its tool of the MCP server.
    pub tool: Tool,
    /// A command of its own, beside `ringback api`: `connections get`.
    pub command: Option<&'static str>,
}

/// What an operation does to what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Nothing.
    Reads,
    /// It adds something, or changes what can be changed back.
    Changes,
    /// Something ends or is gone afterwards.
    Destroys,
}

/// Whether an operation decides where data is sent, or whose data arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Routing {
    /// Everything goes where it went.
    Kept,
    /// Endpoints, destinations, sources, redirects, grants or URLs are others afterwards.
    Changed,
}

/// The tool of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// It has one, of this name.
    Named(&'static str),
    /// It has none.
    Absent(&'static Reason),
}

/// Why something is not there, so that nobody has to wonder whether it was forgotten.
#[derive(Debug, PartialEq, Eq)]
pub struct Reason {
    /// When that was decided: `2026-11-23`.
    pub since: &'static str,
    /// A sentence's worth.
    pub why: &'static str,
}

/// Whatever changes where data is sent.
pub(super) static ROUTES: Reason = Reason {
    since: "2026-11-23",
    why: "it changes where data is sent, or whose data arrives: a person does that",
};
static REVEALS: Reason = Reason {
    since: "2026-11-23",
    why: "it reveals or replaces a secret, or what works like one: no tool gives one out",
};
static PEOPLE: Reason = Reason {
    since: "2026-11-23",
    why: "agents repeat what was sent and try samples; what people set up and settle stays theirs",
};
static SENDS: Reason = Reason {
    since: "2026-11-23",
    why: "receivers would take what an agent made up for what happened",
};
static WAITS: Reason = Reason {
    since: "2026-11-23",
    why: "`wait` does it, for a listener that is the agent's own and gives verified events only",
};
static STREAMS: Reason = Reason {
    since: "2026-11-23",
    why: "it is a connection that stays; `wait` gives the same, a call at a time",
};
static ENOUGH: Reason = Reason {
    since: "2026-11-23",
    why: "another tool tells as much, and a short list of tools is used better",
};

/// What was decided about the operation of this id; nothing was about one that stands in no line,
/// and the tests find it.
pub(super) fn about(id: &str) -> &'static Decided {
    TABLE.iter().find(|one| one.id == id).unwrap_or(&UNDECIDED)
}

/// The strictest of everything, for an operation that has no line yet.
pub(super) static UNDECIDED: Decided = destroy("").routes();

const fn read(id: &'static str) -> Decided {
    Decided {
        id,
        effect: Effect::Reads,
        routing: Routing::Kept,
        tool: Tool::Absent(&ENOUGH),
        command: None,
    }
}

const fn change(id: &'static str) -> Decided {
    Decided { effect: Effect::Changes, tool: Tool::Absent(&PEOPLE), ..read(id) }
}

const fn destroy(id: &'static str) -> Decided {
    Decided { effect: Effect::Destroys, ..change(id) }
}

impl Decided {
    const fn routes(self) -> Decided {
        Decided { routing: Routing::Changed, tool: Tool::Absent(&ROUTES), ..self }
    }

    const fn tool(self, name: &'static str) -> Decided {
        Decided { tool: Tool::Named(name), ..self }
    }

    const fn absent(self, reason: &'static Reason) -> Decided {
        Decided { tool: Tool::Absent(reason), ..self }
    }

    const fn command(self, name: &'static str) -> Decided {
        Decided { command: Some(name), ..self }
    }
}

/// A line for each operation, in the order of their ids.
#[rustfmt::skip]
pub(super) static TABLE: &[Decided] = &[
    change("application.create"),
    destroy("application.delete").routes(),
    read("application.get").tool("get_application"),
    read("application.list").tool("list_applications"),
    change("application.patch"),
    change("application.upsert"),
    destroy("application_quota.delete"),
    read("application_quota.get").tool("get_quota"),
    change("application_quota.set"),
    read("audit.list").tool("list_changes").command("audit"),
    change("authentication.app_portal_access").absent(&REVEALS),
    change("authentication.dashboard_access").absent(&REVEALS),
    destroy("authentication.expire_all"),
    destroy("authentication.logout"),
    destroy("authorization.cancel"),
    change("authorization.confirm"),
    change("authorization.create").routes().command("connect"),
    change("authorization.device").routes().command("connect"),
    read("authorization.get").tool("get_authorization"),
    read("authorization.list").tool("list_authorizations"),
    change("authorization.poll"),
    read("background_task.get").tool("get_task"),
    read("background_task.list").tool("list_tasks"),
    change("callback.call").routes(),
    destroy("callback.cancel"),
    destroy("callback.cancel_many"),
    change("callback.close"),
    change("callback.complete"),
    change("callback.create").routes(),
    read("callback.events"),
    change("callback.extend"),
    change("callback.fail"),
    read("callback.get").tool("get_callback"),
    read("callback.list").tool("list_callbacks"),
    read("callback.result"),
    destroy("callback.rotate").routes(),
    read("callback_request.get").tool("get_callback_request"),
    read("callback_request.list").tool("list_callback_requests"),
    change("connection.create").routes().command("connect"),
    destroy("connection.delete").routes().command("connections delete"),
    read("connection.get").tool("get_connection").command("connections get"),
    read("connection.list").tool("list_connections").command("connections list"),
    read("connection.list_subscriptions"),
    change("connection.reauthorize").routes(),
    change("connection.refresh"),
    destroy("connection.revoke").command("connections revoke"),
    change("connection.subscribe").routes(),
    read("connection.token").absent(&REVEALS).command("connections token"),
    destroy("connection.unsubscribe").routes(),
    change("destination.create").routes(),
    destroy("destination.delete").routes(),
    read("destination.dry_run"),
    read("destination.dry_run_new"),
    read("destination.dry_run_transformation"),
    read("destination.get").tool("get_destination"),
    read("destination.get_transformation").absent(&REVEALS),
    read("destination.list").tool("list_destinations"),
    change("destination.patch").routes(),
    change("destination.patch_transformation").routes(),
    change("destination.upsert").routes(),
    change("endpoint.bulk_replay"),
    change("endpoint.create").routes(),
    destroy("endpoint.delete").routes(),
    destroy("endpoint.delete_mtls").routes(),
    destroy("endpoint.delete_oauth").routes(),
    read("endpoint.dry_run_transformation"),
    read("endpoint.get").tool("get_endpoint"),
    read("endpoint.get_attempt_stats"),
    read("endpoint.get_headers").absent(&REVEALS),
    read("endpoint.get_secret").absent(&REVEALS),
    read("endpoint.get_stats").tool("get_endpoint_statistics"),
    read("endpoint.get_transformation").absent(&REVEALS),
    read("endpoint.list").tool("list_endpoints"),
    change("endpoint.patch").routes(),
    change("endpoint.patch_headers").routes(),
    change("endpoint.patch_transformation").routes(),
    change("endpoint.pause").routes(),
    change("endpoint.recover").tool("recover_endpoint"),
    change("endpoint.replay_missing").tool("replay_missing_messages"),
    change("endpoint.resume").routes(),
    destroy("endpoint.rotate_secret").absent(&REVEALS),
    change("endpoint.send_example"),
    change("endpoint.set_headers").routes(),
    change("endpoint.set_mtls").routes(),
    change("endpoint.set_oauth").routes(),
    destroy("endpoint.skip"),
    change("endpoint.upsert").routes(),
    change("environment.create").command("environment create"),
    read("environment.list").command("environment list"),
    change("event_type.create"),
    destroy("event_type.delete"),
    read("event_type.get").tool("get_event_type"),
    change("event_type.import_openapi"),
    read("event_type.list").tool("list_event_types"),
    change("event_type.patch"),
    change("event_type.upsert"),
    change("event_type_conversion.create"),
    read("event_type_conversion.dry_run"),
    read("event_type_conversion.list"),
    change("event_type_version.create"),
    read("event_type_version.get"),
    read("event_type_version.list"),
    change("event_type_version.patch"),
    change("event_type_version.publish"),
    destroy("event_type_version.retire"),
    read("health.get"),
    read("listener.connect").absent(&STREAMS),
    destroy("listener.delete"),
    destroy("listener.disconnect"),
    read("listener.get"),
    read("listener.list"),
    change("listener.put").absent(&WAITS),
    change("listener.seek").absent(&WAITS),
    read("listener.tail").absent(&STREAMS).command("tail"),
    change("listener.take").absent(&WAITS),
    destroy("message.bulk_expunge_content"),
    change("message.create").absent(&SENDS).command("send"),
    read("message.explain").tool("explain_message"),
    destroy("message.expunge_all_contents"),
    destroy("message.expunge_content"),
    read("message.get").tool("get_message"),
    read("message.get_content"),
    read("message.list").tool("search_messages"),
    read("message.precheck"),
    read("message_attempt.endpoints").tool("list_endpoints_of_message"),
    destroy("message_attempt.expunge_attempt_content"),
    read("message_attempt.get").tool("get_attempt"),
    read("message_attempt.list_by_endpoint").tool("list_attempts_of_endpoint"),
    read("message_attempt.list_by_msg").tool("list_attempts_of_message"),
    read("message_attempt.messages").tool("list_messages_of_endpoint"),
    change("message_attempt.resend").tool("resend_message"),
    change("message_poller.consumer_commit").absent(&WAITS),
    read("message_poller.consumer_poll").absent(&WAITS),
    change("message_poller.consumer_seek").absent(&WAITS),
    read("message_poller.consumer_stream").absent(&STREAMS),
    read("message_poller.poll"),
    change("oauth_client.create").routes(),
    destroy("oauth_client.delete").routes(),
    read("oauth_client.get"),
    read("oauth_client.list"),
    change("oauth_client.update").routes(),
    change("operational_webhook_endpoint.create").routes(),
    destroy("operational_webhook_endpoint.delete").routes(),
    read("operational_webhook_endpoint.get"),
    read("operational_webhook_endpoint.get_headers").absent(&REVEALS),
    read("operational_webhook_endpoint.get_secret").absent(&REVEALS),
    read("operational_webhook_endpoint.list"),
    destroy("operational_webhook_endpoint.rotate_secret").absent(&REVEALS),
    change("operational_webhook_endpoint.set_headers").routes(),
    change("operational_webhook_endpoint.upsert").routes(),
    change("source.arm").routes(),
    change("source.create").routes(),
    change("source.dashboard").absent(&REVEALS),
    destroy("source.delete").routes(),
    destroy("source.delete_event_stream").routes(),
    read("source.get").tool("get_source"),
    read("source.get_event_stream").absent(&REVEALS),
    read("source.list").tool("list_sources"),
    change("source.put_event_stream").routes(),
    destroy("source.rotate_token").routes(),
    change("source.sample").tool("trigger").command("sample"),
    change("source.upsert").routes(),
    change("source_destination.create").routes(),
    destroy("source_destination.delete").routes(),
    read("source_destination.dry_run"),
    read("source_destination.get"),
    read("source_destination.list").tool("list_source_destinations"),
    change("source_destination.patch").routes(),
    change("source_destination.upsert").routes(),
    change("source_endpoint.create").routes(),
    destroy("source_endpoint.delete").routes(),
    read("source_endpoint.dry_run_transformation"),
    read("source_endpoint.get"),
    read("source_endpoint.get_headers").absent(&REVEALS),
    read("source_endpoint.get_secret").absent(&REVEALS),
    read("source_endpoint.get_transformation").absent(&REVEALS),
    read("source_endpoint.list").tool("list_source_endpoints"),
    change("source_endpoint.patch_transformation").routes(),
    destroy("source_endpoint.rotate_secret").absent(&REVEALS),
    change("source_endpoint.set_headers").routes(),
    change("source_endpoint.upsert").routes(),
    read("source_request.get").tool("get_request"),
    read("source_request.list").tool("list_requests"),
    change("source_request.release"),
    change("source_request.replay").tool("replay_request"),
    change("statistics.aggregate_app_stats"),
    change("statistics.aggregate_event_types"),
];

/// Tools that are more than one operation, with the operations that they ask for.
#[cfg(test)]
pub(super) static COMPOSED: &[(&str, &[&str])] =
    &[("wait", &["listener.get", "listener.put", "listener.take"])];

/// Commands that are no operation of the API, and why.
#[cfg(test)]
pub(super) static ELSEWHERE: &[(&str, &Reason)] = &[
    ("api", &ALL_OF_IT),
    ("api list", &ALL_OF_IT),
    ("api show", &ALL_OF_IT),
    ("mcp", &ALL_OF_IT),
    ("listen", &SEVERAL),
    ("trigger", &SEVERAL),
    ("replay", &SEVERAL),
    ("export", &SEVERAL),
    ("inspect", &SEVERAL),
    ("serve", &PROCESS),
    ("dev", &PROCESS),
    ("token create", &PROCESS),
    ("token list", &PROCESS),
    ("token revoke", &PROCESS),
    ("keys list", &PROCESS),
    ("keys rotate", &PROCESS),
    ("keys retire", &PROCESS),
    ("migrate sqlite-to-postgres", &PROCESS),
    ("providers", &FILES),
    ("providers show", &FILES),
    ("providers sign", &FILES),
    ("providers check", &FILES),
    ("destinations", &FILES),
    ("destinations show", &FILES),
    ("connections providers", &FILES),
    ("connections provider", &FILES),
    ("connections check", &FILES),
    ("completions", &FILES),
    ("man", &FILES),
    ("sign", &FILES),
    ("transform run", &FILES),
    ("verify", &FILES),
];

#[cfg(test)]
static ALL_OF_IT: Reason =
    Reason { since: "2026-11-23", why: "it is every operation, or tells of them" };
#[cfg(test)]
static SEVERAL: Reason = Reason {
    since: "2026-11-23",
    why: "it is several operations, one after the other, with something of this machine between",
};
#[cfg(test)]
static PROCESS: Reason = Reason {
    since: "2026-11-23",
    why: "it runs a server, or works on its data with the rights of whoever may read them",
};
#[cfg(test)]
static FILES: Reason = Reason {
    since: "2026-11-23",
    why: "it reads what is built in and files here, and asks nobody",
};

//! What must hold in a provider's file.

use std::collections::BTreeSet;

use super::{Call, Protocol, Provider, SCHEMA, Said, endpoints::ID_TOKEN};
use crate::{destination::kind::Setting, oauth::subscribe, provider::Template};

/// Told of a mistake: where, and what is wrong there.
type Say<'a> = dyn FnMut(&str, String) + 'a;

/// What a setting in a URL must not be taken for: ways to end a host, to begin another, or to leave
/// a path. `{}` stands for what is right.
const ELSEWHERE: [&str; 18] = [
    "",
    "evil.example",
    "evil.example/{}",
    "evil.example?{}",
    "evil.example#{}",
    "evil.example\\{}",
    "evil.example:1/{}",
    "user@{}",
    "{}.evil.example",
    "{}/evil",
    "{}?evil",
    "{}#evil",
    "{}\\evil",
    "{}@evil.example",
    "{}:1",
    "{}%2fevil",
    "{} ",
    "..",
];

/// Likewise, of one that is a whole URL or its beginning.
const NO_ORIGIN: [&str; 7] =
    ["", "evil.example", "javascript:alert(1)", "//{}", "{}#evil", "{} evil", "{}\nevil"];

/// Everything.
pub(super) fn all(provider: &Provider, say: &mut Say<'_>) {
    head(provider, say);
    let urls = urls(provider, say);
    for setting in &provider.settings {
        settings(provider, setting, &urls, say);
    }
    places(provider, say);
    rules(provider, say);
    for one in &provider.subscriptions {
        subscribe::check(one, say, |call, allowed, say| {
            self::call(provider, "subscription", call, allowed, say);
        });
    }
}

fn head(provider: &Provider, say: &mut Say<'_>) {
    if provider.schema != SCHEMA {
        say("schema", format!("has to be {SCHEMA}"));
    }
    let is_plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    if provider.id.is_empty() || provider.id.len() > 64 || !provider.id.bytes().all(is_plain) {
        say("id", "has to be lower-case letters, digits and hyphens, at most 64".to_owned());
    }
    let mut names = BTreeSet::new();
    for setting in &provider.settings {
        if !names.insert(&setting.name) {
            say("setting", format!("`{}` is declared twice", setting.name));
        }
        if setting.secret {
            say("setting", format!("`{}` is a secret: those are the client's", setting.name));
        }
    }
    if provider.examples.is_empty() {
        say("example", "is missing: nothing would show that the file is right".to_owned());
    }
}

/// Every template that makes a URL to dial or to send a browser to.
fn urls<'a>(provider: &'a Provider, say: &mut Say<'_>) -> Vec<&'a Template> {
    let places = &provider.endpoints;
    let own = [
        ("authorize", &places.authorize),
        ("token", &places.token),
        ("refresh", &places.refresh),
        ("revoke", &places.revoke),
        ("userinfo", &places.userinfo),
        ("jwks", &places.jwks),
        ("par", &places.par),
        ("device", &places.device),
        ("register", &places.register),
    ];
    let mut urls = Vec::new();
    for (name, template) in own.into_iter().filter_map(|(name, it)| Some((name, it.as_ref()?))) {
        self::template(provider, &format!("endpoints.{name}"), template, &[], say);
        urls.push(template);
    }
    if let Some(issuer) = &provider.issuer {
        template(provider, "issuer.url", &issuer.url, &[], say);
        urls.push(&issuer.url);
        if let Some(token) = &issuer.token {
            for name in token.url.names().filter(|name| !name.starts_with(ID_TOKEN)) {
                say("issuer.token", format!("may not use `{name}`"));
            }
            for name in token.when.keys().filter(|name| declared(provider, name).is_none()) {
                say("issuer.token", format!("names `{name}`, which no [[setting]] declares"));
            }
        }
    }
    let calls = provider.revoke.call.iter();
    let calls = calls.chain(provider.account.iter().filter_map(|account| account.call.as_ref()));
    let calls = calls.chain(provider.subscriptions.iter().flat_map(subscribe::calls));
    urls.extend(calls.map(Call::url));
    urls
}

/// What a setting may be that stands in URLs.
fn settings(provider: &Provider, setting: &Setting, urls: &[&Template], say: &mut Say<'_>) {
    let name = format!("setting.{}", setting.name);
    let using = urls.iter().filter(|url| url.names().any(|used| used == name));
    let starts: Vec<bool> =
        using.map(|url| url.to_string().starts_with(&format!("{{{name}"))).collect();
    let Some(begins) = starts.first() else { return };
    let mut mistake =
        |message: String| say("setting", format!("`{}` stands in a URL: {message}", setting.name));
    let Some(pattern) = &setting.pattern else {
        return mistake("it needs a `pattern`".to_owned());
    };
    if starts.iter().any(|other| other != begins) {
        mistake("it begins one and stands within another".to_owned());
    }
    let wrong: &[&str] = if *begins { &NO_ORIGIN } else { &ELSEWHERE };
    let shown = provider.examples.iter().filter_map(|example| example.settings.get(&setting.name));
    let default = setting.default.as_ref().and_then(|it| it.render(&().into()).ok());
    let right: Vec<String> = shown.cloned().chain(default).collect();
    if right.is_empty() {
        mistake("an example has to show it, or it has a default".to_owned());
    }
    let made: BTreeSet<String> = right
        .iter()
        .flat_map(|right| wrong.iter().map(move |wrong| wrong.replace("{}", right)))
        .filter(|text| !right.contains(text))
        .collect();
    for text in made.iter().filter(|text| pattern.is_match(text)) {
        mistake(format!("its `pattern` lets {text:?} pass"));
    }
}

/// What else is made of templates.
fn places(provider: &Provider, say: &mut Say<'_>) {
    let authorize = &provider.authorize;
    let single = [
        ("authorize.separator", &authorize.separator),
        ("authorize.response_mode", &authorize.response_mode),
        ("authorize.request_object", &authorize.request_object),
    ];
    for (place, one) in single.into_iter().filter_map(|(place, it)| Some((place, it.as_ref()?))) {
        template(provider, place, one, &[], say);
    }
    let tables = [
        ("authorize.params", &authorize.params),
        ("token.params", &provider.token.params),
        ("token.headers", &provider.token.headers),
        ("refresh.params", &provider.refresh.params),
    ];
    for (place, table) in tables {
        for (name, one) in table {
            template(provider, &format!("{place}.{name}"), one, &[], say);
        }
    }
    const TAKEN: [&str; 9] = [
        "response_type",
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "code_challenge",
        "code_challenge_method",
        "nonce",
        "response_mode",
    ];
    for name in TAKEN.iter().filter(|name| authorize.params.contains_key(**name)) {
        say("authorize.params", format!("has `{name}`, which is always made"));
    }
    let tokens = ["client.id", "client.secret", "token.access", "token.refresh", "kept."];
    if let Some(revoke) = &provider.revoke.call {
        call(provider, "revoke.call", revoke, &tokens, say);
    }
    if let Some(account) = provider.account.as_ref().and_then(|account| account.call.as_ref()) {
        call(provider, "account.call", account, &tokens, say);
    }
}

/// What belongs together.
fn rules(provider: &Provider, say: &mut Say<'_>) {
    let mut unless = |holds: bool, place: &str, message: &str| {
        if !holds {
            say(place, message.to_owned());
        }
    };
    let places = &provider.endpoints;
    let discovered = provider.is_discovered();
    unless(places.token.is_some() || discovered, "endpoints", "needs `token`");
    unless(!provider.client.auth.is_empty(), "client", "needs a way in `auth`");
    let refresh = &provider.refresh;
    unless(
        refresh.rotates.is_some() != refresh.none.is_some(),
        "refresh",
        "takes one of `rotates` and `none`",
    );
    unless(
        refresh.none.as_ref().is_none_or(|none| !none.trim().is_empty()),
        "refresh",
        "needs a reason in `none`",
    );
    if provider.protocol == Protocol::Openid {
        unless(provider.issuer.is_some(), "issuer", "is needed to check ID tokens");
        unless(places.jwks.is_some() || discovered, "endpoints", "needs `jwks` for ID tokens");
        let has_openid = provider.authorize.scopes.iter().any(|scope| scope == "openid");
        unless(has_openid, "authorize", "needs the scope `openid`: there are no ID tokens without");
    }
    if let Some(account) = &provider.account {
        let is_asked = account.from == Said::Userinfo;
        unless(
            account.call.is_none() || is_asked,
            "account",
            "has a `call` and is not `from` userinfo",
        );
        unless(
            !is_asked || account.call.is_some() || places.userinfo.is_some() || discovered,
            "account",
            "needs a `call` or `endpoints.userinfo`",
        );
        unless(
            account.from != Said::IdToken || provider.protocol == Protocol::Openid,
            "account",
            "is from an ID token, and there is none",
        );
        let is_kept = |name: &String| provider.callback.keep.contains(name);
        unless(
            account.from != Said::Callback || is_kept(&account.id),
            "account",
            "is from the callback, which does not `keep` it",
        );
    }
    if let Some(verify) = &provider.callback.verify {
        for key in verify.missing_keys() {
            say("callback", format!("has a `verify` whose scheme needs `{key}`"));
        }
        for name in verify.settings().into_iter().filter(|it| declared(provider, it).is_none()) {
            say("callback", format!("names `{name}`, which no [[setting]] declares"));
        }
    }
}

/// A request: its templates, and what is wrong with it otherwise.
fn call(provider: &Provider, place: &str, call: &Call, allowed: &[&str], say: &mut Say<'_>) {
    for one in call.templates() {
        template(provider, place, one, allowed, say);
    }
    if let Some(mistake) = call.mistake() {
        say(place, mistake.to_owned());
    }
}

/// A template may name settings that are declared, and what is `allowed`: whole names, or beginnings
/// that end with a dot.
fn template(
    provider: &Provider,
    place: &str,
    template: &Template,
    allowed: &[&str],
    say: &mut Say<'_>,
) {
    for name in template.names() {
        let is_allowed = |it: &&str| *it == name || (it.ends_with('.') && name.starts_with(it));
        match name.strip_prefix("setting.") {
            Some(setting) if declared(provider, setting).is_none() => {
                say(place, format!("names `{setting}`, which no [[setting]] declares"));
            }
            None if !allowed.iter().any(is_allowed) => {
                say(place, format!("may not use `{name}`"));
            }
            _ => {}
        }
    }
}

fn declared<'a>(provider: &'a Provider, name: &str) -> Option<&'a Setting> {
    provider.settings.iter().find(|setting| setting.name == name)
}

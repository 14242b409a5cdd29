//! The terms of a callback: how it is answered, as its owner chose when it was made. They never change.
//!
//! In the row they are JSON ([`Terms`]); what of them is secret is sealed beside it ([`Secrets`]).

use std::collections::BTreeMap;

use http::{HeaderValue, Method};
use ringback_domain::{
    callback::{Callback, Price},
    filter::Expression,
    id::Key,
    provider::Settings,
    schema::Schema,
    seal::{Context, Keyring},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::Redirect;

/// What the secrets of a callback are sealed as: [`Secrets`] as JSON.
pub(crate) const SECRETS: &str = "callback-secrets";
/// The longest literal answer, in bytes.
const ACKNOWLEDGEMENT: usize = 16 * 1024;
/// The longest words of a page, in characters: its title, its text, and its buttons.
const TITLE: usize = 200;
const TEXT: usize = 2_000;
const BUTTON: usize = 80;
/// Methods that an answer can come with.
const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];

/// How a callback is answered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Terms {
    /// Methods that an answer comes with; POST if there are none.
    pub methods: Vec<String>,
    /// What an answer has to look like.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<Value>,
    /// Which requests are the answer; all that are no failure if nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub success_when: Option<Value>,
    /// Which requests say that there will be none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure_when: Option<Value>,
    /// What is replied to an answer that was taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledge: Option<Acknowledge>,
    /// The words of the page that a person sees.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confirm: Option<Confirm>,
    /// How whoever answers proves who they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub completer: Option<Scheme>,
    /// How a browser comes back, of a callback of that kind; without its settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub redirect: Option<Redirect>,
}

/// A literal reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = CallbackAcknowledge)]
pub struct Acknowledge {
    /// 200 to 299; 200 if not given.
    #[serde(default = "ok")]
    #[schema(minimum = 200, maximum = 299)]
    pub status: u16,
    /// What the body is; `text/plain` if not given.
    #[serde(default = "plain")]
    pub content_type: String,
    /// The body, as it stands.
    #[serde(default)]
    pub body: String,
}

/// The words of the page that a person sees who opens the URL.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[schema(as = CallbackConfirm)]
pub struct Confirm {
    /// Its heading.
    #[schema(nullable, max_length = 200)]
    pub title: Option<String>,
    /// What is to be confirmed.
    #[schema(nullable, max_length = 2000)]
    pub text: Option<String>,
    /// On the button that answers.
    #[schema(nullable, max_length = 80)]
    pub accept: Option<String>,
    /// On the button that fails the callback; there is none if not given.
    #[schema(nullable, max_length = 80)]
    pub decline: Option<String>,
}

/// How whoever answers proves who they are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Scheme {
    /// With a secret in `Authorization: Bearer …`.
    Bearer,
    /// As the provider with this id does.
    Provider(String),
}

/// What of the terms is secret.
#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Secrets {
    /// What the completer sends.
    pub bearer: Option<String>,
    /// Settings of the completer's provider, by name, the newest value first.
    pub provider: BTreeMap<String, Vec<String>>,
    /// Settings of the gateway that a browser comes back from, by name.
    pub redirect: BTreeMap<String, String>,
}

/// What cannot be taken, and where it is: the names of fields, from the outside in.
pub type Wrong = (Vec<String>, String);

fn ok() -> u16 {
    200
}

fn plain() -> String {
    "text/plain; charset=utf-8".to_owned()
}

impl Terms {
    /// What has to be paid, where that is expected.
    pub fn expects(&self) -> Price {
        let expect = self.redirect.as_ref().map(|redirect| redirect.expect.clone());
        let expect = expect.unwrap_or_default();
        Price { amount: expect.amount, currency: expect.currency }
    }

    /// The terms of a callback. What cannot be read takes nothing: no method at all.
    pub fn of(callback: &Callback) -> Terms {
        serde_json::from_str(&callback.terms).unwrap_or_else(|error| {
            tracing::error!(callback = %callback.id, %error, "a callback's terms are unreadable");
            Terms { methods: vec![String::new()], ..Terms::default() }
        })
    }

    /// Checks what no type says.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub fn check(&self) -> Result<(), Vec<Wrong>> {
        let mut wrong = Vec::new();
        let mut say = |path: &[&str], what: String| {
            wrong.push((path.iter().map(|part| (*part).to_owned()).collect(), what));
        };
        if !self.methods.iter().all(|one| METHODS.contains(&one.as_str())) {
            say(&["methods"], format!("takes one or more of {}", METHODS.join(", ")));
        }
        if let Some(Err(mistake)) = self.schema.as_ref().map(Schema::compile) {
            say(&["schema"], mistake.to_string());
        }
        for (field, filter) in
            [("successWhen", &self.success_when), ("failureWhen", &self.failure_when)]
        {
            if let Some(Err(mistake)) = filter.as_ref().map(Expression::compile) {
                let place = mistake.place.split('/').skip(1);
                let path: Vec<&str> = [field].into_iter().chain(place).collect();
                say(&path, mistake.to_string());
            }
        }
        if let Some(reply) = &self.acknowledge {
            reply.check(&mut say);
        }
        if let Some(words) = &self.confirm {
            words.check(&mut say);
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }

    /// Whether an answer may come with this method.
    pub fn takes(&self, method: &Method) -> bool {
        match self.methods.as_slice() {
            [] => method == Method::POST,
            methods => methods.iter().any(|one| one == method.as_str()),
        }
    }

    /// Whether a person who opens the URL sees a page with a button.
    pub fn has_page(&self) -> bool {
        self.completer.is_none() && self.takes(&Method::POST) && !self.takes(&Method::GET)
    }
}

impl Acknowledge {
    fn check(&self, say: &mut impl FnMut(&[&str], String)) {
        if !(200..300).contains(&self.status) {
            say(&["acknowledge", "status"], "has to be from 200 to 299".to_owned());
        }
        if self.content_type.len() > 256 || HeaderValue::from_str(&self.content_type).is_err() {
            say(&["acknowledge", "contentType"], "cannot be sent as a header".to_owned());
        }
        if self.body.len() > ACKNOWLEDGEMENT {
            let what = format!("has more than {ACKNOWLEDGEMENT} bytes");
            say(&["acknowledge", "body"], what);
        }
    }
}

impl Confirm {
    fn check(&self, say: &mut impl FnMut(&[&str], String)) {
        let control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
        for (field, text, most) in [
            ("title", &self.title, TITLE),
            ("text", &self.text, TEXT),
            ("accept", &self.accept, BUTTON),
            ("decline", &self.decline, BUTTON),
        ] {
            let Some(text) = text else { continue };
            if text.trim().is_empty() || text.chars().count() > most {
                say(&["confirm", field], format!("it has 1 to {most} characters"));
            } else if text.chars().any(control) {
                say(&["confirm", field], "it may not contain control characters".to_owned());
            }
        }
    }
}

impl Secrets {
    /// Seals them for a callback; none if there are none.
    ///
    /// # Errors
    /// When the cipher fails.
    pub fn seal(
        &self,
        keyring: &Keyring,
        random: [u8; 12],
        place: (Key, Key),
    ) -> Result<Option<Vec<u8>>, ringback_domain::seal::SealError> {
        if self.bearer.is_none() && self.provider.is_empty() && self.redirect.is_empty() {
            return Ok(None);
        }
        let plain = Zeroizing::new(serde_json::to_vec(self).unwrap_or_default());
        keyring.seal(random, &context(place), &plain).map(Some)
    }

    /// Opens those of a callback; none if they cannot be opened.
    pub fn open(keyring: &Keyring, callback: &Callback) -> Option<Secrets> {
        let Some(sealed) = &callback.sealed else { return Some(Secrets::default()) };
        let place = (callback.scope.environment, callback.id.key());
        let plain = keyring.open(&context(place), sealed).ok()?;
        serde_json::from_slice(&plain).ok()
    }

    /// The settings of the completer's provider.
    pub fn settings(&self) -> Settings {
        let mut settings = Settings::new();
        for (name, values) in &self.provider {
            settings.set(name, values.clone());
        }
        settings
    }
}

/// Where they are sealed for: an environment, and a callback in it.
fn context((environment, owner): (Key, Key)) -> Context<'static> {
    Context { environment, owner, purpose: SECRETS }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(json: &str, expect: &[&str]) {
        let terms: Terms = serde_json::from_str(json).unwrap();
        let wrong = terms.check().err().unwrap_or_default();
        let paths: Vec<String> = wrong.iter().map(|(path, _)| path.join(".")).collect();
        assert_eq!(paths, expect, "{json}");
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        check("{}", &[]);
        check(r#"{"methods":["GET","POST"]}"#, &[]);
        check(r#"{"methods":["BREW"]}"#, &["methods"]);
        check(r#"{"schema":{"type":"objekt"},"methods":["HEAD"]}"#, &["methods", "schema"]);
        check(r#"{"successWhen":{"body":{"a":{"$gte":1}}}}"#, &[]);
        check(r#"{"failureWhen":{"body":{"a":{"$gr":1}}}}"#, &["failureWhen.body.a.$gr"]);
        check(r#"{"acknowledge":{"body":"OK"}}"#, &[]);
        check(
            r#"{"acknowledge":{"status":302,"contentType":"a\nb"}}"#,
            &["acknowledge.status", "acknowledge.contentType"],
        );
        check(r#"{"confirm":{"title":"","decline":"No"}}"#, &["confirm.title"]);
        check(r#"{"confirm":{"text":"a\u0000b"}}"#, &["confirm.text"]);
    }

    #[test]
    fn a_page_is_for_those_who_can_answer_with_it() {
        for (json, expect) in [
            ("{}", true),
            (r#"{"methods":["POST","PUT"]}"#, true),
            (r#"{"methods":["GET","POST"]}"#, false),
            (r#"{"methods":["PUT"]}"#, false),
            (r#"{"completer":"bearer"}"#, false),
            (r#"{"completer":{"provider":"github"}}"#, false),
        ] {
            let terms: Terms = serde_json::from_str(json).unwrap();
            assert_eq!(terms.has_page(), expect, "{json}");
        }
    }
}

//! What makes a payload of one version into one of the version below.
//!
//! A conversion is written once and never changed: a better one is another revision. Most say what
//! moves where; what that cannot say, JavaScript can. Running that is for whoever has a sandbox, so
//! it is asked for ([`Scripts`]); everything else is a function of the payload.

use std::{future::Future, sync::Arc};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    operation::{Operation, Written},
    tree::Tree,
};
pub use crate::mistake::Mistake;
use crate::{
    mistake,
    schema::{Schema, Violation},
};

/// The longest conversion, in bytes of JSON without white space.
pub const LENGTH: usize = 96 * 1024;
/// How many steps one may have.
pub const STEPS: usize = 100;
/// How many of them may be JavaScript.
pub const SCRIPTS: usize = 4;
/// The longest description, in bytes.
const DESCRIPTION: usize = 2_000;

/// What a payload loses by a conversion.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Nothing that the older version could say.
    #[default]
    None,
    /// Something is left out or said less precisely.
    Lossy,
    /// It has no meaning in the older version: nothing is sent.
    Suppress,
}

/// A conversion, ready to be used.
#[derive(Clone, Debug, PartialEq)]
pub struct Conversion {
    /// What is lost.
    pub loss: Loss,
    /// For people.
    pub description: String,
    runs: Vec<Run>,
}

/// Steps that are done in one go.
#[derive(Clone, Debug, PartialEq)]
enum Run {
    Operations(Vec<Operation>),
    Script(Arc<str>),
}

/// A conversion as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Program {
    #[serde(default)]
    loss: Loss,
    #[serde(default)]
    description: String,
    #[serde(default)]
    steps: Vec<Value>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Script {
    javascript: String,
}

impl Conversion {
    /// Reads what somebody wrote.
    ///
    /// # Errors
    /// [`Mistake`] says what cannot be, and where it stands.
    pub fn read(value: &Value) -> Result<Conversion, Mistake> {
        if value.to_string().len() > LENGTH {
            return Err(Mistake::at(&[], format!("it is longer than {LENGTH} bytes")));
        }
        let program: Program = mistake::read(value)?;
        let Program { loss, description, steps } = program;
        if description.len() > DESCRIPTION {
            let what = format!("it is longer than {DESCRIPTION} bytes");
            return Err(Mistake::at(&["description"], what));
        }
        if steps.len() > STEPS {
            return Err(Mistake::at(&["steps"], format!("there are at most {STEPS}")));
        }
        if loss == Loss::Suppress && !steps.is_empty() {
            return Err(Mistake::at(&["steps"], "what is suppressed has no steps"));
        }
        let mut runs = Vec::new();
        for (index, step) in steps.iter().enumerate() {
            read_step(step, &mut runs).map_err(|(field, what)| {
                let index = index.to_string();
                Mistake::at(&["steps", &index, field][..if field.is_empty() { 2 } else { 3 }], what)
            })?;
        }
        if runs.iter().filter(|run| matches!(run, Run::Script(_))).count() > SCRIPTS {
            let what = format!("at most {SCRIPTS} of them are JavaScript");
            return Err(Mistake::at(&["steps"], what));
        }
        Ok(Conversion { loss, description, runs })
    }

    /// Its JavaScript, to be checked before it is kept.
    pub fn scripts(&self) -> impl Iterator<Item = &Arc<str>> {
        self.runs.iter().filter_map(|run| match run {
            Run::Script(code) => Some(code),
            Run::Operations(_) => None,
        })
    }
}

fn read_step(step: &Value, runs: &mut Vec<Run>) -> Result<(), (&'static str, String)> {
    if step.get("javascript").is_some() {
        let script: Script =
            serde_json::from_value(step.clone()).map_err(|error| ("", error.to_string()))?;
        runs.push(Run::Script(script.javascript.into()));
        return Ok(());
    }
    let written: Written =
        serde_json::from_value(step.clone()).map_err(|error| ("", error.to_string()))?;
    let operation = Operation::new(written).map_err(|mistake| (mistake.field, mistake.what))?;
    match runs.last_mut() {
        Some(Run::Operations(operations)) => operations.push(operation),
        _ => runs.push(Run::Operations(vec![operation])),
    }
    Ok(())
}

/// Where JavaScript is run.
pub trait Scripts {
    /// Calls `convert(payload)` of a script with a payload and gives back what it returns, both as
    /// JSON texts.
    ///
    /// # Errors
    /// Why there is no result, for people.
    fn run(
        &self,
        script: &Arc<str>,
        payload: String,
    ) -> impl Future<Output = Result<String, String>> + Send;
}

/// One step down: from a version to the one below it.
#[derive(Clone, Debug)]
pub struct Link {
    /// The label of the version that it leads from.
    pub from: Arc<str>,
    /// What is done; nothing where every payload fits the version below as it is.
    pub conversion: Option<(Arc<str>, Arc<Conversion>)>,
}

/// The way from one version down to another.
#[derive(Clone, Debug)]
pub struct Chain {
    /// In the order in which they are gone through.
    pub links: Vec<Link>,
    /// What the result has to fit.
    pub schema: Option<Arc<Schema>>,
}

/// What became of a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Converted {
    /// It fits as it is: the same bytes.
    Same,
    /// Another text.
    Changed(String),
    /// It has no meaning in the older version.
    Suppressed,
}

/// Why a payload could not be converted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It cannot be read.
    #[error("the payload cannot be converted: {0}")]
    Payload(String),
    /// A step cannot be done to it.
    #[error("the conversion from version {from} failed: {what}")]
    Step {
        /// The label of the version that the conversion leads from.
        from: Arc<str>,
        /// What went wrong, with the place.
        what: String,
    },
    /// What came out is not what the older version's schema says.
    #[error("the result does not fit the schema of the version: {0}")]
    Result(Violation),
}

impl Chain {
    /// The revisions that it uses, in their order.
    pub fn revisions(&self) -> Vec<String> {
        let conversions = self.links.iter().filter_map(|link| link.conversion.as_ref());
        conversions.map(|(revision, _)| revision.to_string()).collect()
    }

    /// Converts a payload.
    ///
    /// # Errors
    /// [`Failure`]: nothing may be sent then.
    pub async fn convert(
        &self,
        payload: &[u8],
        scripts: &impl Scripts,
    ) -> Result<Converted, Failure> {
        let suppresses =
            |link: &Link| link.conversion.as_ref().is_some_and(|(_, it)| it.loss == Loss::Suppress);
        if self.links.iter().any(suppresses) {
            return Ok(Converted::Suppressed);
        }
        let mut changed: Option<String> = None;
        for link in &self.links {
            let Some((_, conversion)) = &link.conversion else { continue };
            for run in &conversion.runs {
                let text = changed.as_deref().map_or(payload, str::as_bytes);
                let failed = |what: String| Failure::Step { from: Arc::clone(&link.from), what };
                let next = match run {
                    Run::Operations(operations) => operate(operations, text)?.map_err(failed)?,
                    Run::Script(script) => {
                        let text = String::from_utf8(text.to_vec())
                            .map_err(|error| Failure::Payload(error.to_string()))?;
                        let next = scripts.run(script, text).await;
                        next.map_err(failed)?
                    }
                };
                changed = Some(next);
            }
        }
        if let Some(schema) = &self.schema {
            let text = changed.as_deref().map_or(payload, str::as_bytes);
            schema.check(text).map_err(Failure::Result)?;
        }
        Ok(changed.map_or(Converted::Same, Converted::Changed))
    }
}

fn operate(operations: &[Operation], text: &[u8]) -> Result<Result<String, String>, Failure> {
    let mut tree = Tree::parse(text).map_err(|error| Failure::Payload(error.to_string()))?;
    let done = operations.iter().try_for_each(|operation| operation.apply(&mut tree));
    Ok(done.map(|()| tree.write()).map_err(|failure| failure.to_string()))
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Runs nothing but `upper`, which shouts.
    pub(in crate::contract) struct Shouting;

    impl Scripts for Shouting {
        async fn run(&self, script: &Arc<str>, payload: String) -> Result<String, String> {
            match &**script {
                "upper" => Ok(payload.to_uppercase()),
                _ => Err("it threw".to_owned()),
            }
        }
    }

    /// Nothing in here waits for anything.
    pub(in crate::contract) fn now<T>(future: impl Future<Output = T>) -> T {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        match std::pin::pin!(future).poll(&mut context) {
            std::task::Poll::Ready(ready) => ready,
            std::task::Poll::Pending => panic!("it waits"),
        }
    }

    fn chain(steps: &[Value], schema: Option<Value>) -> Chain {
        let links = steps.iter().enumerate().rev().map(|(index, steps)| {
            let conversion = Conversion::read(&json!({ "steps": steps })).unwrap();
            let revision = format!("r{index}").into();
            Link {
                from: (index + 2).to_string().into(),
                conversion: Some((revision, conversion.into())),
            }
        });
        let schema = schema.map(|schema| Schema::compile(&schema).unwrap().into());
        Chain { links: links.collect(), schema }
    }

    fn convert(steps: Value, payload: &str) -> Result<String, Failure> {
        match now(chain(&[steps], None).convert(payload.as_bytes(), &Shouting))? {
            Converted::Changed(text) => Ok(text),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn operations() {
        for (step, payload, expect) in [
            (
                json!({"op": "rename", "path": "/a", "to": "b"}),
                r#"{"a":1.10,"c":2}"#,
                r#"{"b":1.10,"c":2}"#,
            ),
            (json!({"op": "rename", "path": "/a", "to": "b"}), r#"{"b":1,"a":2}"#, r#"{"b":2}"#),
            (
                json!({"op": "rename", "path": "/x/[*]/a", "to": "b"}),
                r#"{"x":[{"a":1},3,{"a":2}]}"#,
                r#"{"x":[{"b":1},3,{"b":2}]}"#,
            ),
            (json!({"op": "rename", "path": "/a", "to": "b"}), r#"{"c":1e400}"#, r#"{"c":1e400}"#),
            (
                json!({"op": "move", "from": "/a/b", "to": "/c/d"}),
                r#"{"a":{"b":1}}"#,
                r#"{"a":{},"c":{"d":1}}"#,
            ),
            (
                json!({"op": "move", "from": "/x/[*]/a", "to": "/x/[*]/b/c"}),
                r#"{"x":[{"a":1},{}]}"#,
                r#"{"x":[{"b":{"c":1}},{}]}"#,
            ),
            (
                json!({"op": "copy", "from": "/a", "to": "/b"}),
                r#"{"a":[1]}"#,
                r#"{"a":[1],"b":[1]}"#,
            ),
            (
                json!({"op": "copy", "from": "/a/1", "to": "/a/0"}),
                r#"{"a":[1,2]}"#,
                r#"{"a":[2,2]}"#,
            ),
            (json!({"op": "remove", "path": "/a/0"}), r#"{"a":[1,2]}"#, r#"{"a":[2]}"#),
            (
                json!({"op": "remove", "path": "/x/[*]/a"}),
                r#"{"x":[{"a":1},{"b":2}]}"#,
                r#"{"x":[{},{"b":2}]}"#,
            ),
            (
                json!({"op": "set", "path": "/a/b", "value": {"c": 1}}),
                "{}",
                r#"{"a":{"b":{"c":1}}}"#,
            ),
            (
                json!({"op": "set", "path": "/x/[*]/v", "value": null}),
                r#"{"x":[{},{"v":1}]}"#,
                r#"{"x":[{"v":null},{"v":null}]}"#,
            ),
            (
                json!({"op": "map_enum", "path": "/s", "values": {"c": "a"}}),
                r#"{"s":"c"}"#,
                r#"{"s":"a"}"#,
            ),
            (
                json!({"op": "map_enum", "path": "/s", "values": {"c": "a"}}),
                r#"{"s":"b"}"#,
                r#"{"s":"b"}"#,
            ),
            (
                json!({"op": "map_enum", "path": "/s", "values": {}, "default": "z"}),
                r#"{"s":"b"}"#,
                r#"{"s":"z"}"#,
            ),
            (json!({"op": "wrap", "path": "/a", "key": "v"}), r#"{"a":1}"#, r#"{"a":{"v":1}}"#),
            (json!({"op": "wrap", "path": ""}), r#"{"a":1}"#, r#"[{"a":1}]"#),
            (
                json!({"op": "unwrap", "path": "/a", "key": "v"}),
                r#"{"a":{"v":1,"w":2}}"#,
                r#"{"a":1}"#,
            ),
            (json!({"op": "unwrap", "path": "/a"}), r#"{"a":[1]}"#, r#"{"a":1}"#),
            (
                json!({"op": "to_string", "path": "/a"}),
                r#"{"a":12345678901234567890.10}"#,
                r#"{"a":"12345678901234567890.10"}"#,
            ),
            (
                json!({"op": "to_number", "path": "/a/[*]"}),
                r#"{"a":["1.50","-0",3]}"#,
                r#"{"a":[1.50,-0,3]}"#,
            ),
            (
                json!({"op": "rename", "path": "/a~1b/~0", "to": "c"}),
                r#"{"a/b":{"~":1}}"#,
                r#"{"a/b":{"c":1}}"#,
            ),
        ] {
            assert_eq!(convert(json!([step]), payload).as_deref(), Ok(expect), "{step}");
        }
    }

    #[test]
    fn what_cannot_be_done_says_where() {
        let big = format!(r#"{{"a":"{}"}}"#, "x".repeat(600_000));
        let doubling: Vec<Value> = (0..40)
            .map(|at| json!({"op": "copy", "from": "/a", "to": format!("/a/{at}")}))
            .collect();
        let deepening: Vec<Value> = (0..70).map(|_| json!({"op": "wrap", "path": "/a"})).collect();
        for (steps, payload, expect) in [
            (
                json!([{"op": "unwrap", "path": "/a"}]),
                r#"{"a":[1,2]}"#,
                "/a: there is nothing to unwrap",
            ),
            (
                json!([{"op": "to_number", "path": "/x/[*]/a"}]),
                r#"{"x":[{"a":"1x"}]}"#,
                "/x/[*]/a: it is no number",
            ),
            (json!([{"op": "to_string", "path": "/a"}]), r#"{"a":{}}"#, "/a: it is no number"),
            (
                json!([{"op": "set", "path": "/a/b", "value": 1}]),
                r#"{"a":1}"#,
                "/a/b: something on the way is neither object nor array",
            ),
            (
                json!([{"op": "set", "path": "/a/7", "value": 1}]),
                r#"{"a":[1]}"#,
                "/a/7: an array on the way has no such element",
            ),
            (
                json!([{"op": "copy", "from": "/a", "to": "/b"}]),
                &big,
                "it becomes longer than 1048576 bytes",
            ),
            (json!(doubling), r#"{"a":{"b":1}}"#, "it becomes longer than 1048576 bytes"),
            (json!(deepening), r#"{"a":1}"#, "it becomes nested deeper than 64 levels"),
            (json!([{"javascript": "throw"}]), "{}", "it threw"),
        ] {
            let from = "2".into();
            let expect = Failure::Step { from, what: expect.to_owned() };
            assert_eq!(convert(steps.clone(), payload), Err(expect), "{steps}");
        }
        assert!(matches!(
            convert(json!([{"op": "remove", "path": "/a"}]), "text"),
            Err(Failure::Payload(_))
        ));
    }

    #[test]
    fn conversions_are_gone_through_in_their_order() {
        let steps = [
            json!([{"op": "rename", "path": "/b", "to": "a"}]),
            json!([{"op": "rename", "path": "/c", "to": "b"}, {"javascript": "upper"}, {"op": "rename", "path": "/B", "to": "b"}]),
        ];
        let schema = json!({ "required": ["a"], "properties": { "a": { "maximum": 5 } } });
        let chain = chain(&steps, Some(schema));
        assert_eq!(chain.revisions(), ["r1", "r0"]);
        let convert = |payload: &'static str| now(chain.convert(payload.as_bytes(), &Shouting));
        assert_eq!(convert(r#"{"c":1}"#), Ok(Converted::Changed(r#"{"a":1}"#.to_owned())));
        let Err(Failure::Result(violation)) = convert(r#"{"c":6}"#) else { panic!("it fits") };
        assert_eq!(violation.place, "/a");
    }

    #[test]
    fn what_needs_no_conversion_keeps_its_bytes() {
        let payload = b" { \"a\" : 1.0 }";
        let none = Chain { links: vec![Link { from: "2".into(), conversion: None }], schema: None };
        assert_eq!(now(none.convert(payload, &Shouting)), Ok(Converted::Same));
        let suppress = Conversion::read(&json!({ "loss": "suppress" })).unwrap();
        let link = Link { from: "2".into(), conversion: Some(("r".into(), suppress.into())) };
        let chain = Chain { links: vec![link], schema: None };
        assert_eq!(now(chain.convert(payload, &Shouting)), Ok(Converted::Suppressed));
    }

    #[test]
    fn mistakes_are_found_when_it_is_written() {
        let many = vec![json!({"op": "remove", "path": "/a"}); STEPS + 1];
        let scripts = vec![json!({"javascript": "x"}); SCRIPTS + 1];
        for (program, place) in [
            (json!({"steps": [{"op": "remove", "path": "a"}]}), "steps/0/path"),
            (json!({"steps": [{"op": "remove", "path": ""}]}), "steps/0/path"),
            (json!({"steps": [{"op": "remove", "path": "/a/[*]"}]}), "steps/0/path"),
            (json!({"steps": [{"op": "add", "path": "/a"}]}), "steps/0"),
            (json!({"steps": [{"op": "remove", "path": "/a", "also": 1}]}), "steps/0"),
            (json!({"steps": [{"op": "move", "from": "/a", "to": "/a/b"}]}), "steps/0/to"),
            (json!({"steps": [{"op": "copy", "from": "/x/[*]/a", "to": "/a"}]}), "steps/0/to"),
            (json!({"steps": [{"javascript": 1}]}), "steps/0"),
            (json!({"steps": many}), "steps"),
            (json!({"steps": scripts}), "steps"),
            (json!({"loss": "some"}), "loss"),
            (json!({"loss": "suppress", "steps": [{"op": "remove", "path": "/a"}]}), "steps"),
            (json!({"description": "x".repeat(DESCRIPTION + 1)}), "description"),
            (json!({"step": []}), "step"),
            (json!({"description": "x".repeat(LENGTH)}), ""),
        ] {
            let mistake = Conversion::read(&program).unwrap_err();
            assert_eq!(mistake.place().collect::<Vec<_>>().join("/"), place, "{mistake}");
        }
    }

    proptest! {
        /// Renaming there and back is no change, whatever the payload.
        #[test]
        fn renamed_back(keys in prop::collection::btree_set("[a-e]", 0..5), number in "-?[1-9][0-9]{0,40}(\\.[0-9]{1,9})?") {
            let fields: Vec<String> = keys.iter().map(|key| format!("\"{key}\":{number}")).collect();
            let payload = format!("{{{}}}", fields.join(","));
            let steps = json!([
                {"op": "rename", "path": "/a", "to": "zz"}, {"op": "rename", "path": "/zz", "to": "a"},
            ]);
            prop_assert_eq!(convert(steps, &payload), Ok(payload));
        }

        /// Whatever is asked for: it ends, it stays within its limits, and twice it is the same.
        #[test]
        fn bounded_and_the_same_twice(
            steps in prop::collection::vec((0usize..6, "(/(a|b|\\[\\*\\]|0)){0,4}", "(/(a|b|c)){1,3}"), 0..20),
            payload in r#"\{"a":(\[\{"b":1\},\{\}\]|\{"b":\[1,2\]\}|7),"b":("x"|\[\[1\]\])\}"#,
        ) {
            let steps: Vec<Value> = steps.iter().map(|(kind, at, to)| match kind {
                0 => json!({"op": "copy", "from": at, "to": to}),
                1 => json!({"op": "move", "from": at, "to": to}),
                2 => json!({"op": "remove", "path": at}),
                3 => json!({"op": "wrap", "path": at, "key": "a"}),
                4 => json!({"op": "set", "path": at, "value": {"a": [1]}}),
                _ => json!({"op": "rename", "path": at, "to": "a"}),
            }).filter(|step| Conversion::read(&json!({ "steps": [step] })).is_ok()).collect();
            prop_assume!(!steps.is_empty());
            let once = convert(json!(steps), &payload);
            if let Ok(text) = &once {
                prop_assert!(text.len() <= super::super::operation::BYTES + 64);
                prop_assert!(serde_json::from_str::<Value>(text).is_ok());
            }
            prop_assert_eq!(convert(json!(steps), &payload), once);
        }
    }
}

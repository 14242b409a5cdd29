//! How a browser comes back, as the API takes it and as the terms of a callback keep it.

use std::collections::BTreeMap;

use ringback_domain::{
    callback::{
        Callback, State,
        correlate::is_reference,
        redirect::{Expected, Preset, Target, Verifier},
    },
    provider::{MAX_VALUE_LEN, Settings},
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// The longest that a browser is held, in seconds.
const HOLD: u8 = 30;
/// The most ways to become certain, and how long all of them may be, in bytes of JSON.
const VERIFIERS: usize = 5;
const LENGTH: usize = 16 * 1024;
/// The longest amount and currency, in bytes.
const VALUE: usize = 64;

/// How a browser comes back, and where it is sent on to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(as = CallbackRedirect)]
pub struct Options {
    /// Where the browser goes once it is completed: one of the targets that the server lists.
    pub success: String,
    /// Where it goes once it has failed, expired or was canceled.
    pub failure: String,
    /// Where it goes while nothing is certain.
    pub pending: String,
    /// For how many seconds it is held until something is certain, 0 to 30.
    #[serde(default)]
    #[schema(maximum = 30)]
    pub hold: u8,
    /// The gateway that it comes back from, such as `stripe-checkout`: `callbacks/README.md` has all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<String>,
    /// What the gateway or the verifiers need, such as `{"secretKey": "…"}`; sealed, never shown.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub settings: BTreeMap<String, String>,
    /// Ways to become certain, beside or instead of the gateway's own, as its file would have them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    pub verify: Vec<Value>,
    /// What has to be found.
    #[serde(default)]
    pub expect: Expect,
}

/// What has to be found in whatever proves something.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
#[schema(as = CallbackRedirectExpect)]
pub struct Expect {
    /// What the gateway calls it; the callback's own reference if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable, max_length = 256)]
    pub reference: Option<String>,
    /// How much, as the gateway writes it: `1250` or `12.50`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable)]
    pub amount: Option<String>,
    /// In which currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable)]
    pub currency: Option<String>,
}

/// What a callback is verified by.
pub(super) struct Plan {
    pub(super) verifiers: Vec<Verifier>,
    pub(super) settings: Settings,
    pub(super) expected: Expected,
}

impl Options {
    /// Checks what no type says. `reference` and `source` are the callback's.
    pub fn check(
        &self,
        reference: Option<&str>,
        has_source: bool,
        targets: &[Target],
        say: &mut impl FnMut(&[&str], String),
    ) {
        for (field, text) in
            [("success", &self.success), ("failure", &self.failure), ("pending", &self.pending)]
        {
            if let Err(wrong) = Target::of(text, targets) {
                say(&[field], format!("it {wrong}"));
            }
        }
        if self.hold > HOLD {
            say(&["hold"], format!("it is at most {HOLD} seconds"));
        }
        let preset = self.preset.as_deref().map(|id| (id, preset(id)));
        if let Some((id, None)) = &preset {
            let known: Vec<&str> = ringback_builtin::presets().iter().map(|one| one.id).collect();
            let id: String = id.chars().take(40).collect();
            say(&["preset"], format!("there is no `{id}`: there are {}", known.join(", ")));
        }
        let preset = preset.and_then(|(_, preset)| preset);
        let size: usize = self.verify.iter().map(|one| one.to_string().len()).sum();
        if self.verify.len() > VERIFIERS || size > LENGTH {
            say(&["verify"], format!("it has at most {VERIFIERS} parts and {LENGTH} bytes"));
            return;
        }
        let mut verifiers = preset.as_ref().map(|preset| preset.verifiers()).unwrap_or_default();
        for (index, written) in self.verify.iter().enumerate() {
            match serde_json::from_value::<Verifier>(written.clone()) {
                Ok(verifier) => verifiers.push(verifier),
                Err(mistake) => say(&["verify", &index.to_string()], mistake.to_string()),
            }
        }
        if self.preset.is_none() && self.verify.is_empty() {
            say(&["preset"], "without it, or `verify`, nothing would ever be certain".to_owned());
        }
        self.check_settings(preset.as_deref(), &verifiers, say);
        self.check_expected(&verifiers, reference, has_source, say);
    }

    fn check_settings(
        &self,
        preset: Option<&Preset>,
        verifiers: &[Verifier],
        say: &mut impl FnMut(&[&str], String),
    ) {
        for (name, value) in &self.settings {
            let declared = preset.and_then(|preset| preset.setting(name));
            let used = || verifiers.iter().any(|one| one.settings().contains(&name.as_str()));
            match declared {
                Some(setting) => {
                    if let Err(wrong) = setting.check(value) {
                        say(&["settings", name], wrong.to_string());
                    }
                }
                None if !used() => say(&["settings", name], "nothing needs it".to_owned()),
                None if value.is_empty() || value.len() > MAX_VALUE_LEN => {
                    say(&["settings", name], format!("it has 1 to {MAX_VALUE_LEN} bytes"));
                }
                None => {}
            }
        }
        let is_there = |name: &str| {
            self.settings.contains_key(name)
                || preset.is_some_and(|preset| preset.defaults.contains_key(name))
        };
        let mut needed: Vec<&str> = verifiers.iter().flat_map(Verifier::settings).collect();
        needed.sort_unstable();
        needed.dedup();
        for name in needed.into_iter().filter(|name| !is_there(name)) {
            say(&["settings", name], "it is needed".to_owned());
        }
    }

    fn check_expected(
        &self,
        verifiers: &[Verifier],
        reference: Option<&str>,
        has_source: bool,
        say: &mut impl FnMut(&[&str], String),
    ) {
        let Expect { amount, currency, .. } = &self.expect;
        let reference_wanted = self.expect.reference.as_deref().or(reference);
        if self.expect.reference.as_deref().is_some_and(|text| !is_reference(text)) {
            say(
                &["expect", "reference"],
                "it has 1 to 256 bytes, and no control characters".to_owned(),
            );
        }
        for (field, value) in [("amount", amount), ("currency", currency)] {
            if value.as_ref().is_some_and(|text| text.is_empty() || text.len() > VALUE) {
                say(&["expect", field], format!("it has 1 to {VALUE} bytes"));
            }
        }
        let expected = Expected {
            reference: reference_wanted.unwrap_or_default().to_owned(),
            amount: amount.clone(),
            currency: currency.clone(),
        };
        for verifier in verifiers {
            match verifier {
                Verifier::Webhook if !has_source || reference.is_none() => {
                    say(
                        &["verify"],
                        "a webhook needs the callback's `source` and `reference`".to_owned(),
                    );
                }
                Verifier::Webhook => {}
                _ if reference_wanted.is_none() => {
                    let what = "it is needed: what is found is held against it".to_owned();
                    say(&["expect", "reference"], what);
                }
                other => {
                    if let Some(field) = other.blind_to(&expected) {
                        let what = format!("this gateway does not say the {field}: leave it out");
                        say(&["expect", field], what);
                    }
                }
            }
        }
    }

    /// Where a browser goes in this state.
    pub(super) fn target(&self, state: State) -> &str {
        match state {
            State::Pending | State::Returned => &self.pending,
            State::Completed => &self.success,
            State::Failed | State::Expired | State::Canceled => &self.failure,
        }
    }

    /// What the callback is verified by, with the settings that were sealed.
    pub(super) fn plan(&self, callback: &Callback, supplied: &BTreeMap<String, String>) -> Plan {
        let preset = self.preset.as_deref().and_then(preset);
        let mut verifiers = preset.as_ref().map(|preset| preset.verifiers()).unwrap_or_default();
        // They were read when the callback was made.
        verifiers.extend(
            self.verify.iter().filter_map(|written| serde_json::from_value(written.clone()).ok()),
        );
        let settings = match &preset {
            Some(preset) => preset.settings(supplied),
            None => {
                let mut settings = Settings::new();
                for (name, value) in supplied {
                    settings.set(name.clone(), vec![value.clone()]);
                }
                settings
            }
        };
        let Expect { reference, amount, currency } = self.expect.clone();
        // A reference that is nowhere is that of nothing.
        let reference = reference.or_else(|| callback.reference.clone()).unwrap_or_default();
        Plan { verifiers, settings, expected: Expected { reference, amount, currency } }
    }
}

fn preset(id: &str) -> Option<std::sync::Arc<Preset>> {
    ringback_builtin::preset(id)?.parsed()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const PAGE: &str = "https://shop.example.com/done";

    #[track_caller]
    fn check(changed: Value, expect: &[&str]) {
        let mut all = json!({ "success": PAGE, "failure": PAGE, "pending": PAGE });
        all.as_object_mut().unwrap().extend(changed.as_object().unwrap().clone());
        let options: Options = serde_json::from_value(all.clone()).unwrap();
        let mut paths = Vec::new();
        let targets = [Target::parse(PAGE).unwrap()];
        options.check(Some("o-1"), false, &targets, &mut |path, _| paths.push(path.join(".")));
        assert_eq!(paths, expect, "{all}");
    }

    #[test]
    fn what_cannot_be_meant_is_named() {
        let stripe = json!({ "secretKey": "sk_test_made_up" });
        check(json!({ "preset": "stripe-checkout", "settings": stripe }), &[]);
        check(json!({ "preset": "stripe-checkout" }), &["settings.secretKey"]);
        check(json!({ "preset": "strip" }), &["preset"]);
        check(json!({}), &["preset"]);
        check(json!({ "preset": "paypal" }), &["verify"]);
        check(
            json!({ "preset": "stripe-checkout", "settings": stripe, "hold": 31,
                "failure": "//evil.example", "success": "https://evil.example/" }),
            &["success", "failure", "hold"],
        );
        let razorpay = json!({ "keySecret": "made-up" });
        check(json!({ "preset": "razorpay", "settings": razorpay }), &[]);
        check(
            json!({ "preset": "razorpay", "settings": razorpay, "expect": { "amount": "10" } }),
            &["expect.amount"],
        );
        check(
            json!({ "preset": "razorpay", "settings": { "keySecret": "made-up", "other": "x" } }),
            &["settings.other"],
        );
        let lookup = json!({ "lookup": { "url": "https://pay.example.com/{callback.reference}",
            "headers": { "authorization": "Bearer {setting.token}" } },
            "reference": "{json.id}", "complete": { "status": "paid" } });
        check(json!({ "verify": [lookup], "settings": { "token": "made-up" } }), &[]);
        check(json!({ "verify": [lookup] }), &["settings.token"]);
        check(json!({ "verify": [{ "lookup": {} }] }), &["verify.0"]);
        check(json!({ "verify": [{ "webhook": true, "reference": "{json.id}" }] }), &["verify.0"]);
        check(json!({ "verify": [{ "webhook": true }] }), &["verify"]);
    }
}

//! Why a signature does not fit, where that can be proven: by finding what it does fit.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER_PERMISSIVE;

use super::request::Request;
use super::settings::Chosen;
use super::verdict::Reason;
use crate::base64::unbase64;

/// Bodies larger than this are not tried in other forms: nobody should make a refusal dear.
const MAX_BODY: usize = 256 * 1024;

/// Tries the usual accidents one by one; `fits` says whether a request passes.
pub(super) fn why(
    request: &Request<'_>,
    choices: &[Chosen<'_>],
    fits: impl Fn(&Chosen<'_>, &Request<'_>) -> bool,
) -> Reason {
    if request.body.len() <= MAX_BODY {
        for (how, body) in bodies(request.body) {
            let changed = request.with_body(&body);
            if choices.iter().any(|chosen| fits(chosen, &changed)) {
                return Reason::BodyChanged(how);
            }
        }
    }
    for (how, change) in SECRET_FORMS {
        for chosen in choices {
            let values: BTreeMap<String, String> = chosen
                .iter()
                .filter_map(|(name, value)| {
                    Some((name.to_owned(), change(value).filter(|changed| changed != value)?))
                })
                .collect();
            if !values.is_empty() && fits(&chosen.with(&values), request) {
                return Reason::SecretForm(how);
            }
        }
    }
    Reason::SignatureMismatch
}

type Change = fn(&str) -> Option<String>;

/// How a secret is mistaken: what was configured, turned into what the provider may have meant.
const SECRET_FORMS: [(&str, Change); 4] = [
    ("taken without the white space around it", |value| Some(value.trim().to_owned())),
    ("taken without `whsec_`", |value| value.strip_prefix("whsec_").map(str::to_owned)),
    ("decoded from base64", |value| String::from_utf8(unbase64(value.as_bytes())?).ok()),
    ("decoded from hexadecimal", |value| {
        String::from_utf8(HEXLOWER_PERMISSIVE.decode(value.as_bytes()).ok()?).ok()
    }),
];

/// The body as it may have been before something on the way touched it.
fn bodies(body: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let mut forms = vec![
        ("without the white space at its ends", body.trim_ascii().to_vec()),
        ("with a line break at its end", [body, b"\n"].concat()),
    ];
    if let Ok(json) = serde_json::from_slice::<serde_json::Value>(body) {
        if let Ok(compact) = serde_json::to_vec(&json) {
            forms.push(("written as compact json", compact));
        }
        if let Ok(pretty) = serde_json::to_vec_pretty(&json) {
            forms.push(("written as indented json", pretty));
        }
    }
    if body.windows(2).any(|two| two == b"\r\n") {
        let text: Vec<u8> = body
            .iter()
            .enumerate()
            .filter(|(at, byte)| **byte != b'\r' || body.get(at + 1) != Some(&b'\n'))
            .map(|(_, byte)| *byte)
            .collect();
        forms.push(("with line breaks of one character", text));
    }
    forms.retain(|(_, form)| form != body);
    forms
}

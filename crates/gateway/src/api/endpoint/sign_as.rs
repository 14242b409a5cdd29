//! Whether deliveries can be signed as a provider signs: found out when it is asked for.

use ringback_domain::{
    provider::{Provider, Request, Unsignable},
    time::Timestamp,
};

use super::model::Wanted;
use crate::{api::error::Error, receive::Catalog};

/// A secret of the kind that endpoints have, and of their usual length.
const SECRET: &str = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// The same, if its `signAs` can be done.
///
/// # Errors
/// 422 that says why it cannot.
pub(super) fn checked(catalog: &Catalog, wanted: Wanted) -> Result<Wanted, Error> {
    if let Some(Some(id)) = &wanted.sign_as {
        let wrong = |what: String| Error::invalid("body", "signAs", what);
        let provider = catalog.get(id).ok_or_else(|| wrong("there is no such provider".into()))?;
        try_out(&provider).map_err(|error| wrong(error.to_string()))?;
    }
    Ok(wanted)
}

/// Signs what the provider might send.
fn try_out(provider: &Provider) -> Result<(), Unsignable> {
    let settings = provider.settings_of(SECRET)?;
    let sign = |headers: &[(&str, &[u8])], body: &[u8]| {
        let request = Request::new("POST", "https://example.com/", headers, body);
        provider.sign(&request, &settings, "msg_1", Timestamp(0)).map(|_| ())
    };
    let mut tried = sign(&[("content-type", b"application/json")], b"{}");
    for sample in &provider.samples {
        if tried.is_ok() {
            break;
        }
        let names: Vec<_> =
            sample.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        let headers: Vec<_> =
            names.iter().map(|(name, value)| (name.as_str(), value.as_bytes())).collect();
        tried = sign(&headers, sample.body.as_bytes());
    }
    tried
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_signed_is_refused_by_name() {
        let catalog = Catalog::default();
        let check = |id: &str, expect: Result<(), &str>| {
            let tried = try_out(&catalog.get(id).unwrap()).map_err(|error| error.to_string());
            assert_eq!(tried.as_ref().map_err(String::as_str).copied(), expect, "{id}");
        };
        for id in ["stripe", "github", "slack", "standard-webhooks", "shopify"] {
            check(id, Ok(()));
        }
        check("linear", Err("the provider's proof is inside the body"));
        check("paypal", Err("the provider signs with a private key of its own"));
        let able = catalog.all().iter().filter(|one| try_out(one).is_ok()).count();
        assert!(able > 100, "{able}");
    }
}

//! What opens an endpoint that does not let everybody in: credentials that requests carry, a
//! certificate that connections show, and whose certificates are believed there.

mod secret;
mod shown;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

pub use self::{
    secret::Secret,
    shown::{Shown, ShownCertificate, ShownCredentials},
};
use super::Mistake;
use crate::{
    header, mistake,
    oauth::Ask,
    oauth::token::{self, ClientAuth, Grant, TokenQuirks},
    target::{Rules, Target},
};

/// What an access is sealed as: its JSON.
pub const PURPOSE: &str = "endpoint-access";

/// What opens an endpoint. It is stored sealed, as JSON, and the API takes it as that.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Access {
    /// What requests carry.
    #[serde(flatten)]
    pub credentials: Option<Credentials>,
    /// What connections show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ClientCertificate>,
    /// PEM: the only authorities whose certificates are believed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<String>,
}

/// What requests carry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "camelCase")]
pub enum Credentials {
    /// `Authorization: Bearer …` (RFC 6750).
    Bearer(Bearer),
    /// `Authorization: Basic …` (RFC 7617).
    Basic(Basic),
    /// A header of the receiver's choice.
    ApiKey(ApiKey),
    /// A token that is fetched first (RFC 6749, section 4.4).
    Oauth2(Box<Oauth2>),
}

/// A token that stays the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bearer {
    /// It.
    pub token: Secret,
}

/// A user and a password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Basic {
    /// Without a colon.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// A key in a header. There is none in the query: URLs are logged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKey {
    /// Its name.
    pub header: String,
    /// Its value.
    pub value: Secret,
}

/// What gets tokens for a client that acts for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Oauth2 {
    /// Where tokens are given out.
    pub token_url: String,
    /// Who asks.
    pub client_id: String,
    /// What proves it.
    pub client_secret: Secret,
    /// How it is proven.
    #[serde(default)]
    pub auth_method: AuthMethod,
    /// What is asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scopes: Vec<String>,
    /// For whom, where the server wants to know (`audience`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// More fields of the request, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra_params: BTreeMap<String, Secret>,
}

/// How a client proves itself (RFC 6749, section 2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum AuthMethod {
    /// In the header `authorization`.
    #[default]
    ClientSecretBasic,
    /// Among the fields.
    ClientSecretPost,
}

/// A certificate and its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClientCertificate {
    /// PEM: the client's certificate first, then those between it and its authority.
    pub client_certificate: String,
    /// PEM: the key of the first.
    pub client_key: Secret,
}

/// What stands beside the credentials.
#[derive(Deserialize)]
struct Beside {
    tls: Option<ClientCertificate>,
    ca: Option<String>,
}

/// The longest text, and the longest one that is a secret; in bytes.
const LONGEST: usize = 1_024;
const LONGEST_SECRET: usize = header::MAX_VALUE_LEN - "Bearer ".len();
/// The longest PEM text, in bytes.
pub const LONGEST_PEM: usize = 64 * 1_024;
/// The most scopes, and the most extra fields.
const MOST: usize = 50;
/// Fields that say what the request is: nobody adds them.
const RESERVED: [&str; 6] = [
    "grant_type",
    "client_id",
    "client_secret",
    "scope",
    "client_assertion",
    "client_assertion_type",
];

impl Access {
    /// Reads what somebody wants. Whether certificates can be used is not judged here.
    ///
    /// # Errors
    /// [`Mistake`] says what cannot be, and where it stands; it repeats no secret.
    pub fn read(value: &Value, rules: Rules) -> Result<Access, Mistake> {
        let Value::Object(fields) = value else {
            return Err(Mistake::at(&[], "it is an object, or null for none"));
        };
        let (beside, mut fields): (Map<_, _>, Map<_, _>) =
            fields.clone().into_iter().partition(|(name, _)| matches!(&**name, "tls" | "ca"));
        let Beside { tls, ca } = quiet(&Value::Object(beside))?;
        let kind = fields.remove("type");
        let access = Access { credentials: credentials(kind, fields)?, tls, ca };
        access.check(rules)?;
        Ok(access)
    }

    fn check(&self, rules: Rules) -> Result<(), Mistake> {
        if *self == Access::default() {
            return Err(Mistake::at(&[], "it says nothing: null stands for none"));
        }
        if let Some(credentials) = &self.credentials {
            credentials.check(rules)?;
        }
        let pems = [
            (
                &["tls", "clientCertificate"][..],
                self.tls.as_ref().map(|it| &*it.client_certificate),
            ),
            (&["tls", "clientKey"], self.tls.as_ref().map(|it| &*it.client_key)),
            (&["ca"], self.ca.as_deref()),
        ];
        let long = |pem: &Option<&str>| pem.is_some_and(|pem| pem.len() > LONGEST_PEM);
        match pems.iter().find(|(_, pem)| long(pem)) {
            Some((place, _)) => {
                Err(Mistake::at(place, format!("it is longer than {LONGEST_PEM} bytes")))
            }
            None => Ok(()),
        }
    }
}

/// Reads JSON that holds secrets.
fn quiet<T: DeserializeOwned>(value: &Value) -> Result<T, Mistake> {
    mistake::read(value).map_err(Mistake::without_value)
}

fn credentials(
    kind: Option<Value>,
    fields: Map<String, Value>,
) -> Result<Option<Credentials>, Mistake> {
    const KINDS: &str = "it is one of: bearer, basic, apiKey, oauth2";
    let is_empty = fields.is_empty();
    let fields = &Value::Object(fields);
    Ok(Some(match kind.as_ref().map(Value::as_str) {
        Some(Some("bearer")) => Credentials::Bearer(quiet(fields)?),
        Some(Some("basic")) => Credentials::Basic(quiet(fields)?),
        Some(Some("apiKey")) => Credentials::ApiKey(quiet(fields)?),
        Some(Some("oauth2")) => Credentials::Oauth2(Box::new(quiet(fields)?)),
        None if is_empty => return Ok(None),
        _ => return Err(Mistake::at(&["type"], KINDS)),
    }))
}

impl Credentials {
    fn check(&self, rules: Rules) -> Result<(), Mistake> {
        match self {
            Credentials::Bearer(Bearer { token }) => visible("token", token),
            Credentials::Basic(Basic { user, password }) => {
                if user.contains(':') {
                    return Err(Mistake::at(&["user"], "it has a colon, which ends it"));
                }
                let fits = |text: &str| text.len() <= LONGEST && !text.contains(char::is_control);
                let wrong = format!("it is longer than {LONGEST} bytes, or has control characters");
                match [("user", &**user), ("password", password)]
                    .into_iter()
                    .find(|(_, text)| !fits(text))
                {
                    Some((place, _)) => Err(Mistake::at(&[place], wrong)),
                    None => Ok(()),
                }
            }
            Credentials::ApiKey(ApiKey { header, value }) => {
                header::validate(header, "").map_err(|error| Mistake::at(&["header"], error))?;
                let valid = header::validate(header, value);
                valid.map_err(|error| Mistake::at(&["value"], error))?;
                if value.is_empty() {
                    return Err(Mistake::at(&["value"], "it is empty"));
                }
                Ok(())
            }
            Credentials::Oauth2(oauth2) => oauth2.check(rules),
        }
    }
}

impl Oauth2 {
    /// The request for a token.
    pub fn ask(&self) -> Ask {
        let (id, secret) = (&*self.client_id, &*self.client_secret);
        let auth = match self.auth_method {
            AuthMethod::ClientSecretBasic => ClientAuth::Basic { id, secret },
            AuthMethod::ClientSecretPost => ClientAuth::Post { id, secret },
        };
        let scope = (!self.scopes.is_empty()).then(|| self.scopes.join(" "));
        let grant = Grant::ClientCredentials { scope: scope.as_deref() };
        let audience =
            self.audience.iter().map(|audience| ("audience".to_owned(), audience.clone()));
        let extra = self.extra_params.iter().map(|(name, value)| (name.clone(), value.to_string()));
        let quirks =
            TokenQuirks { extra: audience.chain(extra).collect(), ..TokenQuirks::default() };
        token::ask(&self.token_url, &auth, &grant, &quirks)
    }

    fn check(&self, rules: Rules) -> Result<(), Mistake> {
        let target = Target::parse(&self.token_url, rules);
        let target = target.map_err(|error| Mistake::at(&["tokenUrl"], error))?;
        if target.credentials.is_some() {
            let what = "it has a user or a password: they are clientId and clientSecret";
            return Err(Mistake::at(&["tokenUrl"], what));
        }
        visible("clientId", &self.client_id)?;
        if self.client_secret.is_empty() || self.client_secret.len() > LONGEST_SECRET {
            let what = format!("it has 1 to {LONGEST_SECRET} bytes");
            return Err(Mistake::at(&["clientSecret"], what));
        }
        if self.scopes.len() > MOST {
            return Err(Mistake::at(&["scopes"], format!("there are at most {MOST}")));
        }
        for (index, scope) in self.scopes.iter().enumerate() {
            visible("", scope)
                .map_err(|mistake| Mistake::at(&["scopes", &index.to_string()], mistake))?;
        }
        if self.audience.as_ref().is_some_and(|it| it.is_empty() || it.len() > LONGEST) {
            return Err(Mistake::at(&["audience"], format!("it has 1 to {LONGEST} bytes")));
        }
        if self.extra_params.len() > MOST {
            return Err(Mistake::at(&["extraParams"], format!("there are at most {MOST}")));
        }
        for (name, value) in &self.extra_params {
            let wrong = |what: &str| Err(Mistake::at(&["extraParams", name], what));
            if RESERVED.contains(&&**name) {
                return wrong("it has a field of its own, or is not sent");
            }
            if name.is_empty() || name.len() > LONGEST || value.len() > LONGEST_SECRET {
                return wrong("its name is empty, or one of both is too long");
            }
        }
        Ok(())
    }
}

/// Whether a text can stand where a blank would end it.
fn visible(place: &str, text: &str) -> Result<(), Mistake> {
    let place = if place.is_empty() { Vec::new() } else { vec![place] };
    if text.is_empty() || text.len() > LONGEST_SECRET {
        return Err(Mistake::at(&place, format!("it has 1 to {LONGEST_SECRET} bytes")));
    }
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Mistake::at(
            &place,
            "it has a blank, or a character that is not visible ASCII",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! What of an access everybody may see who sees the endpoint.

use data_encoding::BASE64;
use serde::{Deserialize, Serialize};

use super::{Access, AuthMethod, Credentials};
use crate::{
    public_key::der::{self, SEQUENCE},
    time::Timestamp,
};

/// What opens an endpoint, without what is secret of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shown {
    /// What requests carry.
    #[serde(flatten)]
    pub credentials: Option<ShownCredentials>,
    /// The certificate that connections show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<ShownCertificate>,
    /// The authorities whose certificates are believed, if they are its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca: Option<Vec<ShownCertificate>>,
}

/// What requests carry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum ShownCredentials {
    /// A token.
    Bearer {},
    /// A user and a password.
    Basic {
        /// The user.
        user: String,
    },
    /// A header.
    ApiKey {
        /// Its name.
        header: String,
    },
    /// A token that is fetched first.
    Oauth2 {
        /// From where.
        token_url: String,
        /// By whom.
        client_id: String,
        /// How the client proves itself.
        auth_method: AuthMethod,
        /// For what.
        scopes: Vec<String>,
        /// For whom.
        #[serde(skip_serializing_if = "Option::is_none")]
        audience: Option<String>,
        /// Names of the fields that are added.
        extra_params: Vec<String>,
    },
}

/// A certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ShownCertificate {
    /// Whom it names: `O=Example, CN=shop`.
    pub subject: String,
    /// When it ends.
    pub not_after: Timestamp,
}

impl Access {
    /// What of it may be shown.
    pub fn shown(&self) -> Shown {
        let first = |pem: &str| certificates(pem).into_iter().next();
        Shown {
            credentials: self.credentials.as_ref().map(shown),
            tls: self.tls.as_ref().and_then(|tls| first(&tls.client_certificate)),
            ca: self.ca.as_deref().map(certificates),
        }
    }
}

fn shown(credentials: &Credentials) -> ShownCredentials {
    match credentials {
        Credentials::Bearer(_) => ShownCredentials::Bearer {},
        Credentials::Basic(basic) => ShownCredentials::Basic { user: basic.user.clone() },
        Credentials::ApiKey(key) => ShownCredentials::ApiKey { header: key.header.clone() },
        Credentials::Oauth2(oauth2) => ShownCredentials::Oauth2 {
            token_url: oauth2.token_url.clone(),
            client_id: oauth2.client_id.clone(),
            auth_method: oauth2.auth_method,
            scopes: oauth2.scopes.clone(),
            audience: oauth2.audience.clone(),
            extra_params: oauth2.extra_params.keys().cloned().collect(),
        },
    }
}

/// Those among the blocks of a PEM text that can be read.
fn certificates(pem: &str) -> Vec<ShownCertificate> {
    let blocks = pem.split("-----BEGIN CERTIFICATE-----").skip(1);
    let one = |block: &str| {
        let (inside, _) = block.split_once("-----END")?;
        let inside: String = inside.split_ascii_whitespace().collect();
        let bytes = BASE64.decode(inside.as_bytes()).ok()?;
        let certificate = der::certificate(&bytes)?;
        Some(ShownCertificate {
            subject: subject(certificate.subject),
            not_after: Timestamp(certificate.not_after.checked_mul(1_000)?),
        })
    };
    blocks.filter_map(one).collect()
}

/// A distinguished name (RFC 5280, section 4.1.2.4), its parts in the order in which they stand.
fn subject(mut names: &[u8]) -> String {
    const SET: u8 = 0x31;
    const OBJECT: u8 = 0x06;
    let mut parts = Vec::new();
    while let Some((_, set, rest)) = der::read(names, SET) {
        names = rest;
        let part = || {
            let (_, pair, _) = der::read(set, SEQUENCE)?;
            let (_, object, value) = der::read(pair, OBJECT)?;
            let name = match object {
                [0x55, 0x04, 0x03] => "CN",
                [0x55, 0x04, 0x05] => "serialNumber",
                [0x55, 0x04, 0x06] => "C",
                [0x55, 0x04, 0x07] => "L",
                [0x55, 0x04, 0x08] => "ST",
                [0x55, 0x04, 0x0A] => "O",
                [0x55, 0x04, 0x0B] => "OU",
                _ => return None,
            };
            let (_, text, _) = der::read(value, *value.first()?)?;
            let text = String::from_utf8_lossy(text);
            Some(format!("{name}={}", text.replace(char::is_control, " ")))
        };
        parts.extend(part());
    }
    parts.join(", ")
}

//! An application's registration at a provider.

use std::collections::BTreeMap;

use crate::{
    id::{ApplicationId, OauthClientId},
    scope::Scope,
    time::Timestamp,
};

/// A client. Each has a redirect URI of its own, so that what one provider sends for one application
/// is never taken for another's (draft-ietf-oauth-security-topics-update, section 2.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Client {
    /// Ringback's name for it; what comes after the prefix stands in its redirect URI.
    pub id: OauthClientId,
    /// Whose.
    pub scope: Scope,
    /// The application that registered.
    pub application: ApplicationId,
    /// The provider's file: `github`.
    pub provider: String,
    /// For people.
    pub name: String,
    /// What the provider calls it: `client_id`.
    pub client_id: String,
    /// How it proves itself at the token endpoint, if not as the provider's file says:
    /// `client_secret_basic`, `client_secret_post`, `private_key_jwt`, `none`.
    pub auth: Option<String>,
    /// What the provider's file asks for: tenant, shop, issuer …
    pub settings: BTreeMap<String, String>,
    /// Asked for when an authorization names none.
    pub scopes: Vec<String>,
    /// Its secrets as JSON, sealed.
    pub sealed: Option<Vec<u8>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

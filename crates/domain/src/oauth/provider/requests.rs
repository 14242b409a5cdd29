//! The requests of a flow as a file has them, and what their answers say.

use serde_json::{Map, Value};

use super::{Account, AuthMethod, Endpoints, Given, Provider, Said, Unmade, Which, found};
use crate::{
    oauth::{
        Ask,
        request::AuthorizationRequest,
        revoke::{self, Hint},
        token::{self, ClientAuth, TokenError, TokenQuirks, Tokens},
    },
    provider::{Reason, Request, Values},
    time::Timestamp,
};

/// What tokens are asked for with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// A code.
    Code,
    /// A refresh token.
    Refresh,
    /// Anything else: a device's code, the client's own rights.
    Other,
}

/// Who granted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// What the provider knows them by.
    pub id: Option<String>,
    /// What people do.
    pub name: Option<String>,
}

/// What a challenge is of, and an ID token repeats.
#[derive(Clone, Copy, Debug)]
pub struct Proofs<'a> {
    /// [`challenge`](crate::oauth::pkce::challenge) of the verifier.
    pub challenge: &'a str,
    /// The nonce.
    pub nonce: &'a str,
}

impl AuthMethod {
    /// A client that proves itself by this way with its secret; none for a way that takes something
    /// else.
    pub fn with<'a>(self, id: &'a str, secret: Option<&'a str>) -> Option<ClientAuth<'a>> {
        match (self, secret) {
            (AuthMethod::ClientSecretBasic, Some(secret)) => Some(ClientAuth::Basic { id, secret }),
            (AuthMethod::ClientSecretPost, Some(secret)) => Some(ClientAuth::Post { id, secret }),
            (AuthMethod::None, _) => Some(ClientAuth::None { id }),
            _ => None,
        }
    }
}

impl Provider {
    /// The way for clients to prove themselves where none is named.
    pub fn auth(&self) -> AuthMethod {
        self.client.auth.first().copied().unwrap_or(AuthMethod::ClientSecretBasic)
    }

    /// What a person is asked for these scopes, or for those of the file if there are none.
    pub fn request(
        &self,
        endpoints: &Endpoints,
        client_id: &str,
        redirect_uri: &str,
        scopes: &[String],
        state: &str,
        proofs: Proofs<'_>,
    ) -> AuthorizationRequest {
        AuthorizationRequest {
            client_id: client_id.to_owned(),
            redirect_uri: redirect_uri.to_owned(),
            scope: self.scope(endpoints, scopes),
            state: state.to_owned(),
            code_challenge: endpoints.pkce.then(|| proofs.challenge.to_owned()),
            nonce: self.has_id_tokens(scopes).then(|| proofs.nonce.to_owned()),
            response_mode: endpoints.response_mode.clone(),
            extra: endpoints.authorize_params.clone(),
        }
    }

    /// These scopes as one text, or those of the file if there are none.
    pub fn scope(&self, endpoints: &Endpoints, scopes: &[String]) -> String {
        self.scopes(scopes).join(&endpoints.scope_separator)
    }

    /// Whether an ID token comes with these scopes (OpenID Connect Core, section 3.1.2.1).
    pub fn has_id_tokens(&self, scopes: &[String]) -> bool {
        self.protocol == super::Protocol::Openid
            && self.scopes(scopes).iter().any(|it| it == "openid")
    }

    fn scopes<'a>(&'a self, scopes: &'a [String]) -> &'a [String] {
        if scopes.is_empty() { &self.authorize.scopes } else { scopes }
    }

    /// How its token endpoint differs from the standard.
    pub fn quirks(&self, endpoints: &Endpoints, purpose: For) -> TokenQuirks {
        let extra = match purpose {
            For::Code => endpoints.token_params.clone(),
            For::Refresh => endpoints.refresh_params.clone(),
            For::Other => Vec::new(),
        };
        let headers = endpoints.token_headers.clone();
        TokenQuirks { body: self.token.body, extra, headers, ..self.answers() }
    }

    /// How its answers do.
    fn answers(&self) -> TokenQuirks {
        let mut keep = self.token.keep.clone();
        if let Some(Account { from: Said::Token, id, name, .. }) = &self.account {
            keep.extend(std::iter::once(id).chain(name).cloned());
        }
        let (scope, invalid_grant) = (self.token.scope.clone(), self.token.invalid_grant.clone());
        TokenQuirks { keep, scope, invalid_grant, ..TokenQuirks::default() }
    }

    /// Reads what its token endpoint answers.
    ///
    /// # Errors
    /// [`TokenError`]; [`is_over`](Provider::is_over) says whether it ends a grant.
    pub fn tokens(
        &self,
        status: u16,
        content_type: Option<&str>,
        body: &[u8],
    ) -> Result<Tokens, TokenError> {
        let quirks = self.answers();
        let mut read = token::answer(status, content_type, body, &quirks);
        for object in &self.token.within {
            if !matches!(read, Err(TokenError::Unreadable { .. })) {
                break;
            }
            let place = |name: &str| Some(format!("{object}.{name}"));
            let within = TokenQuirks {
                access_token: place("access_token"),
                refresh_token: place("refresh_token"),
                expires_in: place("expires_in"),
                scope: place("scope"),
                ..quirks.clone()
            };
            read = token::answer(status, content_type, body, &within);
        }
        let mut tokens = read?;
        tokens.expires_in = tokens.expires_in.or(self.token.lifetime);
        tokens.extra.retain(|_, value| !value.is_null());
        Ok(tokens)
    }

    /// Whether an answer says that a code or refresh token is no good any more.
    pub fn is_over(&self, error: &TokenError) -> bool {
        error.is_invalid_grant(&self.answers())
    }

    /// The request that ends a grant; none if the provider has none. `given` has the client, the tokens
    /// and what is kept of the connection.
    ///
    /// # Errors
    /// What the request lacks.
    pub fn revocation(
        &self,
        endpoints: &Endpoints,
        auth: &ClientAuth<'_>,
        access: &str,
        refresh: Option<&str>,
        given: &Given,
    ) -> Option<Result<Ask, Unmade>> {
        if let Some(call) = &self.revoke.call {
            return Some(call.ask(&given.clone().tokens(access, refresh)));
        }
        let endpoint = endpoints.revoke.as_ref()?;
        let (token, hint) = match (self.revoke.token, refresh) {
            (Which::Refresh, Some(refresh)) => (refresh, Hint::RefreshToken),
            _ => (access, Hint::AccessToken),
        };
        Some(Ok(revoke::ask(endpoint, auth, token, hint)))
    }

    /// The request that says who granted, if it takes one. `given` as for
    /// [`revocation`](Provider::revocation).
    ///
    /// # Errors
    /// What the request lacks.
    pub fn account_request(
        &self,
        endpoints: &Endpoints,
        access: &str,
        given: &Given,
    ) -> Option<Result<Ask, Unmade>> {
        let account = self.account.as_ref().filter(|account| account.from == Said::Userinfo)?;
        if let Some(call) = &account.call {
            return Some(call.ask(&given.clone().tokens(access, None)));
        }
        let url = endpoints.userinfo.clone()?;
        let ask = Ask { method: "GET", url, headers: Vec::new(), body: Vec::new() };
        let ask = ask.with("accept", "application/json");
        Some(Ok(ask.with("authorization", format!("Bearer {access}"))))
    }

    /// Who granted, by what says so: an answer to [`account_request`](Provider::account_request), the
    /// claims of an ID token, [`Tokens::extra`], or what is kept of the callback.
    pub fn who(&self, said: &Value) -> Who {
        let Some(account) = &self.account else { return Who::default() };
        let name = account.name.as_ref().and_then(|name| found(said, name));
        Who { id: found(said, &account.id), name }
    }

    /// What of that answer is kept.
    pub fn kept_of_account(&self, said: &Value) -> Map<String, Value> {
        let places = self.account.iter().flat_map(|account| &account.keep);
        places
            .filter_map(|place| Some((place.clone(), Value::String(found(said, place)?))))
            .collect()
    }

    /// Whether what the browser brings is signed as the provider signs it. `query` is without `?`, and
    /// `given` has the settings and the client.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn proven(&self, query: &str, given: &Given, now: Timestamp) -> Result<(), Reason> {
        let Some(verify) = &self.callback.verify else { return Ok(()) };
        // The URL that it came to is a secret, and of no meaning to the provider.
        let url = format!("https://callback.invalid/?{query}");
        let request = Request::new("GET", &url, &[], b"");
        given.filling(|values| verify.verify(&Values { request: &request, ..*values }, now))
    }
}

//! A code becomes tokens, and tokens become a connection.

use std::time::Duration;

use ringback_domain::{
    id::ConnectionId,
    oauth::{
        Authorization, Connection,
        authorization::{Flow, Purpose as For},
        connection::{Grant, State},
        jose::{
            self, IdTokenRules, JoseError, VerifyKey, check_id_token, check_jarm, check_userinfo,
        },
        provider::For as What,
        response::Brought,
        ticket::Purpose,
        token::{self, Grant as Asked, Tokens},
    },
    seal::Context,
    time::Timestamp,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

use super::{Oauth, Registration, Trouble, arrive::Kept};

/// How far clocks may be apart.
const LEEWAY: Duration = Duration::from_secs(60);
/// What a provider says of a grant that is over (RFC 6749, section 5.2).
pub(super) const INVALID_GRANT: &str = "invalid_grant";
/// What a connection's tokens are sealed as.
pub(crate) const TOKENS: &str = "connection-tokens";

/// What a provider has given for a code.
pub(super) struct Fetched {
    pub(super) tokens: Tokens,
    /// The claims of the ID token and of the user's info, verified.
    pub(super) claims: Option<Map<String, Value>>,
    /// Who it is, as the provider calls them.
    pub(super) account: Option<String>,
    /// What came with the browser and is to be kept.
    pub(super) extra: Map<String, Value>,
}

/// The tokens of a connection as they are sealed.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Sealed {
    pub(super) access_token: Zeroizing<String>,
    pub(super) token_type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refresh_token: Option<Zeroizing<String>>,
    /// Whether the client gets new ones with nothing but its own credentials.
    #[serde(default)]
    pub(super) is_own: bool,
    /// What the provider said beside: where its API is, for which tenant.
    #[serde(default)]
    pub(super) extra: Map<String, Value>,
}

impl Oauth {
    /// Exchanges a code (RFC 6749, section 4.1.3; RFC 7636, section 4.5).
    pub(super) async fn exchange(
        &self,
        flow: &Authorization,
        registration: &Registration,
        kept: &Kept,
    ) -> Result<Fetched, Trouble> {
        let verifier = self.secret(Purpose::Verifier, flow.id, flow.turn);
        let verifier =
            verifier.ok_or_else(|| Trouble::internal("a flow's key is gone", flow.id))?;
        let redirect_uri = self.redirect_uri(flow.client);
        let asked = Asked::Code {
            code: &kept.code,
            redirect_uri: &redirect_uri,
            verifier: registration.endpoints.pkce.then(|| verifier.as_str()),
        };
        let tokens = self.fetch(registration, &asked, What::Code).await?;
        self.fetched(flow, registration, tokens, &kept.extra).await
    }

    /// Asks the token endpoint.
    pub(super) async fn fetch(
        &self,
        registration: &Registration,
        asked: &Asked<'_>,
        purpose: What,
    ) -> Result<Tokens, Trouble> {
        let Registration { endpoints, provider, .. } = registration;
        let endpoint = match purpose {
            What::Refresh => &endpoints.refresh,
            What::Code | What::Other => &endpoints.token,
        };
        let quirks = provider.quirks(endpoints, purpose);
        let jti = self.jti();
        let proof = registration.proof(&jti, self.now())?;
        let heard = self.ask(token::ask(endpoint, &proof.auth(), asked, &quirks)).await?;
        let answer = provider.tokens(heard.status, heard.content_type.as_deref(), &heard.body);
        answer.map_err(|error| match provider.is_over(&error) {
            true => Trouble::Refused { error: INVALID_GRANT.to_owned(), description: None },
            false => error.into(),
        })
    }

    /// What tokens are worth: who they are for is verified where the provider says it.
    pub(super) async fn fetched(
        &self,
        flow: &Authorization,
        registration: &Registration,
        tokens: Tokens,
        brought: &[(String, String)],
    ) -> Result<Fetched, Trouble> {
        let mut claims = match &tokens.id_token {
            Some(text) => Some(self.id_token(flow, registration, text, &tokens).await?),
            None if flow.purpose == For::Login && registration.is_openid(&flow.scopes) => {
                return Err(Trouble::Unbelievable("it has no ID token".to_owned()));
            }
            None => None,
        };
        let info = self.who(registration, &tokens, claims.as_ref()).await?;
        let account = registration.account(&tokens, claims.as_ref(), info.as_ref(), brought);
        if let (Some(claims), Some(Value::Object(info))) = (&mut claims, &info) {
            for (name, value) in info {
                claims.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        if flow.purpose == For::Login && claims.is_none() {
            claims = info.as_ref().and_then(Value::as_object).cloned();
            if claims.is_none() {
                let what = "the provider does not say who it is: ask for the scope `openid`";
                return Err(Trouble::Misconfigured(what.to_owned()));
            }
        }
        let extra = registration.kept(&tokens, info.as_ref(), brought);
        Ok(Fetched { tokens, claims, account, extra })
    }

    /// The claims of an ID token (OpenID Connect Core, section 3.1.3.7).
    async fn id_token(
        &self,
        flow: &Authorization,
        registration: &Registration,
        text: &str,
        tokens: &Tokens,
    ) -> Result<Map<String, Value>, Trouble> {
        let known = registration.endpoints.issuer.is_some();
        if !known && flow.purpose == For::Connect {
            // A token that nobody can hold against anything is only what it is.
            return Ok(Map::new());
        }
        let verified = self.verified(registration, text).await?;
        let issuer = registration.issuer_of(&verified.claims).ok_or_else(|| {
            Trouble::Misconfigured("there is no issuer to verify ID tokens with".to_owned())
        })?;
        // Who was not asked for an ID token has got no nonce, nor has a flow without a browser.
        let nonce = match flow.flow {
            Flow::Code if registration.is_openid(&flow.scopes) => {
                self.secret(Purpose::Nonce, flow.id, flow.turn)
            }
            Flow::Code | Flow::Device => None,
        };
        let rules = IdTokenRules {
            issuer: &issuer,
            client_id: &registration.client.client_id,
            nonce: nonce.as_ref().map(|nonce| nonce.as_str()),
            access_token: Some(&tokens.access_token),
            max_age: None,
            now: self.now(),
            leeway: LEEWAY,
        };
        check_id_token(&verified, &rules)
            .map_err(|error| Trouble::Unbelievable(format!("its ID token: {error}")))?;
        Ok(verified.claims)
    }

    /// What a token of the provider's says, once its signature is verified.
    pub(super) async fn verified(
        &self,
        registration: &Registration,
        text: &str,
    ) -> Result<jose::Verified, Trouble> {
        let unbelievable = |error: JoseError| Trouble::Unbelievable(format!("its token: {error}"));
        let allowed = registration.algorithms();
        let url = registration.endpoints.jwks.as_deref().ok_or_else(|| {
            Trouble::Misconfigured("the provider has no keys to verify its tokens with".to_owned())
        })?;
        let keys = self.keys(url, None).await?;
        match jose::verify(text, &allowed, &VerifyKey::Set(&keys)) {
            Err(JoseError::UnknownKey { kid }) => {
                let keys = self.keys(url, kid.as_deref().or(Some(""))).await?;
                jose::verify(text, &allowed, &VerifyKey::Set(&keys)).map_err(unbelievable)
            }
            verified => verified.map_err(unbelievable),
        }
    }

    /// What is in a signed authorization response (JARM, section 2.4).
    pub(super) async fn verify_response(
        &self,
        registration: &Registration,
        text: &str,
    ) -> Result<Brought, Trouble> {
        let issuer = registration.endpoints.issuer.as_deref();
        let issuer = issuer.ok_or_else(|| Trouble::Misconfigured("no issuer".to_owned()))?;
        let verified = self.verified(registration, text).await?;
        let client_id = &registration.client.client_id;
        check_jarm(&verified, issuer, client_id, self.now(), LEEWAY)
            .map_err(|error| Trouble::Unbelievable(error.to_string()))
    }

    /// What the provider says of whoever the access token is for.
    async fn who(
        &self,
        registration: &Registration,
        tokens: &Tokens,
        claims: Option<&Map<String, Value>>,
    ) -> Result<Option<Value>, Trouble> {
        let Registration { provider, endpoints, .. } = registration;
        // It is there for those who asked for `openid`, and worth nothing without the ID token's `sub`
        // (OpenID Connect Core, sections 5.3 and 5.3.2).
        if registration.is_standard_userinfo() && claims.is_none() {
            return Ok(None);
        }
        let given = registration.given(&tokens.extra);
        let ask = provider.account_request(endpoints, &tokens.access_token, &given);
        let ask = ask.transpose().map_err(|it| Trouble::Misconfigured(it.to_string()))?;
        let Some(ask) = ask else { return Ok(None) };
        let text = match (self.document_of(ask).await, claims) {
            (Ok(text), _) => text,
            // Who it is is known already.
            (Err(trouble), Some(_)) => {
                tracing::warn!(client = %registration.client.id, %trouble, "no user's info");
                return Ok(None);
            }
            (Err(trouble), None) => return Err(trouble),
        };
        let info: Value = serde_json::from_str(&text)
            .map_err(|_| Trouble::Unbelievable("its user's info is no JSON".to_owned()))?;
        let subject = claims.and_then(|claims| claims.get("sub")).and_then(Value::as_str);
        if let (Some(subject), Value::Object(info)) = (subject, &info)
            && registration.is_standard_userinfo()
        {
            check_userinfo(subject, info)
                .map_err(|error| Trouble::Unbelievable(format!("its user's info: {error}")))?;
        }
        Ok(Some(info))
    }

    /// The connection that a flow makes, or the one that it authorizes anew.
    pub(super) fn connection_of(
        &self,
        flow: &Authorization,
        registration: &Registration,
        fetched: &Fetched,
        now: Timestamp,
    ) -> Result<Connection, Trouble> {
        let random = self.parts().world.entropy.bytes();
        let id = flow.connection.unwrap_or_else(|| ringback_store::mint(now, random, ConnectionId));
        let tokens = &fetched.tokens;
        let sealed = Sealed {
            access_token: tokens.access_token.clone(),
            token_type: tokens.token_type.clone(),
            refresh_token: tokens.refresh_token.clone(),
            is_own: false,
            extra: fetched.extra.clone(),
        };
        let place = (flow.scope.environment, id);
        let asked = registration.scopes(&flow.scopes);
        let grant = self.grant(place, tokens, &sealed, asked, fetched.account.clone(), now)?;
        Ok(Connection {
            id,
            scope: flow.scope,
            application: flow.application,
            client: flow.client,
            provider: registration.client.provider.clone(),
            user_ref: flow.user_ref.clone(),
            state: State::Active,
            reason: None,
            version: 1,
            grant,
            lease: None,
            failures: 0,
            retry_at: None,
            subscriptions: Vec::new(),
            metadata: flow.metadata.clone(),
            created_at: now,
            refreshed_at: now,
        })
    }

    /// What is kept of tokens. A provider that does not say what it granted granted what was asked for
    /// (RFC 6749, section 5.1).
    pub(super) fn grant(
        &self,
        (environment, id): (i64, ConnectionId),
        tokens: &Tokens,
        sealed: &Sealed,
        asked: &[String],
        account: Option<String>,
        now: Timestamp,
    ) -> Result<Grant, Trouble> {
        let place = Context { environment, owner: id.key(), purpose: TOKENS };
        Ok(Grant {
            sealed: self.seal(&place, sealed)?,
            expires_at: tokens.expires_in.map(|seconds| now + Duration::from_secs(seconds)),
            is_refreshable: sealed.refresh_token.is_some() || sealed.is_own,
            scopes: tokens.scope.clone().unwrap_or_else(|| asked.to_vec()),
            account,
        })
    }

    /// The tokens of a connection.
    pub(super) fn open_tokens(&self, connection: &Connection) -> Result<Sealed, Trouble> {
        let environment = connection.scope.environment;
        let place = Context { environment, owner: connection.id.key(), purpose: TOKENS };
        self.open(&place, &connection.grant.sealed)
    }
}

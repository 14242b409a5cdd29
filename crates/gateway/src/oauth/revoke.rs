//! A connection is ended: the provider is told first, and then the tokens are erased, whatever it said.

use ringback_domain::{
    id::{ConnectionId, Key},
    oauth::{
        Connection,
        connection::{Act, State},
        provider::Which,
        revoke::{self, Hint},
    },
};

use super::{Oauth, Registration, Trouble, exchange::Sealed};

/// What the provider was told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told {
    /// It has forgotten the tokens.
    Revoked,
    /// It cannot be told: it has no such endpoint.
    Impossible,
    /// It did not take it: the tokens may be good there for a while.
    Failed,
}

impl Told {
    /// For programs.
    pub fn name(self) -> &'static str {
        match self {
            Told::Revoked => "revoked",
            Told::Impossible => "not_supported",
            Told::Failed => "failed",
        }
    }
}

impl Oauth {
    /// Ends a connection.
    ///
    /// # Errors
    /// If it is not there, or the store is away.
    pub async fn revoke(
        &self,
        environment: Key,
        id: ConnectionId,
    ) -> Result<(Connection, Told), Trouble> {
        // The tokens that it would miss would be good at the provider for ever.
        self.landed(id).await;
        let connection = self.parts().store.connection(environment, id).await?;
        let told = match connection.state {
            State::Revoked => Told::Revoked,
            _ => self.tell_provider(&connection).await.unwrap_or_else(|trouble| {
                tracing::warn!(connection = %id, %trouble, "the provider was not told of the end");
                Told::Failed
            }),
        };
        let act = Act::Revoke { reason: "application".to_owned() };
        let stepped = self.connection_step(&connection, act).await?;
        Ok((stepped.connection, told))
    }

    async fn tell_provider(&self, connection: &Connection) -> Result<Told, Trouble> {
        let sealed = self.open_tokens(connection)?;
        let registration = self.registration_of(connection.client).await?;
        let rules = &registration.provider.revoke;
        if let Some(call) = &rules.call {
            let refresh = sealed.refresh_token.as_deref().map(String::as_str);
            let given = registration.given(&sealed.extra).tokens(&sealed.access_token, refresh);
            let ask = call.ask(&given).map_err(|it| Trouble::Misconfigured(it.to_string()))?;
            let heard = self.ask(ask).await?;
            return Ok(match heard.status {
                // What it does not know is ended.
                200..=299 | 404 | 410 | 422 => Told::Revoked,
                _ => Told::Failed,
            });
        }
        let Some(endpoint) = registration.endpoints.revoke.clone() else {
            return Ok(Told::Impossible);
        };
        self.tell_endpoint(&registration, &endpoint, &sealed).await
    }

    /// RFC 7009: the refresh token, with which everything goes, and the access token for those who do
    /// not see it like that (section 2.1).
    async fn tell_endpoint(
        &self,
        registration: &Registration,
        endpoint: &str,
        sealed: &Sealed,
    ) -> Result<Told, Trouble> {
        let refresh = sealed.refresh_token.as_deref().map(|it| (it.as_str(), Hint::RefreshToken));
        let refresh = refresh.filter(|_| registration.provider.revoke.token == Which::Refresh);
        let access = (sealed.access_token.as_str(), Hint::AccessToken);
        let mut told = Told::Revoked;
        for (token, hint) in refresh.into_iter().chain([access]) {
            let jti = self.jti();
            let proof = registration.proof(&jti, self.now())?;
            let heard = self.ask(revoke::ask(endpoint, &proof.auth(), token, hint)).await?;
            let content_type = heard.content_type.as_deref();
            let answer = revoke::answer(heard.status, content_type, &heard.body);
            if let Err(error) = answer {
                tracing::warn!(?error, "a token was not revoked");
                told = Told::Failed;
            }
        }
        Ok(told)
    }
}

//! A connection that no person was asked for: a client with nothing but its own credentials (RFC 6749,
//! section 4.4).

use ringback_domain::{
    application::Metadata,
    id::ConnectionId,
    oauth::{Client, Connection, connection::State, provider::For as What, token::Grant as Asked},
};

use super::{Oauth, Trouble, exchange::Sealed};

impl Oauth {
    /// A connection with a client's own credentials, which is not kept yet.
    ///
    /// # Errors
    /// Why the provider gives no token.
    pub async fn connect_itself(
        &self,
        id: ConnectionId,
        client: &Client,
        scopes: &[String],
        metadata: Metadata,
    ) -> Result<Connection, Trouble> {
        let registration = self.registration(client.clone()).await?;
        let scopes = registration.scopes(scopes).to_vec();
        let scope = registration.scope(&scopes);
        let scope = Some(scope.as_str()).filter(|scope| !scope.is_empty());
        let asked = Asked::ClientCredentials { scope };
        let tokens = self.fetch(&registration, &asked, What::Other).await?;
        let now = self.now();
        let sealed = Sealed {
            access_token: tokens.access_token.clone(),
            token_type: tokens.token_type.clone(),
            refresh_token: None,
            is_own: true,
            extra: registration.kept(&tokens, None, &[]),
        };
        let place = (client.scope.environment, id);
        let grant = self.grant(place, &tokens, &sealed, &scopes, None, now)?;
        Ok(Connection {
            id,
            scope: client.scope,
            application: client.application,
            client: client.id,
            provider: client.provider.clone(),
            user_ref: String::new(),
            state: State::Active,
            reason: None,
            version: 1,
            grant,
            lease: None,
            failures: 0,
            retry_at: None,
            subscriptions: Vec::new(),
            metadata,
            created_at: now,
            refreshed_at: now,
        })
    }
}

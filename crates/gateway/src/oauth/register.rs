//! A client that registers itself, where the provider lets it (RFC 7591).

use ringback_domain::oauth::{
    Client,
    provider::AuthMethod,
    register::{self, Registration as Wanted},
};
use zeroize::Zeroizing;

use super::{Oauth, Secrets, Trouble};

impl Oauth {
    /// Registers a client that is not kept yet; what the provider calls it and its secret are put into
    /// it.
    ///
    /// # Errors
    /// Why the provider does not take it.
    pub async fn register(
        &self,
        client: &mut Client,
        secrets: &mut Secrets,
        initial_token: Option<&str>,
    ) -> Result<(), Trouble> {
        let registration = self.resolved(client.clone(), secrets.clone()).await?;
        let endpoint = registration.endpoints.register.clone();
        let endpoint =
            endpoint.ok_or(Trouble::NotSupported("registration by clients themselves"))?;
        let key = secrets.key().map_err(Trouble::Misconfigured)?;
        let method = client.auth.clone().unwrap_or_else(|| match &key {
            Some(_) => AuthMethod::PrivateKeyJwt.name().to_owned(),
            None => AuthMethod::ClientSecretBasic.name().to_owned(),
        });
        let grants = ["authorization_code", "refresh_token"];
        let scope = registration.scope(&[]);
        let wanted = Wanted {
            client_name: client.name.clone(),
            redirect_uris: vec![self.redirect_uri(client.id)],
            token_endpoint_auth_method: method.clone(),
            grant_types: grants.map(str::to_owned).to_vec(),
            scope: Some(scope).filter(|scope| !scope.is_empty()),
            jwks: key.iter().map(|key| key.public_jwk()).collect(),
        };
        let heard = self.ask(register::ask(&endpoint, &wanted, initial_token)).await?;
        let content_type = heard.content_type.as_deref();
        let registered = register::answer(&wanted, heard.status, content_type, &heard.body)?;
        client.client_id = registered.client_id;
        client.auth = Some(registered.token_endpoint_auth_method.unwrap_or(method));
        secrets.client_secret = registered.client_secret.map(|it| Zeroizing::new(it.to_string()));
        Ok(())
    }
}

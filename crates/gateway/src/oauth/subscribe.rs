//! A connection registers, and removes, the provider's webhook for a source.

use std::collections::BTreeMap;

use ringback_domain::{
    application::Metadata,
    id::{ConnectionId, Key, SourceId},
    oauth::{
        Connection,
        connection::{Act, Subscription},
        subscribe::{self, NoRequest, Refused, Wanted},
    },
};
use zeroize::Zeroizing;

use super::{Fresh, Oauth, Registration, Trouble};

/// What is to be registered.
pub struct Subscribe<'a> {
    /// The source that is called.
    pub source: SourceId,
    /// Of which provider of webhooks it is.
    pub provider: &'a str,
    /// Its URL.
    pub url: &'a str,
    /// What of the provider's it is about.
    pub target: &'a Metadata,
    /// What it tells; empty for what is usual.
    pub events: &'a [String],
}

/// Why nothing, or not all, was registered.
#[derive(Debug, thiserror::Error)]
pub enum Unsubscribed {
    /// It cannot be asked for.
    #[error(transparent)]
    NoRequest(#[from] NoRequest),
    /// A source of another provider is called.
    #[error("it calls a source of {0}")]
    OtherSource(String),
    /// The provider does not do it.
    #[error(transparent)]
    Refused(#[from] Refused),
    /// There is no such webhook.
    #[error("the subscription does not exist")]
    Unknown,
    /// It cannot be asked.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// Webhooks as they were registered.
pub struct Subscribed {
    /// The connection, with them.
    pub connection: Connection,
    /// The secret that the provider has made for them.
    pub secret: Option<Zeroizing<String>>,
}

impl Oauth {
    /// Whose secret it is that the provider will sign with.
    ///
    /// # Errors
    /// If it has no webhooks about this, or they call another kind of source.
    pub async fn signer(
        &self,
        connection: &Connection,
        wanted: &Subscribe<'_>,
    ) -> Result<(subscribe::Secret, Option<Zeroizing<String>>), Unsubscribed> {
        let registration = self.registration_of(connection.client).await?;
        let subscription = kind_of(&registration, wanted)?;
        Ok((subscription.secret.clone(), registration.client_secret()))
    }

    /// Registers webhooks: one, or one of each event where the provider takes no more at once.
    /// `secret` is the source's, where it is sent along.
    ///
    /// # Errors
    /// What was registered before it went wrong is kept with the connection.
    pub async fn subscribe(
        &self,
        (environment, id): (Key, ConnectionId),
        wanted: &Subscribe<'_>,
        secret: Option<&str>,
    ) -> Result<Subscribed, Unsubscribed> {
        let fresh = self.token(environment, id, false).await?;
        let registration = self.registration_of(fresh.connection.client).await?;
        let subscription = kind_of(&registration, wanted)?;
        let Subscribe { source, url, target, events, .. } = *wanted;
        let given = registration.given(&fresh.extra).tokens(&fresh.access_token, None);
        let asked = Wanted { target, events, url, secret };
        let mut done = Subscribed { connection: fresh.connection, secret: None };
        for one in subscription.create(&given, &asked)? {
            let heard = self.ask(one.ask).await?;
            let registered = subscription.created(heard.status, &heard.body)?;
            let kept = Subscription {
                id: registered.id,
                source,
                target: target.clone(),
                events: one.events,
                created_at: self.now(),
            };
            let stepped = self.connection_step(&done.connection, Act::Subscribed(kept)).await?;
            done.connection = stepped.connection;
            done.secret = registered.secret.or(done.secret);
        }
        Ok(done)
    }

    /// Removes a webhook at the provider. One that is gone there is removed here.
    ///
    /// # Errors
    /// If the provider does not do it: then it is kept.
    pub async fn unsubscribe(
        &self,
        (environment, id): (Key, ConnectionId),
        subscription: &str,
    ) -> Result<Connection, Unsubscribed> {
        let fresh = self.token(environment, id, false).await?;
        let Fresh { connection, access_token, extra, .. } = fresh;
        let mut kept = connection.subscriptions.iter();
        let kept = kept.find(|kept| kept.id == subscription).ok_or(Unsubscribed::Unknown)?;
        let registration = self.registration_of(connection.client).await?;
        let target: &BTreeMap<String, String> = &kept.target;
        let kind = registration.provider.subscription(target)?;
        let given = registration.given(&extra).tokens(&access_token, None);
        let heard = self.ask(kind.delete(&given, target, subscription)?).await?;
        kind.deleted(heard.status)?;
        let act = Act::Unsubscribed { id: subscription.to_owned() };
        Ok(self.connection_step(&connection, act).await?.connection)
    }
}

fn kind_of<'a>(
    registration: &'a Registration,
    wanted: &Subscribe<'_>,
) -> Result<&'a subscribe::Subscription, Unsubscribed> {
    let subscription = registration.provider.subscription(wanted.target)?;
    match subscription.sources.iter().any(|id| id == wanted.provider) {
        true => Ok(subscription),
        false => Err(Unsubscribed::OtherSource(subscription.sources.join(" or "))),
    }
}

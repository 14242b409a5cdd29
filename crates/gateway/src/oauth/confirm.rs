//! The application says who came back; only then the code is exchanged.

use std::time::Duration;

use ringback_domain::{
    id::{AuthorizationId, Key},
    oauth::{
        Authorization, Connection,
        authorization::{Act, Purpose as For, Stage, Verdict},
        ticket::{self, Purpose},
    },
};
use ringback_store::AuthorizationStep;
use serde_json::{Map, Value};

use super::{Oauth, Registration, Trouble, exchange::Fetched};

/// How long an exchange may take: what takes longer was interrupted.
const WITHIN: Duration = Duration::from_secs(60);

/// What came of a flow.
#[derive(Debug)]
pub enum Confirmed {
    /// A connection.
    Connected(Box<Authorization>, Box<Connection>),
    /// It is known who it is: the claims of the ID token, which were verified and are kept nowhere.
    LoggedIn(Box<Authorization>, Map<String, Value>),
}

impl Oauth {
    /// Confirms that the person who came back is the one with this name, and exchanges the code.
    /// `confirmation` is what the browser took along, so that nobody can confirm who only knows the
    /// flow's id.
    ///
    /// # Errors
    /// Why nothing came of it. After [`Trouble::WrongUser`] and whatever the provider said, nothing will.
    pub async fn confirm(
        &self,
        environment: Key,
        id: AuthorizationId,
        user_ref: &str,
        confirmation: &str,
    ) -> Result<Confirmed, Trouble> {
        let flow = self.parts().store.authorization(environment, id, self.now()).await?;
        let keys = &self.parts().keys;
        if !ticket::is_secret(keys, Purpose::Confirmation, id, flow.turn, confirmation) {
            return Err(Trouble::WrongConfirmation);
        }
        // Whoever did not hear the answer asks again.
        if flow.stage == Stage::Completed && flow.user_ref == user_ref {
            return self.connected(flow).await;
        }
        self.confirm_flow(&flow, user_ref).await
    }

    /// What came of a flow that is over. Who it was at a login is said once.
    async fn connected(&self, flow: Authorization) -> Result<Confirmed, Trouble> {
        let Some(id) = flow.connection else { return Err(Trouble::Stage(flow.stage.name())) };
        let connection = self.parts().store.connection(flow.scope.environment, id).await?;
        Ok(Confirmed::Connected(Box::new(flow), Box::new(connection)))
    }

    /// The same for whoever is known to be the one.
    pub(super) async fn confirm_flow(
        &self,
        flow: &Authorization,
        user_ref: &str,
    ) -> Result<Confirmed, Trouble> {
        let act = Act::Confirm { user_ref: user_ref.to_owned(), within: WITHIN };
        let stepped = self.step(flow, act, self.now()).await?;
        match stepped.verdict {
            Verdict::Taken => {}
            Verdict::WrongUser => return Err(Trouble::WrongUser),
            Verdict::Late(Stage::Completed) if stepped.authorization.user_ref == user_ref => {
                return self.connected(stepped.authorization).await;
            }
            _ => return Err(Trouble::Stage(stepped.authorization.stage.name())),
        }
        match self.exchanged(&stepped.authorization).await {
            Ok(confirmed) => Ok(confirmed),
            Err(trouble) => {
                tracing::warn!(authorization = %flow.id, %trouble, "a code was not exchanged");
                let act = Act::Fail { reason: trouble.word() };
                // If this is not written, the flow ends by itself as interrupted.
                let _ = self.step(flow, act, self.now()).await;
                Err(trouble)
            }
        }
    }

    async fn exchanged(&self, flow: &Authorization) -> Result<Confirmed, Trouble> {
        let kept = self.open_kept(flow)?;
        let registration = self.registration_of(flow.client).await?;
        let fetched = self.exchange(flow, &registration, &kept).await?;
        self.complete(flow, &registration, fetched).await
    }

    /// Writes down what came of a flow.
    pub(super) async fn complete(
        &self,
        flow: &Authorization,
        registration: &Registration,
        fetched: Fetched,
    ) -> Result<Confirmed, Trouble> {
        let now = self.now();
        let connection = match flow.purpose {
            For::Login => None,
            For::Connect => Some(self.connection_of(flow, registration, &fetched, now)?),
        };
        let step = AuthorizationStep {
            authorization: flow.id,
            act: Act::Complete { connection: connection.as_ref().map(|it| it.id) },
            connection,
            keeping: self.keeping(now),
            now,
        };
        let stepped = self.parts().store.step_authorization(step).await?;
        self.tell(&stepped.told);
        if stepped.verdict != Verdict::Taken {
            // The tokens came too late, and nobody would look after them.
            return Err(Trouble::Stage(stepped.authorization.stage.name()));
        }
        debug_assert_eq!(stepped.authorization.stage, Stage::Completed);
        let flow = Box::new(stepped.authorization);
        Ok(match stepped.connection {
            Some(connection) => Confirmed::Connected(flow, Box::new(connection)),
            None => Confirmed::LoggedIn(flow, fetched.claims.unwrap_or_default()),
        })
    }
}

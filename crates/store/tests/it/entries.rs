//! No change without its entry in the audit log, shown by taking the log away.

use std::collections::BTreeMap;

use ringback_domain::{
    application::{Application, Metadata},
    id::{ApplicationId, Id, Key},
    scope::Reference,
    time::Timestamp,
};
use ringback_store::{
    Act, Actor, NewApplication, ReadError, Store, Unavailable, WriteError, audit,
};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

/// Tries a change whose entry cannot be written any more: it is not made.
pub(crate) async fn check(store: &dyn Store, environment: Key) {
    let id = ApplicationId(Id { key: 7, shard: 0, nonce: 7 });
    let application = Application {
        id,
        uid: None,
        name: "one".to_owned(),
        metadata: Metadata::default(),
        throttle_rate: None,
        created_at: NOW,
        updated_at: NOW,
    };
    let new = NewApplication { environment, application, answer: None };
    let act = Act {
        environment,
        application: None,
        actor: Actor::Command,
        operation: "application.create".to_owned(),
        resources: BTreeMap::new(),
        request: None,
        address: None,
        at: NOW,
    };
    let refused = audit::scope(async {
        audit::note(act);
        store.create_application(new.clone()).await
    })
    .await;
    let refused = refused.unwrap_err();
    assert!(matches!(refused, WriteError::Unavailable(Unavailable::Failed(_))), "{refused}");
    let missing = store.application(environment, Reference::Id(id.0)).await;
    assert_eq!(missing, Err(ReadError::NotFound("application")));
    // It was only the entry that was in the way.
    store.create_application(new).await.unwrap();
}

//! Who may do what: tokens with what they grant.

use std::sync::Arc;

use ringback_domain::{
    access::{Capabilities, Capability, Grant, Role},
    id::{ApplicationId, Id, TokenId},
    scope::Reference,
};

use super::bench::{Bench, NOW, at, uid};
use crate::*;

/// A token whose hash repeats `number`.
fn token(bench: &Bench<'_>, number: u8, grant: Grant) -> NewToken {
    NewToken {
        id: TokenId(Id { key: i64::from(number), shard: 0, nonce: 7 }),
        environment: bench.environment,
        hash: [number; 32],
        hint: format!("rbt_…{number}"),
        name: String::new(),
        grant,
        session: None,
        created_at: NOW,
        expires_at: None,
        answer: None,
    }
}

async fn application(bench: &Bench<'_>, name: &str) -> ApplicationId {
    bench.application(name).await;
    bench.store.application(bench.environment, uid(name)).await.unwrap().id
}

/// What the token with this number grants.
async fn granted(bench: &Bench<'_>, number: u8) -> Option<Grant> {
    bench.store.token_by_hash([number; 32]).await.unwrap().map(|row| row.grant)
}

pub(super) async fn a_grant_is_kept_with_its_token(mut bench: Bench<'_>) {
    let application = application(&bench, "one").await;
    let flags: Arc<[String]> = Arc::from(["beta".to_owned(), "ü".to_owned()]);
    let portal = Grant {
        role: Role::Portal,
        application: Some(application),
        capabilities: [Capability::ViewBase, Capability::CreateAttempts].into_iter().collect(),
        flags: Some(flags),
    };
    let confined =
        |role| Grant { role, application: Some(application), ..Grant::default() };
    let everywhere = |role| Grant { role, ..Grant::default() };
    let grants = [
        everywhere(Role::Admin),
        everywhere(Role::Send),
        everywhere(Role::Read),
        confined(Role::Send),
        confined(Role::Application),
        portal,
        Grant { capabilities: Capabilities::all(), ..confined(Role::Portal) },
    ];
    for (number, grant) in (1..).zip(&grants) {
        bench.store.create_token(token(&bench, number, grant.clone())).await.unwrap();
    }
    bench.reopen().await;
    for (number, grant) in (1..).zip(&grants) {
        assert_eq!(granted(&bench, number).await.as_ref(), Some(grant));
    }
    let listed = bench.store.tokens().await.unwrap();
    let listed: Vec<_> = listed.into_iter().map(|row| row.grant).collect();
    let expect: Vec<_> = grants[..5].iter().rev().cloned().collect();
    assert_eq!(listed, expect, "portals' are left out");
}

pub(super) async fn a_confined_token_ends_with_its_application(bench: Bench<'_>) {
    let one = application(&bench, "one").await;
    let grant = |application| Grant {
        role: Role::Application,
        application: Some(application),
        ..Grant::default()
    };
    bench.store.create_token(token(&bench, 1, grant(one))).await.unwrap();
    assert_eq!(granted(&bench, 1).await, Some(grant(one)));

    let missing = Err(WriteError::NotFound("application"));
    let nobody = ApplicationId(Id { key: 5, shard: 0, nonce: 5 });
    assert_eq!(bench.store.create_token(token(&bench, 2, grant(nobody))).await, missing);
    let environment = bench.other_environment().await;
    let foreign = NewToken { environment, ..token(&bench, 3, grant(one)) };
    assert_eq!(bench.store.create_token(foreign).await, missing);

    let reference = Reference::Id(one.0);
    bench.store.delete_application(bench.environment, reference, at(1)).await.unwrap();
    assert_eq!(granted(&bench, 1).await, None);
    assert_eq!(bench.store.tokens().await.unwrap().len(), 1, "it is still listed");
}

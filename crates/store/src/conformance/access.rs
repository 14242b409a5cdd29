//! Who may do what: tokens with what they grant.

use std::sync::Arc;

use ringback_domain::{
    access::{Capabilities, Capability, Grant, Role},
    id::{ApplicationId, EnvironmentId, Id, TokenId},
    scope::Reference,
    time::Timestamp,
};

use super::bench::{Bench, NOW, at, everything, uid, words};
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

pub(super) async fn event_types_with_a_flag_are_for_those_who_have_it(bench: Bench<'_>) {
    for (name, flag) in [("a", None), ("b", Some("beta")), ("c", Some("gamma"))] {
        let mut new = bench.new_event_type(name);
        new.event_type.feature_flag = flag.map(str::to_owned);
        bench.store.create_event_type(new).await.unwrap();
    }
    let names = async |flags: Option<&[&str]>| {
        let query = EventTypeQuery {
            limit: 9,
            from: Position::Start,
            order: Order::Ascending,
            include_archived: false,
            flags: flags.map(words),
        };
        let listed = bench.store.event_types(bench.environment, query).await.unwrap();
        listed.items.into_iter().map(|item| item.name).collect::<String>()
    };
    assert_eq!(names(None).await, "abc");
    assert_eq!(names(Some(&[])).await, "a");
    assert_eq!(names(Some(&["beta"])).await, "ab");
    assert_eq!(names(Some(&["other", "gamma", "beta"])).await, "abc");
}

pub(super) async fn sessions_end_by_application_and_by_name(bench: Bench<'_>) {
    let one = application(&bench, "one").await;
    let two = application(&bench, "two").await;
    let make = async |number: u8, role, application, session: Option<&str>, end: u64| {
        let grant = Grant { role, application: Some(application), ..Grant::default() };
        let session = session.map(str::to_owned);
        let expires_at = Some(at(end));
        let new = NewToken { session, expires_at, ..token(&bench, number, grant) };
        bench.store.create_token(new).await.unwrap();
    };
    make(1, Role::Portal, one, Some("mine"), 100).await;
    make(2, Role::Portal, one, None, 100).await;
    make(3, Role::Portal, one, Some("mine"), 5).await;
    make(4, Role::Portal, two, Some("mine"), 100).await;
    make(5, Role::Application, one, None, 100).await;
    let ends = async || {
        let mut ends = Vec::new();
        for number in 1..=5 {
            let row = bench.store.token_by_hash([number; 32]).await.unwrap();
            ends.push(row.and_then(|row| row.expires_at));
        }
        ends
    };
    let expect = |ends: [u64; 5]| ends.map(|end| Some(at(end)));
    let expire = async |application: ApplicationId, sessions: Option<&[&str]>, end, limit| {
        let expire = ExpireSessions {
            environment: bench.environment,
            application: application.key(),
            sessions: sessions.map(words),
            at: at(end),
            limit,
        };
        bench.store.expire_sessions(expire).await.unwrap()
    };
    assert!(!expire(one, Some(&["other"]), 9, 10).await);
    assert_eq!(ends().await, expect([100, 100, 5, 100, 100]));
    assert!(!expire(one, Some(&["other", "mine"]), 9, 10).await);
    assert_eq!(ends().await, expect([9, 100, 5, 100, 100]), "it never ends later than it did");
    assert!(expire(one, None, 7, 1).await, "one at a time: there may be more");
    assert!(expire(one, None, 7, 1).await);
    assert!(!expire(one, None, 7, 1).await);
    assert_eq!(ends().await, expect([7, 7, 5, 100, 100]), "no other application, no other role");

    while bench.store.sweep(at(50)).await.unwrap() {}
    let left: Vec<_> = ends().await.iter().map(Option::is_some).collect();
    assert_eq!(left, [false, false, false, true, true], "what ended is swept");
}

pub(super) async fn environments_are_created_once_and_listed(mut bench: Bench<'_>) {
    let environment = |number: i64, name: &str| Environment {
        id: EnvironmentId(Id { key: Id::first_key_at(at(1)) + number, shard: 0, nonce: 0 }),
        name: name.to_owned(),
        created_at: at(1),
    };
    let create = async |bench: &Bench<'_>, environment: Environment| {
        bench.store.create_environment(NewEnvironment { environment, answer: None }).await
    };
    let made = create(&bench, environment(1, "eu")).await.unwrap();
    assert_eq!(made, environment(1, "eu"));
    let taken = create(&bench, environment(2, "eu")).await;
    assert!(matches!(taken, Err(WriteError::Conflict(_))), "{taken:?}");
    let taken = create(&bench, environment(1, "us")).await;
    assert!(matches!(taken, Err(WriteError::Conflict(_))), "{taken:?}");

    bench.reopen().await;
    assert_eq!(bench.store.environment("eu".to_owned(), at(2)).await, Ok(made.id.key()));
    let listed = bench.store.environments(everything(Order::Ascending)).await.unwrap();
    let names: Vec<_> = listed.items.iter().map(|item| item.name.as_str()).collect();
    assert_eq!((names, listed.done), (vec!["production", "eu"], true));
    assert_eq!(listed.items[1], made);
    let hidden = Reference::Uid(ringback_domain::application::OPERATIONAL_UID.to_owned());
    assert!(bench.store.application(made.id.key(), hidden).await.is_ok());
    let made_by: Timestamp = listed.items[0].created_at;
    assert_eq!(made_by, NOW);
}

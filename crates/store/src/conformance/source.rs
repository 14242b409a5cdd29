//! Sources: whoever calls is found by a token, and a source and its application are one.

use ringback_domain::{
    application::{Application, Metadata},
    endpoint::State,
    id::{Key, SourceId},
    scope::{Reference, Scope},
    source::{Fate, Source},
    time::Timestamp,
};

use super::{
    bench::{Bench, NOW, at, everything, uid},
    request::{all, arrived, refused},
};
use crate::*;

/// The reference of a source by its id.
pub(super) fn named(source: &Source) -> Reference {
    Reference::Id(source.id.0)
}

/// The scope of a source's application.
pub(super) fn scope_of(bench: &Bench<'_>, source: &Source) -> Scope {
    Scope { environment: bench.environment, application: source.application.key() }
}

/// A hash that no other number has.
pub(super) fn hash(number: u8) -> [u8; 32] {
    [number; 32]
}

pub(super) async fn sources_are_kept(mut bench: Bench<'_>) {
    let mut new = bench.new_source("one");
    new.source.settings = Some(b"sealed settings".to_vec());
    new.source.armed_until = Some(at(60));
    new.source.metadata = [("team".to_owned(), "große \"Firma\"".to_owned())].into();
    let (hash, application) = (new.token_hash, new.application.clone());
    let created = bench.store.create_source(new.clone()).await.unwrap();
    assert_eq!(created, new.source);
    bench.reopen().await;
    for name in [uid("one"), named(&created)] {
        assert_eq!(bench.store.source(bench.environment, name).await.as_ref(), Ok(&created));
    }
    let other = bench.source("two").await;
    let page = everything(Order::Descending);
    let listed = bench.store.sources(bench.environment, page.clone()).await.unwrap();
    let mut expect = vec![other.clone(), created.clone()];
    expect.sort_unstable_by_key(|source| std::cmp::Reverse(source.id));
    assert_eq!(listed.items, expect);
    let first = Page { limit: 1, ..page };
    let listed = bench.store.sources(bench.environment, first.clone()).await.unwrap();
    assert_eq!((&*listed.items, listed.done), (&expect[..1], false));
    let second = Page { from: Position::After(expect[0].id.0), ..first };
    let listed = bench.store.sources(bench.environment, second).await.unwrap();
    assert_eq!((&*listed.items, listed.done), (&expect[1..], true));

    // Its application is one like any other.
    let page = everything(Order::Ascending);
    let applications = bench.store.applications(bench.environment, page).await.unwrap().items;
    assert!(applications.contains(&application), "{applications:?}");
    let found = bench.store.source_by_token(hash, NOW).await.unwrap();
    assert_eq!(found, Some((bench.environment, created)));
    assert_eq!(bench.store.source_by_token([99; 32], NOW).await, Ok(None));
}

pub(super) async fn source_names_are_unique(bench: Bench<'_>) {
    let first = bench.source("one").await;
    let second = bench.source("two").await;
    let create = |new: NewSource| bench.store.create_source(new);
    let conflict = |what| Err(WriteError::Conflict(what));
    assert_eq!(create(bench.new_source("one")).await.map(drop), conflict("source uid"));
    let mut new = bench.new_source("three");
    new.source.id.0.key = first.id.key();
    assert_eq!(create(new).await.map(drop), conflict("source id"));
    let mut new = bench.new_source("three");
    new.application.id.0.key = first.application.key();
    new.source.application = new.application.id;
    assert_eq!(create(new).await.map(drop), conflict("application id"));
    let taken = bench.application("taken").await;
    let mut new = bench.new_source("three");
    new.application.uid = Some("taken".to_owned());
    assert_eq!(create(new).await.map(drop), conflict("application uid"));
    let nowhere = NewSource { environment: 1, ..bench.new_source("three") };
    assert_eq!(create(nowhere).await.map(drop), Err(WriteError::NotFound("environment")));

    // What was refused has left nothing behind.
    let page = || everything(Order::Ascending);
    let applications = bench.store.applications(bench.environment, page()).await.unwrap().items;
    let mut keys: Vec<Key> = applications.iter().map(|one| one.id.key()).collect();
    let mut expect = [first.application.key(), second.application.key(), taken.application];
    keys.sort_unstable();
    expect.sort_unstable();
    assert_eq!(keys, expect);

    let rename = |uid: &str| {
        let change = SourceChange { uid: Some(Some(uid.to_owned())), ..SourceChange::default() };
        bench.store.change_source(bench.environment, named(&second), change, NOW)
    };
    assert_eq!(rename("one").await.map(drop), conflict("source uid"));
    assert!(rename("two").await.is_ok(), "one's own name is no conflict");
    let environment = bench.other_environment().await;
    let elsewhere = NewSource { environment, ..bench.new_source("one") };
    assert!(create(elsewhere).await.is_ok(), "another environment has names of its own");
}

pub(super) async fn a_source_changes_as_it_was_said(mut bench: Bench<'_>) {
    let created = bench.source("one").await;
    let change = |change, seconds| {
        bench.store.change_source(bench.environment, named(&created), change, at(seconds))
    };
    let nothing = change(SourceChange::default(), 5).await.unwrap();
    assert_eq!(nothing, Source { updated_at: at(5), ..created.clone() });
    let everything = SourceChange {
        uid: Some(None),
        name: Some("Renamed".to_owned()),
        provider: Some("stripe".to_owned()),
        config: Some("{\"enforce\":false}".to_owned()),
        settings: Some(SettingsChange { expected: None, sealed: Some(vec![7]) }),
        armed_until: Some(Some(at(60))),
        metadata: Some([("a".to_owned(), "b".to_owned())].into()),
    };
    let changed = change(everything, 9).await.unwrap();
    let expect = Source {
        uid: None,
        name: "Renamed".to_owned(),
        provider: "stripe".to_owned(),
        config: "{\"enforce\":false}".to_owned(),
        settings: Some(vec![7]),
        armed_until: Some(at(60)),
        metadata: [("a".to_owned(), "b".to_owned())].into(),
        updated_at: at(9),
        ..created.clone()
    };
    assert_eq!(changed, expect);
    let application = Reference::Id(created.application.0);
    let application = bench.store.application(bench.environment, application).await.unwrap();
    assert_eq!((&*application.name, application.updated_at), ("Renamed", at(9)));
    bench.reopen().await;
    let read = |name| bench.store.source(bench.environment, name);
    assert_eq!(read(named(&created)).await, Ok(expect));
    assert_eq!(read(uid("one")).await, Err(ReadError::NotFound("source")));
    let missing =
        bench.store.change_source(bench.environment, uid("one"), SourceChange::default(), NOW);
    assert_eq!(missing.await, Err(WriteError::NotFound("source")));
}

/// Of those who read the same settings and learn something, only the first writes.
pub(super) async fn settings_change_only_from_what_was_expected(bench: Bench<'_>) {
    let source = bench.source("one").await;
    let change = |expected: Option<&[u8]>, sealed: Option<&[u8]>| {
        let settings = SettingsChange {
            expected: expected.map(<[u8]>::to_vec),
            sealed: sealed.map(<[u8]>::to_vec),
        };
        let name = Some("Renamed".to_owned());
        let change = SourceChange { settings: Some(settings), name, ..SourceChange::default() };
        bench.store.change_source(bench.environment, named(&source), change, NOW)
    };
    let conflict = Err(WriteError::Conflict("settings"));
    assert_eq!(change(Some(b"other"), Some(b"new")).await.map(drop), conflict);
    let read = bench.store.source(bench.environment, named(&source)).await.unwrap();
    assert_eq!(read, source, "nothing else is changed either");
    change(None, Some(b"first")).await.unwrap();
    assert_eq!(change(None, Some(b"second")).await.map(drop), conflict);
    let changed = change(Some(b"first"), None).await.unwrap();
    assert_eq!(changed.settings, None);
}

pub(super) async fn a_deleted_source_takes_its_application_along(bench: Bench<'_>) {
    let new = bench.new_source("one");
    let hash = new.token_hash;
    let source = bench.store.create_source(new).await.unwrap();
    let kept = bench.source("two").await;
    let endpoint = bench.endpoint(scope_of(&bench, &source)).await;
    bench.append_one(arrived(&bench, &source)).await.unwrap();
    let delete = || bench.store.delete_source(bench.environment, uid("one"), NOW);
    assert_eq!(delete().await, Ok(vec![endpoint.id.key()]));
    assert_eq!(delete().await, Err(WriteError::NotFound("source")));
    is_gone(&bench, &source, hash).await;
    let lane = bench.store.lane(endpoint.id.key()).await.unwrap().unwrap();
    assert_eq!(lane.endpoint.state, State::Deleted);
    let page = everything(Order::Ascending);
    assert_eq!(bench.store.sources(bench.environment, page).await.unwrap().items, [kept]);
    bench.source("one").await;
}

/// Whoever deletes the application deletes what only leads to it.
pub(super) async fn a_deleted_application_takes_its_source_along(bench: Bench<'_>) {
    let new = bench.new_source("one");
    let hash = new.token_hash;
    let source = bench.store.create_source(new).await.unwrap();
    let application = Reference::Id(source.application.0);
    bench.store.delete_application(bench.environment, application, NOW).await.unwrap();
    is_gone(&bench, &source, hash).await;
    bench.source("one").await;
}

/// Checks that a source with this token is not there any more, in any way.
async fn is_gone(bench: &Bench<'_>, source: &Source, hash: [u8; 32]) {
    let store = &bench.store;
    let missing = || ReadError::NotFound("source");
    for name in [named(source), uid("one")] {
        assert_eq!(store.source(bench.environment, name.clone()).await, Err(missing()));
        let requests = store.requests(bench.environment, name, all()).await;
        assert_eq!(requests, Err(missing()));
    }
    assert_eq!(store.source_by_token(hash, NOW).await, Ok(None));
    let application = Reference::Id(source.application.0);
    let application = store.application(bench.environment, application).await;
    assert_eq!(application, Err(ReadError::NotFound("application")));
    let appended = bench.append_one(arrived(bench, source)).await;
    assert_eq!(appended, Err(AppendError::NoApplication));
    let logged = store.log_request(refused(bench, source, Fate::Unverified)).await;
    assert_eq!(logged, Err(WriteError::NotFound("source")));
}

pub(super) async fn source_tokens_rotate(mut bench: Bench<'_>) {
    let new = bench.new_source("one");
    let first = new.token_hash;
    let source = bench.store.create_source(new).await.unwrap();
    let rotate = |number: u8, now: Timestamp, old_until| RotateSourceToken {
        environment: bench.environment,
        source: uid("one"),
        hash: hash(number),
        sealed: vec![number],
        old_until,
        now,
        answer: None,
    };
    let (second, third) = (rotate(201, at(10), at(100)), rotate(202, at(20), at(200)));
    let rotated = bench.store.rotate_source_token(second.clone()).await.unwrap();
    assert_eq!(rotated, Source { token: vec![201], updated_at: at(10), ..source.clone() });
    // A token that somebody else has is not given out twice.
    let taken = RotateSourceToken { hash: first, ..third.clone() };
    let taken = bench.store.rotate_source_token(taken).await;
    assert_eq!(taken, Err(WriteError::Conflict("source token")));
    bench.store.rotate_source_token(third).await.unwrap();
    let foreign = RotateSourceToken { source: uid("two"), ..second };
    let foreign = bench.store.rotate_source_token(foreign).await;
    assert_eq!(foreign, Err(WriteError::NotFound("source")));
    bench.reopen().await;
    // The first one's end came nearer, and never moves away again.
    for (hash, holds, over) in [(first, 99, 100), (hash(201), 199, 200)] {
        let found = bench.store.source_by_token(hash, at(holds)).await.unwrap();
        assert_eq!(found.map(|(environment, found)| (environment, found.id)), {
            Some((bench.environment, source.id))
        });
        assert_eq!(bench.store.source_by_token(hash, at(over)).await, Ok(None));
    }
    let found = bench.store.source_by_token(hash(202), at(1_000_000)).await.unwrap().unwrap();
    assert_eq!(found.1.token, vec![202]);
}

pub(super) async fn source_tokens_are_limited(bench: Bench<'_>) {
    bench.source("one").await;
    let rotate = |number: usize, now: Timestamp| {
        bench.store.rotate_source_token(RotateSourceToken {
            environment: bench.environment,
            source: uid("one"),
            hash: hash(200 + number as u8),
            sealed: vec![],
            old_until: now + std::time::Duration::from_secs(60),
            now,
            answer: None,
        })
    };
    for number in 1..SOURCE_TOKENS {
        rotate(number, NOW).await.unwrap();
    }
    let refused = rotate(SOURCE_TOKENS, NOW).await;
    assert_eq!(refused, Err(WriteError::Limit("source tokens")));
    // What was refused has not shortened the others' time.
    assert!(bench.store.source_by_token(hash(201), at(59)).await.unwrap().is_some());
    rotate(SOURCE_TOKENS, at(60)).await.unwrap();
}

pub(super) async fn an_answer_is_kept_with_the_source(bench: Bench<'_>) {
    let claim = bench.claim("key", "body");
    let answer = || Some(Answer { claim, status: 201, body: b"made".to_vec() });
    let new = NewSource { answer: answer(), ..bench.new_source("one") };
    bench.store.create_source(new).await.unwrap();
    let claimed = bench.store.claimed(claim, NOW).await.unwrap().unwrap();
    assert_eq!((claimed.status, claimed.body), (201, b"made".to_vec()));
    // Who comes second has done nothing.
    let twin = NewSource { answer: answer(), ..bench.new_source("two") };
    let repeated = Err(WriteError::Repeated(Repeated));
    assert_eq!(bench.store.create_source(twin).await.map(drop), repeated);
    let gone = bench.store.source(bench.environment, uid("two")).await;
    assert_eq!(gone, Err(ReadError::NotFound("source")));
    let rotate = RotateSourceToken {
        environment: bench.environment,
        source: uid("one"),
        hash: hash(250),
        sealed: vec![],
        old_until: NOW,
        now: NOW,
        answer: answer(),
    };
    assert_eq!(bench.store.rotate_source_token(rotate).await.map(drop), repeated);
    assert_eq!(bench.store.source_by_token(hash(250), NOW).await, Ok(None));
}

impl Bench<'_> {
    /// A source with a token and an application of its own.
    pub(super) fn new_source(&self, uid: &str) -> NewSource {
        let NewApplication { environment, application, .. } = self.new_application(uid);
        let application = Application { uid: None, ..application };
        let source = Source {
            id: SourceId(application.id.0),
            uid: Some(uid.to_owned()),
            name: application.name.clone(),
            provider: "github".to_owned(),
            application: application.id,
            config: "{}".to_owned(),
            settings: None,
            token: b"sealed token".to_vec(),
            armed_until: None,
            metadata: Metadata::default(),
            created_at: NOW,
            updated_at: NOW,
        };
        let mut token_hash = [0; 32];
        token_hash[..8].copy_from_slice(&self.number().to_be_bytes());
        NewSource { environment, source, application, token_hash, answer: None }
    }

    /// Creates a source.
    pub(super) async fn source(&self, uid: &str) -> Source {
        self.store.create_source(self.new_source(uid)).await.unwrap()
    }
}

//! What is resealed, and what is not.

use ringback_domain::{
    application::{Application, Metadata},
    id::{ApplicationId, Id, Key, OauthClientId},
    oauth::Client,
    scope::Scope,
    time::Timestamp,
};
use ringback_store::NewApplication;
use tokio::runtime::Handle;

use super::*;
use crate::{config::Config, keyring, telemetry::metrics::Metrics, wiring};

const KIND: SealedKind = SealedKind::OauthClient;

fn id(key: Key) -> Id {
    Id { key, shard: 0, nonce: 7 }
}

/// A store in this directory with two clients whose secrets are sealed, and its keys.
async fn rotation(directory: &Path) -> Rotation {
    let world = wiring::world(&[], Handle::current()).unwrap();
    let store = wiring::store(&Config::default(), directory, &Metrics::new()).unwrap();
    let settings = Config::default().secrets;
    let (keyring, file) = keyring::load(&settings, directory, &*world.entropy).unwrap();
    keyring::check(&keyring, &*store, &*world.entropy).await.unwrap();
    let now = Timestamp(1_800_000_000_000);
    let environment = store.environment("default".to_owned(), now).await.unwrap();
    let application = Application {
        id: ApplicationId(id(7)),
        uid: None,
        name: "made up".to_owned(),
        metadata: Metadata::default(),
        throttle_rate: None,
        created_at: now,
        updated_at: now,
    };
    let new = NewApplication { environment, application, answer: None };
    store.create_application(new).await.unwrap();
    for owner in [1, 2] {
        let place = Context { environment, owner, purpose: "oauth-client" };
        let sealed = keyring.seal(world.entropy.bytes(), &place, b"made-up").unwrap();
        let client = Client {
            id: OauthClientId(id(owner)),
            scope: Scope { environment, application: 7 },
            application: ApplicationId(id(7)),
            provider: "made-up".to_owned(),
            name: String::new(),
            client_id: "made-up".to_owned(),
            auth: None,
            settings: [].into(),
            scopes: Vec::new(),
            sealed: Some(sealed),
            created_at: now,
            updated_at: now,
        };
        store.create_oauth_client(client, None).await.unwrap();
    }
    Rotation::new(Arc::new(keyring), store, world, file)
}

impl Rotation {
    /// Gives each of the two clients the secrets of the other.
    async fn swap(&self) {
        let store = &self.0.store;
        let walk =
            SealedWalk { kind: KIND, after: SealedPlace::START, limit: 9, bytes: usize::MAX };
        let both = store.sealed_values(walk).await.unwrap();
        let moved = |to: usize, from: usize| Resealed {
            place: both[to].place,
            before: both[to].value.clone(),
            after: both[from].value.clone(),
        };
        let swapped = store.reseal(KIND, vec![moved(0, 1), moved(1, 0)]).await.unwrap();
        assert_eq!(swapped, 2);
    }

    async fn values(&self) -> Vec<u64> {
        self.list().await.unwrap().iter().map(|key| key.values).collect()
    }
}

/// A rotation does not bless what somebody has moved: it opens only where it belongs.
#[tokio::test]
async fn what_was_moved_is_not_sealed_anew() {
    let directory = tempfile::tempdir().unwrap();
    let rotation = rotation(directory.path()).await;
    assert_eq!(rotation.values().await, [3], "two secrets and the canary");
    rotation.swap().await;
    rotation.rotate().await.unwrap();
    assert_eq!(rotation.reseal().await, Ok(0), "the canary was sealed anew before");
    assert_eq!(rotation.values().await, [1, 2]);
    rotation.swap().await;
    assert_eq!(rotation.reseal().await, Ok(2));
    assert_eq!(rotation.values().await, [3, 0]);
    assert_eq!(rotation.reseal().await, Ok(0), "nothing is done twice");
}

/// Between the file and the first seal, and between two of them: whenever the process ends, the next
/// one has the keys for what is there.
#[tokio::test]
async fn the_file_is_first() {
    let directory = tempfile::tempdir().unwrap();
    let rotation = rotation(directory.path()).await;
    rotation.rotate().await.unwrap();
    let world = wiring::world(&[], Handle::current()).unwrap();
    let settings = Config::default().secrets;
    let (next, _) = keyring::load(&settings, directory.path(), &*world.entropy).unwrap();
    assert_eq!(next.ids(), rotation.0.keyring.ids());
    keyring::check(&next, &*rotation.0.store, &*world.entropy).await.unwrap();
    // Somebody has put another key to the front, which this process does not know.
    let file = directory.path().join("master.key");
    let own = std::fs::read_to_string(&file).unwrap();
    let other = MasterKey::new([7; 32]).to_text();
    std::fs::write(&file, format!("# made up\n\n{}\n{own}", &*other)).unwrap();
    assert!(matches!(rotation.rotate().await, Err(Refusal::Changed(_))));
    assert!(matches!(rotation.retire().await, Err(Refusal::Changed(_))));
    std::fs::write(&file, "# nothing\n").unwrap();
    assert!(matches!(rotation.rotate().await, Err(Refusal::Key(Error::Key { .. }))));
}

#[tokio::test(start_paused = true)]
async fn an_old_key_goes_when_nothing_needs_it() {
    let directory = tempfile::tempdir().unwrap();
    let rotation = rotation(directory.path()).await;
    assert!(matches!(rotation.retire().await, Err(Refusal::Nothing)));
    rotation.rotate().await.unwrap();
    assert!(matches!(rotation.retire().await, Err(Refusal::TooEarly)));
    tokio::time::advance(SETTLED).await;
    let needed = rotation.retire().await;
    assert!(matches!(needed, Err(Refusal::Needed { values: 2, answers: 0, .. })), "{needed:?}");
    rotation.reseal().await.unwrap();
    assert_eq!(rotation.retire().await.unwrap().len(), 1);
    assert_eq!(rotation.values().await, [3]);
    assert_eq!(rotation.0.keyring.ids().len(), 2, "what is remembered still opens");
}

//! Quotas: what is set for applications, and what they are held against.

use ringback_domain::{
    quota::Quota,
    scope::{Reference, Scope},
};

use super::bench::{Bench, NOW, at, reference, uid};
use crate::*;

fn some(endpoints: u64) -> Quota {
    Quota { endpoints: Some(endpoints), pending: Some(0), ..Quota::default() }
}

pub(super) async fn quotas_are_kept(mut bench: Bench<'_>) {
    let environment = bench.environment;
    let (one, two) = (bench.application("one").await, bench.application("two").await);
    let get = async |bench: &Bench<'_>, name: &str| bench.store.quota(environment, uid(name)).await;
    assert_eq!(get(&bench, "one").await, Ok((one, Quota::default())));
    assert_eq!(bench.store.set_quota(environment, uid("one"), some(5)).await, Ok(one));
    assert_eq!(bench.store.set_quota(environment, uid("two"), some(7)).await, Ok(two));
    // A change of the application leaves its quota alone.
    let change = ApplicationChange { name: Some("other".to_owned()), ..Default::default() };
    bench.store.change_application(environment, uid("one"), change, NOW).await.unwrap();
    bench.reopen().await;
    assert_eq!(get(&bench, "one").await, Ok((one, some(5))));
    assert_eq!(bench.store.quotas(0, 9).await, Ok(vec![(one, some(5)), (two, some(7))]));
    assert_eq!(bench.store.quotas(0, 1).await, Ok(vec![(one, some(5))]));
    assert_eq!(bench.store.quotas(one.application, 9).await, Ok(vec![(two, some(7))]));
    bench.store.set_quota(environment, uid("one"), Quota::default()).await.unwrap();
    bench.store.delete_application(environment, uid("two"), NOW).await.unwrap();
    assert_eq!(get(&bench, "one").await, Ok((one, Quota::default())));
    assert_eq!(bench.store.quotas(0, 9).await, Ok(vec![]));
}

pub(super) async fn a_quota_needs_its_application(bench: Bench<'_>) {
    bench.application("one").await;
    let other = bench.other_environment().await;
    let hidden = uid(ringback_domain::application::OPERATIONAL_UID);
    let set = async |environment, application| {
        bench.store.set_quota(environment, application, some(1)).await
    };
    let missing = Err(WriteError::NotFound("application"));
    assert_eq!(set(other, uid("one")).await, missing);
    assert_eq!(set(bench.environment, uid("two")).await, missing);
    assert_eq!(set(bench.environment, hidden).await, missing, "operational messages always pass");
    let got = bench.store.quota(other, uid("one")).await;
    assert_eq!(got, Err(ReadError::NotFound("application")));
    assert_eq!(bench.store.quotas(0, 9).await, Ok(vec![]));
}

pub(super) async fn endpoints_are_limited(bench: Bench<'_>) {
    let scope = bench.application("one").await;
    let create = async |most| {
        let new = NewEndpoint { most, ..bench.new_endpoint(scope) };
        bench.store.create_endpoint(new).await
    };
    let first = create(Some(2)).await.unwrap();
    create(Some(2)).await.unwrap();
    let full = WriteError::Limit("endpoints");
    assert_eq!(create(Some(2)).await.unwrap_err(), full);
    bench.store.delete_endpoint(scope, reference(&first), NOW).await.unwrap();
    create(Some(2)).await.unwrap();
    assert_eq!(create(Some(2)).await.unwrap_err(), full);
    create(None).await.unwrap();
}

pub(super) async fn pending_deliveries_are_counted(bench: Bench<'_>) {
    let (one, two) = (bench.application("one").await, bench.application("two").await);
    let pending = async |scope: Scope, most| bench.store.pending(scope, most).await.unwrap();
    assert_eq!(pending(one, 9).await, 0);
    let endpoint = bench.endpoint(one).await;
    bench.endpoint(one).await;
    bench.endpoint(two).await;
    for _ in 0..3 {
        bench.send(one, bench.message()).await;
    }
    bench.send(two, bench.message()).await;
    assert_eq!((pending(one, 9).await, pending(one, 4).await), (6, 4));
    assert_eq!(pending(two, 9).await, 1);
    // What is tried again later is still pending, what is settled is not.
    let due = bench.due_all(&endpoint, at(1)).await;
    bench.record(bench.attempt(&due[0], 200)).await;
    bench.record(bench.retry(&due[1], at(60))).await;
    assert_eq!(pending(one, 9).await, 5);
    let foreign = Scope { environment: bench.other_environment().await, ..one };
    assert_eq!(pending(foreign, 9).await, 0);
    let reference = Reference::Id(endpoint.id.0);
    bench.store.delete_endpoint(one, reference, NOW).await.unwrap();
    assert_eq!(pending(one, 9).await, 3);
}

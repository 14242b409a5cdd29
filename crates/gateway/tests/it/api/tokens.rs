//! Tokens: who gets in, and for how long.

use std::time::Duration;

use http::Method;

use super::Bench;

#[tokio::test]
async fn only_a_valid_bearer_token_opens() {
    let bench = Bench::new().await;
    let token = bench.token.clone();
    let cut = token[..token.len() - 1].to_owned();
    for (name, value, status) in [
        ("authorization", format!("Bearer {token}"), 200),
        ("authorization", format!("bearer {token}"), 200),
        ("authorization", format!("Bearer {cut}"), 401),
        ("authorization", "Bearer made-up".to_owned(), 401),
        ("authorization", format!("Basic {token}"), 401),
        ("authorization", token.clone(), 401),
        ("cookie", format!("token={token}; session={token}"), 401),
        ("x-api-key", token.clone(), 401),
    ] {
        let request = bench.request(Method::GET, "/api/v1/app").header(name, &value);
        let answer = bench.send(request.body("".into()).unwrap()).await;
        assert_eq!(answer.status, status, "{name}: {value}");
        if status == 401 {
            answer.error(401, "authentication_failed");
        }
    }
}

#[tokio::test]
async fn a_revocation_counts_within_five_seconds_and_here_at_once() {
    let bench = Bench::new().await;
    let status = async |token: &str| {
        bench.call_as(token, Method::GET, "/api/v1/app", "").await.status.as_u16()
    };
    let (elsewhere, token) = bench.token_of("default").await;
    assert_eq!(status(&token).await, 200);
    bench.store.revoke_token(elsewhere, ringback_domain::time::Timestamp(1)).await.unwrap();
    bench.clock.advance(Duration::from_secs(5));
    assert_eq!(status(&token).await, 401);

    let (here, token) = bench.token_of("default").await;
    assert_eq!(status(&token).await, 200);
    bench.store.revoke_token(here, ringback_domain::time::Timestamp(1)).await.unwrap();
    bench.auth.forget();
    assert_eq!(status(&token).await, 401);
}

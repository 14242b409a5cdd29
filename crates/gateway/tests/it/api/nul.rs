//! A NUL names nothing, on either store: PostgreSQL takes none in a text, SQLite does.

use http::Method;
use serde_json::json;

use super::document::{filled, operations};
use crate::support::{Server, Settings};

/// A NUL in a path is a name that nothing has; in a query it is wrong.
#[tokio::test(flavor = "multi_thread")]
async fn a_nul_is_never_the_stores_problem() {
    let server = Server::start(Settings::default());
    server.post("/api/v1/app", json!({"name": "n", "uid": "a"})).await;
    let (_, document) = server.call(Method::GET, "/api/v1/openapi.json", None).await;
    for (method, path, operation) in operations(&document) {
        for value in ["%00", "a%00", "%00a"] {
            let everywhere = filled(&path, |_| value.to_owned());
            let below = |name: &str| if name == "app_id" { "a" } else { value }.to_owned();
            for path in [everywhere, filled(&path, below)] {
                if !path.contains("%00") {
                    continue;
                }
                let body = (method != Method::GET).then(|| json!({}));
                let (status, answer) = server.call(method.clone(), &path, body).await;
                assert_eq!(status, 404, "{method} {path}: {answer}");
            }
        }
        let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
        for parameter in parameters.iter().filter(|one| one["in"] == "query") {
            let name = parameter["name"].as_str().unwrap();
            let path = filled(&path, |_| "a".to_owned());
            let path = format!("{path}?{name}=a%00");
            let (status, answer) = server.call(method.clone(), &path, Some(json!({}))).await;
            // What the path names is looked for first.
            assert!([404, 422].contains(&status), "{method} {path}: {status} {answer}");
        }
    }
}

//! Event types from an OpenAPI document.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::Bench;

const IMPORT: &str = "/api/v1/event-type/import/openapi";

/// A document with these webhooks.
fn document(names: &[&str]) -> Value {
    let hook = |name: &&str| {
        let schema = json!({"$ref": "#/components/schemas/pet"});
        let body = json!({"content": {"application/json": {"schema": schema}}});
        (name.to_string(), json!({"post": {"description": "A pet", "requestBody": body}}))
    };
    let hooks: serde_json::Map<String, Value> = names.iter().map(hook).collect();
    let schemas = json!({"pet": {"type": "object"}});
    json!({"openapi": "3.1.0", "webhooks": hooks, "components": {"schemas": schemas}})
}

/// The names in the catalogue, and whether each is archived.
async fn catalogue(bench: &Bench) -> Vec<(String, bool)> {
    let list = bench.get("/api/v1/event-type?include_archived=true").await.expect(200);
    let item = |item: &Value| {
        (item["name"].as_str().unwrap().to_owned(), item["archived"].as_bool().unwrap())
    };
    list["data"].as_array().unwrap().iter().map(item).collect()
}

fn named(name: &str, archived: bool) -> (String, bool) {
    (name.to_owned(), archived)
}

#[tokio::test]
async fn a_document_becomes_event_types() {
    let bench = Bench::new().await;
    bench.post("/api/v1/event-type", json!({"name": "other", "description": ""})).await.expect(201);
    let old = json!({"name": "pet.new", "description": "old", "groupName": "old"});
    let old = bench.post("/api/v1/event-type", old).await.expect(201);
    bench.delete("/api/v1/event-type/pet.new").await.expect(204);
    bench.clock.advance(Duration::from_secs(60));

    let spec = document(&["pet.new", "pet/gone"]);
    let schema = json!({"$ref": "#/$defs/pet", "$defs": {"pet": {"type": "object"}}});
    let dry = json!({"spec": spec, "dryRun": true, "replaceAll": true});
    let dry = bench.post(IMPORT, dry).await.expect(200);
    assert_eq!(dry["data"]["modified"], json!([]));
    let would = &dry["data"]["to_modify"];
    assert_eq!((&would[0]["name"], &would[1]["name"]), (&json!("pet.new"), &json!("pet/gone")));
    assert_eq!(would[0]["schemas"], json!({"1": schema}));
    assert_eq!(catalogue(&bench).await, [named("other", false), named("pet.new", true)]);

    let done = bench.post(IMPORT, json!({"spec": spec})).await.expect(200);
    assert_eq!(done, json!({"data": {"modified": ["pet.new", "pet/gone"]}}));
    let all = [named("other", false), named("pet.new", false), named("pet/gone", false)];
    assert_eq!(catalogue(&bench).await, all);
    let new = bench.get("/api/v1/event-type/pet.new").await.expect(200);
    assert_eq!((&new["description"], &new["groupName"]), (&json!("A pet"), &Value::Null));
    assert_eq!((&new["schemas"], &new["createdAt"]), (&json!({"1": schema}), &old["createdAt"]));

    bench.clock.advance(Duration::from_secs(60));
    let less = json!({"specRaw": document(&["pet.new"]).to_string(), "replaceAll": true});
    bench.post(IMPORT, less).await.expect(200);
    let left = [named("other", true), named("pet.new", false), named("pet/gone", true)];
    assert_eq!(catalogue(&bench).await, left);
    // It was like that already.
    assert_eq!(bench.get("/api/v1/event-type/pet.new").await.expect(200), new);
}

#[tokio::test]
async fn yaml_is_read_as_well() {
    let bench = Bench::new().await;
    let yaml = "\
openapi: 3.1.0
webhooks:
  pet.new:
    post:
      summary: A pet came
      requestBody:
        content:
          application/json:
            schema: {type: object, properties: {id: {type: integer}}}
      responses:
        200: {description: fine}
";
    let done = bench.post(IMPORT, json!({"specRaw": yaml})).await.expect(200);
    assert_eq!(done["data"]["modified"], json!(["pet.new"]));
    let made = bench.get("/api/v1/event-type/pet.new").await.expect(200);
    assert_eq!(made["description"], "A pet came");
    assert_eq!(made["schemas"]["1"]["properties"], json!({"id": {"type": "integer"}}));
}

#[tokio::test]
async fn nothing_is_imported_from_what_is_wrong() {
    let bench = Bench::new().await;
    let fine = document(&["fine"]);
    for body in [json!({}), json!({"spec": fine, "specRaw": fine.to_string()})] {
        bench.post(IMPORT, body).await.error(400, "one_spec_needed");
    }
    for (body, loc) in [
        (json!({"spec": document(&["fine", "not fine"])}), "body.spec.webhooks.not fine"),
        (json!({"spec": {"openapi": "3.1.0"}}), "body.spec"),
        (json!({"specRaw": "{"}), "body.specRaw"),
        (json!({"specRaw": "no: webhooks"}), "body.specRaw"),
        (json!({"spec": fine, "dryRun": "yes"}), "body.dryRun"),
    ] {
        bench.post(IMPORT, body).await.invalid(loc);
    }
    assert_eq!(catalogue(&bench).await, []);
}

#[tokio::test]
async fn a_repeated_import_is_answered_alike() {
    let bench = Bench::new().await;
    let import = async || {
        let request = bench.request(Method::POST, IMPORT);
        let request = request.header("authorization", format!("Bearer {}", bench.token));
        let request = request.header("idempotency-key", "made-up-key");
        let body = json!({"spec": document(&["a"])}).to_string();
        bench.send(request.body(body.into()).unwrap()).await
    };
    let first = import().await.expect(200);
    bench.delete("/api/v1/event-type/a").await.expect(204);
    assert_eq!(import().await.expect(200), first);
    assert_eq!(catalogue(&bench).await, [named("a", true)]);
}

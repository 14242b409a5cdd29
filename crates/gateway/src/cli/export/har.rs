//! [HAR 1.2](http://www.softwareishard.com/blog/har-12-spec/): an entry for each attempt. Of a request
//! the archive has what the message came with; what an endpoint adds (its signature, its own headers)
//! is not recorded.

use serde_json::{Map, Value, json};

use super::Exported;
use crate::cli::Failure;
use crate::cli::replay::request_of;

pub(super) fn archive(exported: &[Exported]) -> Result<Value, Failure> {
    let mut entries = Vec::new();
    for one in exported {
        match one.attempts.as_slice() {
            [] => entries.push(entry(one, None)?),
            attempts => {
                for attempt in attempts {
                    entries.push(entry(one, Some(attempt))?);
                }
            }
        }
    }
    let creator = json!({ "name": "ringback", "version": env!("CARGO_PKG_VERSION") });
    Ok(json!({ "log": { "version": "1.2", "creator": creator, "entries": entries } }))
}

/// One attempt, or a message that was sent to nobody.
fn entry(one: &Exported, attempt: Option<&Value>) -> Result<Value, Failure> {
    let none = Value::Null;
    let attempt = attempt.unwrap_or(&none);
    let request = request_of(&one.content, None)?;
    let url = attempt["url"].as_str().unwrap_or("https://localhost/");
    let headers = pairs(request.headers.iter().map(|(name, value)| (name.clone(), value.clone())));
    let kind = request.headers.get("content-type").cloned().unwrap_or_default();
    let size = request.bytes().map_or(0, |bytes| bytes.len());
    let mut posted: Map<String, Value> = Map::new();
    posted.insert("mimeType".to_owned(), kind.into());
    match &request.body_base64 {
        // HAR has no encoding for requests; browsers and this program write it like that.
        Some(encoded) => {
            posted.insert("text".to_owned(), encoded.as_str().into());
            posted.insert("_encoding".to_owned(), "base64".into());
        }
        None => {
            posted.insert("text".to_owned(), request.body.as_str().into());
        }
    }
    let phase = |name: &str| attempt["phases"][name].as_f64().unwrap_or(0.0);
    let time = attempt["responseDurationMs"].as_f64().unwrap_or(0.0);
    let answer = attempt["response"].as_str().unwrap_or_default();
    let started = attempt["timestamp"].as_str().or(one.content["timestamp"].as_str());
    Ok(json!({
        "startedDateTime": started,
        "time": time,
        "request": {
            "method": request.method, "url": url, "httpVersion": "HTTP/1.1",
            "cookies": [], "headers": headers, "queryString": query(url),
            "postData": posted, "headersSize": -1, "bodySize": size,
        },
        "response": {
            "status": attempt["responseStatusCode"].as_u64().unwrap_or(0),
            "statusText": attempt["reason"].as_str().unwrap_or_default(),
            "httpVersion": "HTTP/1.1", "cookies": [], "headers": [], "redirectURL": "",
            "content": { "size": answer.len(), "mimeType": "", "text": answer },
            "headersSize": -1, "bodySize": -1,
        },
        "cache": {},
        "timings": {
            "dns": phase("dnsMs"), "connect": phase("connectMs") + phase("tlsMs"),
            "ssl": phase("tlsMs"), "send": 0, "wait": phase("firstByteMs"),
            "receive": phase("bodyMs"),
        },
        "comment": one.content["id"],
    }))
}

fn pairs(pairs: impl Iterator<Item = (String, String)>) -> Vec<Value> {
    pairs.map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

fn query(url: &str) -> Vec<Value> {
    let url = url::Url::parse(url).ok();
    let query = url.iter().flat_map(|url| url.query_pairs());
    pairs(query.map(|(name, value)| (name.into_owned(), value.into_owned())))
}

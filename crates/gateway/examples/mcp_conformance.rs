//! The tools, resources and prompts that `@modelcontextprotocol/conformance` wants a server to have,
//! served through Ringback's own doors of the protocol.
//!
//! Ringback itself has none of them: this shows what `ringback mcp` speaks, not what it offers. It is
//! run by `cargo xtask test --only mcp`, prints where it listens, and ends with its standard input.

#![allow(
    deprecated,
    reason = "the conformance suite tries what later versions of the protocol leave out, too"
)]
#![allow(clippy::print_stdout, reason = "the suite reads the address")]

use std::time::Duration;

use ringback::mcp::{Doors, serve_http};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestParams,
        CompleteResult, ElicitRequest, GetPromptRequestParams, GetPromptResponse, GetPromptResult,
        Implementation, InitializeResult, JsonObject, ListPromptsResult,
        ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, LoggingLevel,
        LoggingMessageNotificationParam, PaginatedRequestParams, ProgressNotificationParam,
        ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, ServerCapabilities,
        ServerRequest, SetLevelRequestParams, SubscribeRequestParams, UnsubscribeRequestParams,
    },
    service::RequestContext,
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;

/// A red pixel.
const PNG: &str = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
/// No sound at all, but a header.
const WAV: &str = "UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAAAAA==";
const PAUSE: Duration = Duration::from_millis(50);

#[derive(Clone)]
struct Everything;

type Context = RequestContext<RoleServer>;

/// What a literal is in the protocol's types.
fn made<T: DeserializeOwned>(value: Value) -> Result<T, ErrorData> {
    serde_json::from_value(value)
        .map_err(|error| ErrorData::internal_error(error.to_string(), None))
}

fn failed(error: impl std::fmt::Display) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}

/// A result that is one; the protocol's types say so themselves, a literal does not.
fn complete(mut result: Value) -> Value {
    result["resultType"] = json!("complete");
    result
}

fn text(text: &str) -> Value {
    json!({ "content": [{ "type": "text", "text": text }] })
}

fn image() -> Value {
    json!({ "type": "image", "data": PNG, "mimeType": "image/png" })
}

async fn log(context: &Context, said: &str) -> Result<(), ErrorData> {
    let said = LoggingMessageNotificationParam::new(LoggingLevel::Info, json!(said));
    context.peer.notify_logging_message(said).await.map_err(failed)
}

async fn elicited(context: &Context, message: &str, schema: Value) -> Result<String, ErrorData> {
    let asked = made(json!({ "mode": "form", "message": message, "requestedSchema": schema }))?;
    let asked = ServerRequest::ElicitRequest(ElicitRequest::new(asked));
    let answer = context.peer.send_request(asked).await.map_err(failed)?;
    let answer = serde_json::to_value(answer).map_err(failed)?;
    Ok(format!("action={}, content={}", answer["action"], answer["content"]))
}

async fn call(name: &str, arguments: JsonObject, context: &Context) -> Result<Value, ErrorData> {
    let said = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
    let resource = |uri: &str, kind: &str, text: &str| json!({ "type": "resource", "resource": { "uri": uri, "mimeType": kind, "text": text } });
    Ok(match name {
        "test_simple_text" => text("This is a simple text response for testing."),
        "test_image_content" => json!({ "content": [image()] }),
        "test_audio_content" => {
            json!({ "content": [{ "type": "audio", "data": WAV, "mimeType": "audio/wav" }] })
        }
        "test_embedded_resource" => {
            let text = "This is an embedded resource content.";
            json!({ "content": [resource("test://embedded-resource", "text/plain", text)] })
        }
        "test_multiple_content_types" => {
            let text = "Multiple content types test:";
            let uri = "test://mixed-content-resource";
            let other = resource(uri, "application/json", r#"{"test":"data","value":123}"#);
            json!({ "content": [{ "type": "text", "text": text }, image(), other] })
        }
        "test_tool_with_logging" => {
            log(context, "Tool execution started").await?;
            tokio::time::sleep(PAUSE).await;
            log(context, "Tool processing data").await?;
            tokio::time::sleep(PAUSE).await;
            log(context, "Tool execution completed").await?;
            text("logged")
        }
        "test_tool_with_progress" => {
            for progress in [0.0, 50.0, 100.0] {
                if let Some(token) = context.meta.get_progress_token() {
                    let said = ProgressNotificationParam::new(token, progress).with_total(100.0);
                    context.peer.notify_progress(said).await.map_err(failed)?;
                }
                tokio::time::sleep(PAUSE).await;
            }
            text("done")
        }
        "test_error_handling" => {
            let mut answer = text("This tool intentionally returns an error for testing");
            answer["isError"] = json!(true);
            answer
        }
        "test_sampling" => {
            let content = json!({ "type": "text", "text": said("prompt") });
            let asked =
                json!({ "messages": [{ "role": "user", "content": content }], "maxTokens": 100 });
            let answer = context.peer.create_message(made(asked)?).await.map_err(failed)?;
            let answer = serde_json::to_value(answer).map_err(failed)?;
            text(&format!("LLM response: {}", answer["content"]["text"]))
        }
        "test_elicitation" => {
            let field = |what: &str| json!({ "type": "string", "description": what });
            let schema = json!({
                "type": "object",
                "properties": { "username": field("User's response"), "email": field("User's email address") },
                "required": ["username", "email"],
            });
            let answer = elicited(context, said("message"), schema).await?;
            text(&format!("User response: {answer}"))
        }
        "test_elicitation_sep1034_defaults" => {
            let schema = json!({ "type": "object", "required": [], "properties": {
                "name": { "type": "string", "default": "John Doe" },
                "age": { "type": "integer", "default": 30 },
                "score": { "type": "number", "default": 95.5 },
                "status": { "type": "string", "enum": ["active", "inactive", "pending"], "default": "active" },
                "verified": { "type": "boolean", "default": true },
            } });
            let answer = elicited(context, "Defaults", schema).await?;
            text(&format!("Elicitation completed: {answer}"))
        }
        "test_elicitation_sep1330_enums" => {
            let titled = |word: &str| {
                let one = |n: usize, nth: &str| json!({ "const": format!("value{n}"), "title": format!("{nth} {word}") });
                json!([one(1, "First"), one(2, "Second"), one(3, "Third")])
            };
            let plain = json!(["option1", "option2", "option3"]);
            let schema = json!({ "type": "object", "required": [], "properties": {
                "untitledSingle": { "type": "string", "enum": plain },
                "titledSingle": { "type": "string", "oneOf": titled("Option") },
                "legacyEnum": {
                    "type": "string", "enum": ["opt1", "opt2", "opt3"],
                    "enumNames": ["Option One", "Option Two", "Option Three"],
                },
                "untitledMulti": { "type": "array", "items": { "type": "string", "enum": plain } },
                "titledMulti": { "type": "array", "items": { "anyOf": titled("Choice") } },
            } });
            let answer = elicited(context, "Enums", schema).await?;
            text(&format!("Elicitation completed: {answer}"))
        }
        "json_schema_2020_12_tool" => text("kept"),
        _ => return Err(ErrorData::invalid_params("there is no such tool", None)),
    })
}

fn tools() -> Value {
    let none = json!({ "type": "object", "properties": {} });
    let mut tools: Vec<Value> = [
        "test_simple_text",
        "test_image_content",
        "test_audio_content",
        "test_embedded_resource",
        "test_multiple_content_types",
        "test_tool_with_logging",
        "test_tool_with_progress",
        "test_error_handling",
        "test_elicitation_sep1034_defaults",
        "test_elicitation_sep1330_enums",
    ]
    .iter()
    .map(|name| json!({ "name": name, "description": "For the suite", "inputSchema": none }))
    .collect();
    for (name, argument) in [("test_sampling", "prompt"), ("test_elicitation", "message")] {
        let schema = json!({
            "type": "object", "properties": { argument: { "type": "string" } }, "required": [argument],
        });
        tools.push(json!({ "name": name, "description": "For the suite", "inputSchema": schema }));
    }
    tools.push(json!({
        "name": "json_schema_2020_12_tool",
        "description": "Tool with JSON Schema 2020-12 features",
        "inputSchema": {
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "type": "object",
            "$defs": { "address": { "$anchor": "address", "type": "object", "properties": {
                "street": { "type": "string" }, "city": { "type": "string" },
            } } },
            "properties": { "name": { "type": "string" }, "address": { "$ref": "#/$defs/address" } },
            "allOf": [{ "anyOf": [{ "required": ["name"] }, { "required": ["address"] }] }],
            "if": { "required": ["address"] },
            "then": { "required": ["name"] },
            "else": { "minProperties": 0 },
            "additionalProperties": false,
        },
    }));
    tools.into()
}

fn prompt(name: &str, arguments: &JsonObject) -> Option<Value> {
    let said = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
    let user = |content: Value| json!({ "role": "user", "content": content });
    let words = |text: String| user(json!({ "type": "text", "text": text }));
    let messages = match name {
        "test_simple_prompt" => json!([words("This is a simple prompt for testing.".to_owned())]),
        "test_prompt_with_arguments" => {
            let (one, two) = (said("arg1"), said("arg2"));
            json!([words(format!("Prompt with arguments: arg1='{one}', arg2='{two}'"))])
        }
        "test_prompt_with_embedded_resource" => {
            let text = "Embedded resource content for testing.";
            let resource =
                json!({ "uri": said("resourceUri"), "mimeType": "text/plain", "text": text });
            json!([
                user(json!({ "type": "resource", "resource": resource })),
                words("Please process the embedded resource above.".to_owned()),
            ])
        }
        "test_prompt_with_image" => {
            json!([user(image()), words("Please analyze the image above.".to_owned())])
        }
        _ => return None,
    };
    Some(json!({ "messages": messages }))
}

impl ServerHandler for Everything {
    fn get_info(&self) -> InitializeResult {
        let able = ServerCapabilities::builder()
            .enable_logging()
            .enable_completions()
            .enable_tools()
            .enable_prompts()
            .enable_resources()
            .enable_resources_subscribe()
            .build();
        InitializeResult::new(able)
            .with_server_info(Implementation::new("ringback-conformance", "1"))
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(made(tools())?))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: Context,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = request.arguments.unwrap_or_default();
        let answer: CallToolResult =
            made(complete(call(&request.name, arguments, &context).await?))?;
        Ok(answer.into())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListPromptsResult, ErrorData> {
        let argument =
            |name: &str| json!({ "name": name, "description": "For the suite", "required": true });
        let one = |name: &str, arguments: &[&str]| {
            let arguments: Vec<Value> = arguments.iter().map(|name| argument(name)).collect();
            json!({ "name": name, "description": "For the suite", "arguments": arguments })
        };
        Ok(ListPromptsResult::with_all_items(made(json!([
            one("test_simple_prompt", &[]),
            one("test_prompt_with_arguments", &["arg1", "arg2"]),
            one("test_prompt_with_embedded_resource", &["resourceUri"]),
            one("test_prompt_with_image", &[]),
        ]))?))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: Context,
    ) -> Result<GetPromptResponse, ErrorData> {
        let said = prompt(&request.name, &request.arguments.unwrap_or_default());
        let said =
            said.ok_or_else(|| ErrorData::invalid_params("there is no such prompt", None))?;
        made::<GetPromptResult>(complete(said)).map(GetPromptResponse::Complete)
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourcesResult, ErrorData> {
        let one = |name: &str, kind: &str| {
            json!({
                "uri": format!("test://{name}"), "name": name, "description": "For the suite", "mimeType": kind,
            })
        };
        let all = json!([
            one("static-text", "text/plain"),
            one("static-binary", "image/png"),
            one("watched-resource", "text/plain")
        ]);
        Ok(ListResourcesResult::with_all_items(made(all)?))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: Context,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let one = json!([{ "uriTemplate": "test://template/{id}/data", "name": "template", "description": "For the suite", "mimeType": "application/json" }]);
        Ok(ListResourceTemplatesResult::with_all_items(made(one)?))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: Context,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = request.uri.as_str();
        let words =
            |kind: &str, text: String| json!({ "uri": uri, "mimeType": kind, "text": text });
        let id = uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
        let content = match (uri, id) {
            ("test://static-text", _) => {
                words("text/plain", "This is the content of the static text resource.".to_owned())
            }
            ("test://static-binary", _) => {
                json!({ "uri": uri, "mimeType": "image/png", "blob": PNG })
            }
            ("test://watched-resource", _) => words("text/plain", "watched".to_owned()),
            (_, Some(id)) => {
                let data =
                    json!({ "id": id, "templateTest": true, "data": format!("Data for ID: {id}") });
                words("application/json", data.to_string())
            }
            _ => return Err(ErrorData::resource_not_found("there is no such resource", None)),
        };
        made::<ReadResourceResult>(complete(json!({ "contents": [content] })))
            .map(ReadResourceResponse::Complete)
    }

    async fn subscribe(&self, _: SubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn unsubscribe(&self, _: UnsubscribeRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn set_level(&self, _: SetLevelRequestParams, _: Context) -> Result<(), ErrorData> {
        Ok(())
    }

    async fn complete(
        &self,
        _: CompleteRequestParams,
        _: Context,
    ) -> Result<CompleteResult, ErrorData> {
        made(json!({ "completion": { "values": ["paris", "park"], "total": 2, "hasMore": false } }))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}/mcp", listener.local_addr()?);
    // Whoever started it holds the other end.
    let ended = async {
        let _ = tokio::io::stdin().read_to_end(&mut Vec::new()).await;
    };
    serve_http(listener, Everything, Doors::default(), ended).await
}

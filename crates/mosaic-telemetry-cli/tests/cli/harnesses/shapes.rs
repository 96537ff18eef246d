//! Requests and responses of four APIs: OpenAI Responses and chat completions, Gemini, and Anthropic messages.

use serde_json::{Value, json};

use super::server::Tokens;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Responses,
    Chat,
    Gemini,
    Messages,
}

/// A call of a tool, or else a text.
#[derive(Debug)]
pub(super) struct Reply<'a> {
    pub(super) id: String,
    pub(super) tokens: Tokens,
    pub(super) model: &'a str,
    /// The name of the tool, and its arguments.
    pub(super) call: Option<(&'a str, Value)>,
}

/// The tools of the agents that run commands.
const TOOLS: [&str; 4] = ["exec_command", "bash", "Bash", "run_shell_command"];

pub(super) fn arguments(tool: &str, command: &str) -> Value {
    match tool {
        "exec_command" => json!({"cmd": command}),
        _ => json!({"command": command, "description": "Run it."}),
    }
}

const TEXT: &str = "Done.";

impl Shape {
    /// `None` if the path is that of another request.
    pub(super) fn of(path: &str) -> Option<Self> {
        Some(match path.rsplit(['/', ':']).next()? {
            "responses" => Self::Responses,
            "completions" => Self::Chat,
            "generateContent" | "streamGenerateContent" => Self::Gemini,
            "messages" => Self::Messages,
            _ => return None,
        })
    }

    /// The tool of a request that runs commands.
    pub(super) fn tool(self, body: &Value) -> Option<&str> {
        let tools = body["tools"].as_array()?.iter();
        let names: Vec<_> = match self {
            Self::Responses | Self::Messages => tools.map(|it| &it["name"]).collect(),
            Self::Chat => tools.map(|it| &it["function"]["name"]).collect(),
            Self::Gemini => {
                let declared = tools.filter_map(|it| it["functionDeclarations"].as_array());
                declared.flatten().map(|it| &it["name"]).collect()
            }
        };
        names.into_iter().filter_map(Value::as_str).find(|it| TOOLS.contains(it))
    }

    /// A response that is not a stream.
    pub(super) fn whole(self, reply: &Reply<'_>) -> Value {
        match self {
            Self::Responses => reply.response("completed"),
            Self::Chat => {
                let (message, reason) = reply.chat_message();
                let choice = json!({"index": 0, "message": message, "finish_reason": reason});
                reply.chat(&json!([choice]), &reply.openai_usage("prompt", "completion"))
            }
            Self::Gemini => reply.gemini(),
            Self::Messages => {
                let content = json!([{"type": "text", "text": TEXT}]);
                reply.message(&content, &json!("end_turn"), &reply.anthropic_usage())
            }
        }
    }

    /// Server-sent events.
    pub(super) fn stream(self, reply: &Reply<'_>) -> String {
        let events = match self {
            Self::Responses => reply.responses_events(),
            Self::Chat => reply.chat_events(),
            Self::Gemini => vec![reply.gemini()],
            Self::Messages => reply.messages_events(),
        };
        let mut text = String::new();
        for event in events {
            if let Some(kind) = event["type"].as_str() {
                text += &format!("event: {kind}\n");
            }
            text += &format!("data: {event}\n\n");
        }
        if self == Self::Chat {
            text += "data: [DONE]\n\n";
        }
        text
    }
}

impl Reply<'_> {
    fn openai_usage(&self, input: &str, output: &str) -> Value {
        let it = self.tokens;
        json!({
            format!("{input}_tokens"): it.input,
            format!("{input}_tokens_details"): {"cached_tokens": it.cached},
            format!("{output}_tokens"): it.output,
            format!("{output}_tokens_details"): {"reasoning_tokens": it.reasoning},
            "total_tokens": it.input + it.output,
        })
    }

    fn response(&self, status: &str) -> Value {
        json!({
            "id": self.id, "object": "response", "model": self.model, "status": status,
            "output": [], "usage": self.openai_usage("input", "output"),
        })
    }

    fn responses_events(&self) -> Vec<Value> {
        let item = match &self.call {
            Some((name, arguments)) => json!({
                "type": "function_call", "id": self.id, "call_id": self.id, "name": name,
                "arguments": arguments.to_string(), "status": "completed",
            }),
            None => json!({
                "type": "message", "id": self.id, "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": TEXT, "annotations": []}],
            }),
        };
        vec![
            json!({"type": "response.created", "response": self.response("in_progress")}),
            json!({"type": "response.output_item.done", "output_index": 0, "item": item}),
            json!({"type": "response.completed", "response": self.response("completed")}),
        ]
    }

    fn chat(&self, choices: &Value, usage: &Value) -> Value {
        json!({
            "id": self.id, "object": "chat.completion.chunk", "created": 0, "model": self.model,
            "choices": choices, "usage": usage,
        })
    }

    /// The message, and why it ends.
    fn chat_message(&self) -> (Value, &'static str) {
        let Some((name, arguments)) = &self.call else {
            return (json!({"role": "assistant", "content": TEXT}), "stop");
        };
        let function = json!({"name": name, "arguments": arguments.to_string()});
        let call = json!({"index": 0, "id": self.id, "type": "function", "function": function});
        (json!({"role": "assistant", "tool_calls": [call]}), "tool_calls")
    }

    fn chat_events(&self) -> Vec<Value> {
        let (message, reason) = self.chat_message();
        let begin = json!([{"index": 0, "delta": message, "finish_reason": null}]);
        let end = json!([{"index": 0, "delta": {}, "finish_reason": reason}]);
        vec![
            self.chat(&begin, &Value::Null),
            self.chat(&end, &Value::Null),
            self.chat(&json!([]), &self.openai_usage("prompt", "completion")),
        ]
    }

    fn gemini(&self) -> Value {
        let it = self.tokens;
        let part = match &self.call {
            Some((name, args)) => json!({"functionCall": {"name": name, "args": args}}),
            None => json!({"text": TEXT}),
        };
        let content = json!({"role": "model", "parts": [part]});
        json!({
            "candidates": [{"index": 0, "content": content, "finishReason": "STOP"}],
            "usageMetadata": {
                "promptTokenCount": it.input, "cachedContentTokenCount": it.cached,
                "candidatesTokenCount": it.output - it.reasoning,
                "thoughtsTokenCount": it.reasoning, "totalTokenCount": it.input + it.output,
            },
            "responseId": self.id,
        })
    }

    fn anthropic_usage(&self) -> Value {
        let it = self.tokens;
        // 100 of the cached tokens are written to the cache, the others read.
        json!({
            "input_tokens": it.input - it.cached, "cache_read_input_tokens": it.cached - 100,
            "cache_creation_input_tokens": 100,
            "cache_creation": {"ephemeral_5m_input_tokens": 100, "ephemeral_1h_input_tokens": 0},
            "output_tokens": it.output,
        })
    }

    fn message(&self, content: &Value, reason: &Value, usage: &Value) -> Value {
        json!({
            "id": self.id, "type": "message", "role": "assistant", "model": self.model,
            "content": content, "stop_reason": reason, "stop_sequence": null, "usage": usage,
        })
    }

    fn messages_events(&self) -> Vec<Value> {
        let (block, delta, reason) = match &self.call {
            Some((name, arguments)) => (
                json!({"type": "tool_use", "id": self.id, "name": name, "input": {}}),
                json!({"type": "input_json_delta", "partial_json": arguments.to_string()}),
                "tool_use",
            ),
            None => (
                json!({"type": "text", "text": ""}),
                json!({"type": "text_delta", "text": TEXT}),
                "end_turn",
            ),
        };
        let usage = self.anthropic_usage();
        // The first event counts what is known then.
        let mut begun = usage.clone();
        begun["output_tokens"] = json!(1);
        let message = self.message(&json!([]), &Value::Null, &begun);
        let end = json!({"stop_reason": reason, "stop_sequence": null});
        vec![
            json!({"type": "message_start", "message": message}),
            json!({"type": "content_block_start", "index": 0, "content_block": block}),
            json!({"type": "content_block_delta", "index": 0, "delta": delta}),
            json!({"type": "content_block_stop", "index": 0}),
            json!({"type": "message_delta", "delta": end, "usage": usage}),
            json!({"type": "message_stop"}),
        ]
    }
}

//! Writes sessions as the versions of opencode do.

use std::{
    fs,
    path::{Path, PathBuf},
};

use rusqlite::{Connection, params};
use serde_json::{Value, json};

use crate::harness::testing::Folder;

/// Layouts of stored sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    Files,
    /// The tables `message` and `part`.
    First,
    /// The table `session_message`.
    Second,
}

/// A message with its parts, as in files.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub(super) value: Value,
    pub(super) parts: Vec<Value>,
}

pub(super) fn user(at: i64) -> Message {
    let value = json!({
        "id": format!("msg_{at}"), "role": "user", "time": {"created": at}, "agent": "build",
        "model": {"providerID": "anthropic", "modelID": "model-1"}, "summary": {"title": "text", "diffs": []},
    });
    Message { value, parts: vec![json!({"type": "text", "text": "text"})] }
}

/// A reply that took a second; tokens are input, output, reasoning, and those read from and written to the cache.
pub(super) fn assistant(at: i64, tokens: [u64; 5], finish: &str) -> Message {
    let [input, output, reasoning, read, write] = tokens;
    let value = json!({
        "id": format!("msg_{at}"), "role": "assistant", "time": {"created": at, "completed": at + 1000},
        "mode": "build", "agent": "build", "path": {"cwd": "/home/user/project", "root": "/"}, "cost": 0.25,
        "tokens": {"total": tokens.iter().sum::<u64>(), "input": input, "output": output, "reasoning": reasoning,
            "cache": {"read": read, "write": write}},
        "modelID": "model-1", "providerID": "anthropic", "finish": finish,
    });
    Message { value, parts: Vec::new() }
}

impl Message {
    pub(super) fn with(mut self, key: &str, value: Value) -> Self {
        self.value[key] = value;
        self
    }

    pub(super) fn part(mut self, part: Value) -> Self {
        self.parts.push(part);
        self
    }

    /// Replaces the parts.
    pub(super) fn only(mut self, part: Value) -> Self {
        self.parts = vec![part];
        self
    }

    pub(super) fn tool(self, name: &str, input: Value, metadata: Value) -> Self {
        let state =
            json!({"status": "completed", "input": input, "output": "text", "metadata": metadata});
        self.part(json!({"type": "tool", "tool": name, "callID": "call_1", "state": state}))
    }

    fn at(&self) -> i64 {
        self.value["time"]["created"].as_i64().unwrap()
    }

    pub(super) fn id(&self) -> &str {
        self.value["id"].as_str().unwrap()
    }

    /// The message as in the second tables: its type and data.
    fn second(&self) -> (String, Value) {
        let mut data = self.value.clone();
        let kind = data["role"].as_str().unwrap().to_owned();
        data["model"] = json!({"providerID": "anthropic", "id": "model-1"});
        for key in ["id", "role", "modelID", "providerID", "path"] {
            data.as_object_mut().unwrap().remove(key);
        }
        if kind == "assistant" {
            let tool = |part: &Value| json!({"type": part["type"], "name": part["tool"], "state": part["state"]});
            data["content"] = self.parts.iter().map(tool).collect();
            if let Some(tokens) = data["tokens"].as_object_mut() {
                tokens.remove("total");
            }
            if let Some(error) = data.get("error").cloned() {
                let kind = if error["name"] == "MessageAbortedError" {
                    "aborted"
                } else {
                    "provider.error"
                };
                data["error"] = json!({"type": kind, "message": "text"});
            }
        }
        (kind, data)
    }
}

/// A data folder of opencode.
pub(super) struct Store {
    root: Folder,
    layout: Layout,
}

impl Store {
    pub(super) fn new(layout: Layout) -> Self {
        let store = Self { root: Folder::new(), layout };
        if layout != Layout::Files {
            store.connect().execute_batch(FIRST).unwrap();
        }
        if layout == Layout::Second {
            store.connect().execute_batch(SECOND).unwrap();
        }
        store
    }

    /// A store with a session of these messages.
    pub(super) fn with(layout: Layout, messages: &[Message]) -> Self {
        let store = Self::new(layout);
        store.session("ses_1", None);
        store.add("ses_1", messages);
        store
    }

    pub(super) fn root(&self) -> &Path {
        &self.root.0
    }

    pub(super) fn connect(&self) -> Connection {
        let connection = Connection::open(self.root.0.join("opencode.db")).unwrap();
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF").unwrap();
        connection
    }

    pub(super) fn session(&self, id: &str, parent: Option<&str>) {
        let directory = "/home/user/project";
        match self.layout {
            Layout::Files => {
                let value =
                    json!({"id": id, "parentID": parent, "directory": directory, "title": "text"});
                self.write(&format!("storage/session/project_1/{id}.json"), &value);
            }
            Layout::First | Layout::Second => {
                let table = if self.layout == Layout::First { "session" } else { "session_v2" };
                let query = format!(
                    "INSERT INTO {table} (id, parent_id, directory, time_created) VALUES (?1, ?2, ?3, 1)"
                );
                self.connect().execute(&query, params![id, parent, directory]).unwrap();
            }
        }
    }

    /// Adds messages, or replaces those with the same ids.
    pub(super) fn add(&self, session: &str, messages: &[Message]) {
        messages.iter().for_each(|message| self.add_one(session, message));
    }

    fn add_one(&self, session: &str, message: &Message) {
        let (id, at) = (message.id(), message.at());
        match self.layout {
            Layout::Files => {
                self.write(&format!("storage/message/{session}/{id}.json"), &message.value);
                for (ordinal, part) in message.parts.iter().enumerate() {
                    self.write(&format!("storage/part/{id}/prt_{ordinal}.json"), part);
                }
            }
            Layout::First => {
                let connection = self.connect();
                let query = "INSERT OR REPLACE INTO message VALUES (?1, ?2, ?3, ?3, ?4)";
                connection
                    .execute(query, params![id, session, at, message.value.to_string()])
                    .unwrap();
                for (ordinal, part) in message.parts.iter().enumerate() {
                    let query = "INSERT OR REPLACE INTO part VALUES (?1, ?2, ?3, ?4, ?4, ?5)";
                    let values =
                        params![format!("{id}-{ordinal}"), id, session, at, part.to_string()];
                    connection.execute(query, values).unwrap();
                }
            }
            Layout::Second => {
                let (kind, data) = message.second();
                self.add_row(session, id, &kind, at, &data);
            }
        }
    }

    /// Adds a row to the second tables, behind the others.
    pub(super) fn add_row(&self, session: &str, id: &str, kind: &str, at: i64, data: &Value) {
        let query = "INSERT OR REPLACE INTO session_message VALUES (?1, ?2, ?3, coalesce(
            (SELECT seq FROM session_message WHERE id = ?1),
            (SELECT count(*) FROM session_message WHERE session_id = ?2)), ?4, ?4, ?5)";
        self.connect().execute(query, params![id, session, kind, at, data.to_string()]).unwrap();
    }

    pub(super) fn write(&self, path: &str, value: &Value) {
        let path = self.root.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, value.to_string()).unwrap();
    }

    pub(super) fn logs(&self) -> Vec<PathBuf> {
        if self.layout != Layout::Files {
            return vec![self.root.0.join("opencode.db")];
        }
        let files = fs::read_dir(self.root.0.join("storage/session/project_1")).unwrap();
        let mut logs: Vec<_> = files.map(|file| file.unwrap().path()).collect();
        logs.sort();
        logs
    }
}

/// The columns of the tables of 1.18 that are read.
const FIRST: &str = "
CREATE TABLE session (id text PRIMARY KEY, parent_id text, directory text NOT NULL, time_created integer NOT NULL);
CREATE TABLE message (id text PRIMARY KEY, session_id text NOT NULL, time_created integer NOT NULL,
    time_updated integer NOT NULL, data text NOT NULL);
CREATE TABLE part (id text PRIMARY KEY, message_id text NOT NULL, session_id text NOT NULL,
    time_created integer NOT NULL, time_updated integer NOT NULL, data text NOT NULL);
CREATE INDEX message_session_time_created_id_idx ON message (session_id, time_created, id);
CREATE INDEX part_message_id_id_idx ON part (message_id, id);
CREATE TABLE session_message (id text PRIMARY KEY, session_id text NOT NULL, type text NOT NULL, seq integer NOT NULL,
    time_created integer NOT NULL, time_updated integer NOT NULL, data text NOT NULL);
CREATE UNIQUE INDEX session_message_session_seq_idx ON session_message (session_id, seq);
";

/// The tables that version 2 adds.
const SECOND: &str = "
CREATE TABLE session_v2 (id text PRIMARY KEY, parent_id text, fork_session_id text, fork_boundary text,
    directory text NOT NULL, time_created integer NOT NULL);
";

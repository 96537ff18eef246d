//! A model server that plays a script, in the shapes of four APIs.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::{Value, json};

use super::shapes::{self, Reply, Shape};

/// A response to a request of the main loop. The last one of a script is repeated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Calls the tool that runs commands.
    Run(&'static str),
    /// A text, which ends the turn.
    Say,
    /// An error of the API, with this status.
    Refuse(u16),
}

/// Tokens of a response, which are others in each. `input` includes `cached`, and `output` includes `reasoning`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) input: u64,
    pub(super) cached: u64,
    pub(super) output: u64,
    pub(super) reasoning: u64,
}

impl Tokens {
    const fn of(number: u64) -> Self {
        Self {
            input: 2_000 + 317 * number,
            cached: 500 + 211 * number,
            output: 40 + 7 * number,
            reasoning: 3 * number,
        }
    }
}

/// Serves until the process ends.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) url: String,
    sent: Arc<Mutex<Sent>>,
}

#[derive(Debug, Default)]
struct Sent {
    /// Number of requests of the main loop.
    steps: usize,
    /// The tokens of each response, and whether it is one of the script.
    tokens: Vec<(Tokens, bool)>,
}

impl Server {
    pub(super) fn start(script: &'static [Step]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let sent = Arc::<Mutex<Sent>>::default();
        let shared = Arc::clone(&sent);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let sent = Arc::clone(&shared);
                // The client may have gone.
                thread::spawn(move || drop(serve(&stream, script, &sent)));
            }
        });
        Self { url, sent }
    }

    /// The sums of input and output of the script's responses.
    pub(super) fn sent(&self) -> [u64; 2] {
        let sent = self.sent.lock().expect("no panic");
        let tokens = sent.tokens.iter().filter(|it| it.1);
        tokens.fold([0, 0], |[input, output], (it, _)| [input + it.input, output + it.output])
    }
}

/// Reads one request and answers it.
fn serve(stream: &TcpStream, script: &[Step], sent: &Mutex<Sent>) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head)? == 0 {
            return Ok(());
        }
    }
    let path = head.split(' ').nth(1).unwrap_or_default();
    let path = path.split('?').next().unwrap_or_default().to_owned();
    let length = head.to_lowercase();
    let length = length.lines().find_map(|line| line.strip_prefix("content-length:"));
    let mut body = vec![0; length.map_or(0, |it| it.trim().parse().expect("a length"))];
    reader.read_exact(&mut body)?;
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let (status, kind, text) = answer(&path, &body, script, &mut sent.lock().expect("no panic"));
    let length = text.len();
    let head = format!(
        "HTTP/1.1 {status} Status\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\
         connection: close\r\n\r\n"
    );
    let mut stream = stream;
    stream.write_all((head + &text).as_bytes())
}

const JSON: &str = "application/json";

/// Status, type and text of a response.
fn answer(
    path: &str,
    body: &Value,
    script: &[Step],
    sent: &mut Sent,
) -> (u16, &'static str, String) {
    let Some(shape) = Shape::of(path) else {
        return (404, JSON, json!({"error": {"message": "not found"}}).to_string());
    };
    // Agents also ask for titles and the like, without tools. aider never has any.
    let tool = shape.tool(body);
    let is_scripted = tool.is_some() || script.len() == 1;
    let step = script.get(sent.steps).or_else(|| script.last()).filter(|_| is_scripted);
    sent.steps += usize::from(is_scripted);
    if let Some(Step::Refuse(status)) = step {
        let error = json!({"code": status, "message": "refused", "type": "invalid_request_error"});
        return (*status, JSON, json!({"type": "error", "error": error}).to_string());
    }
    let number = sent.tokens.len() as u64 + 1;
    let tokens = Tokens::of(number);
    sent.tokens.push((tokens, is_scripted));
    let call = match (step, tool) {
        (Some(Step::Run(command)), Some(tool)) => Some((tool, shapes::arguments(tool, command))),
        _ => None,
    };
    let model = body["model"].as_str().unwrap_or_default();
    let reply = Reply { id: format!("id_{number}"), tokens, model, call };
    if body["stream"] == true || path.ends_with(":streamGenerateContent") {
        return (200, "text/event-stream", shape.stream(&reply));
    }
    (200, JSON, shape.whole(&reply).to_string())
}
